"""The frame around what changes: the script finds a place for each slot, and people their way."""

from __future__ import annotations

import re

import pytest

from pybal.page.html import Markup, element
from pybal.page.layout import Frame, missing_document, overview_document, service_document
from pybal.page.overview import overview
from pybal.page.past import Past
from pybal.page.seen import Seen, seen_service
from pybal.page.service_page import KernelPart, service_page
from tests.fakes.view import CONFIG, DAEMON, NO_BGP, NOON, ipvs, server, service

FRAME = Frame(
    director="lvs1",
    icon="/status.svg?v=1",
    style="/status.css?v=2",
    script="/status.js?v=3",
    state="e.5",
    build="b6",
    stream="/status.stream",
    query="cp1",
    now=NOON,
)


def fill(slot: str) -> Markup:
    return element("i", f"of {slot}")


OVERVIEW = overview_document(FRAME, fill, None).decode()
SERVICE = service_document(FRAME, "web_443", fill).decode()
MISSING = missing_document(FRAME, ("web_443", "dns_53")).decode()


def slots(text: str) -> list[str]:
    """Where the script puts what changes."""
    found = re.findall(r'<\w+ id="([\w-]+)" data-slot[ >]', text)
    assert len(found) == text.count("data-slot")
    return found


def test_each_slot_of_a_page_has_its_place_in_the_document() -> None:
    seen = seen_service(service("web_443", [server("a")]), ())
    past = Past((), (), NOON)
    whole = overview(Seen((seen,), (), DAEMON, ipvs(), NO_BGP, CONFIG, ()), past)
    one = service_page(seen, (), KernelPart({}, {}), NO_BGP, past)
    for text, page in ((OVERVIEW, whole), (SERVICE, one)):
        assert sorted(slots(text)) == sorted(slot.id for slot in page.slots)
        for slot in page.slots:
            assert re.search(rf'<\w+ id="{slot.id}" data-slot[^>]*><i>of {slot.id}</i>', text)


@pytest.mark.parametrize(
    ("text", "section", "columns"),
    [
        (OVERVIEW, "hosts", ["Host", "State", "Where", "Since"]),
        (OVERVIEW, "services", ["Service", "State", "Servers", "Up", "Pooled", "Address"]),
        (SERVICE, "servers", ["Server", "State", "Monitors", "Why", "Weight", "Connections"]),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else "",
)
def test_tables_have_their_heads(text: str, section: str, columns: list[str]) -> None:
    table = text.partition(f'<table class="{section}">')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="col">(\w+)</th>', table) == columns
    assert f'<tbody id="{section}" data-slot>' in table


def test_each_section_is_named_by_its_heading() -> None:
    for text in (OVERVIEW, SERVICE):
        named = re.findall(r'<section aria-labelledby="([\w-]+)">', text)
        assert len(named) >= 5
        for each in named:
            assert f'id="{each}"' in text


def test_what_is_looked_for_stands_where_it_was_typed() -> None:
    assert 'name="q" type="search" value="cp1"' in OVERVIEW
    assert '<section id="servers-found" hidden>' in OVERVIEW
    found = overview_document(FRAME, fill, element("b", "here")).decode()
    assert '<section id="servers-found"><b>here</b></section>' in found


def test_a_page_without_the_script_is_loaded_again_and_one_with_it_goes_on() -> None:
    for text in (OVERVIEW, SERVICE):
        assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in text
        # Not before the document is there.
        assert '<script src="/status.js?v=3" defer></script>' in text
        assert 'data-stream="/status.stream" data-state="e.5" data-build="b6"' in text
        assert f'data-now="{NOON:.3f}"' in text
        assert "reloads every 15 s" in text


def test_the_kinds_of_pages_are_told_apart() -> None:
    assert "<body data-now" in OVERVIEW
    assert '<body class="one" data-now' in SERVICE
    assert "<title>lvs1 · PyBal</title>" in OVERVIEW
    assert "<title>web_443 · lvs1 · PyBal</title>" in SERVICE
    assert '<a href="/status" class="up">All of lvs1</a>' in SERVICE


def test_instead_of_a_service_that_there_is_not_those_are_named_that_there_are() -> None:
    assert "<h1>There is no such service</h1>" in MISSING
    assert '<li><a href="/status/dns_53">dns_53</a></li>' in MISSING
    # Nothing of it changes.
    assert "<script" not in MISSING
    assert "data-stream" not in MISSING
    assert "refresh" not in MISSING
    assert f'data-now="{NOON:.3f}"' in MISSING
