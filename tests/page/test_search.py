"""Servers that are looked for, in all services."""

from __future__ import annotations

import pytest

from pybal.page.search import Match, found_section, matches
from pybal.page.tally import Care
from tests.fakes.view import FakeView, server, service
from tests.page.reading import words
from tests.page.visitor import Visitor

SERVICES = (
    service("web_443", [server("CP1.example.org"), server("cp2.example.org", up=False)]),
    service("dns_53", [server("cp1.example.org", enabled=False)]),
)


def found(query: str) -> list[Match]:
    return [each for each in matches(SERVICES, query) if each is not None]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("cp1", [("web_443", Care.SERVES), ("dns_53", Care.DISABLED)]),
        ("Cp2", [("web_443", Care.DOWN)]),
        ("cp example p2", [("web_443", Care.DOWN)]),
        (
            "192.0.2.10",
            [("web_443", Care.SERVES), ("web_443", Care.DOWN), ("dns_53", Care.DISABLED)],
        ),
        ("dns", [("dns_53", Care.DISABLED)]),
        ("cp1 web", [("web_443", Care.SERVES)]),
        ("cp1 cp2", []),
        ("nobody", []),
    ],
)
def test_a_server_is_found_by_parts_of_its_name_address_and_service(
    query: str, hits: list[tuple[str, Care]]
) -> None:
    assert [(name, care) for name, _, care in found(query)] == hits


def test_after_each_service_there_is_a_pause() -> None:
    assert [each is None for each in matches(SERVICES, "cp")] == [False, False, True, False, True]


def test_what_is_found_is_shown_the_worst_first() -> None:
    shown = found_section("cp", found("cp"))
    assert words(shown).replace("cp ", "cp") == (
        "3 hosts in 3 places with “cp”Servers found / Server | State | Service | Weight | / "
        "cp2.example.org192.0.2.10 | [down critical] | web_443 | 10 | / "
        "cp1.example.org192.0.2.10 | [disabled off] | dns_53 | 10 | / "
        "CP1.example.org192.0.2.10 | [serves ok] | web_443 | 10 |"
    )
    assert '<tr class="critical">' in shown
    assert "/status/web_443?q=cp2.example.org" in shown


def test_nothing_is_found() -> None:
    assert words(found_section("x", [])) == "0 hosts in 0 places with “x”"


@pytest.mark.parametrize(
    ("number", "more"), [(100, ""), (101, "and 1 more"), (1105, "and 1,005 more")]
)
def test_of_many_that_are_found_a_hundred_are_shown(number: int, more: str) -> None:
    many = [("web", server("cp1"), Care.SERVES)] * number
    shown = words(found_section("cp", many))
    assert shown.startswith(f"1 host in {number:,} places")
    assert shown.count("[serves ok]") == 100
    assert shown.partition("and ")[1:] == more.partition("and ")[1:]


def test_of_what_is_looked_for_two_hundred_characters_count() -> None:
    text = Visitor(FakeView(SERVICES)).page("/status?q=" + "x" * 250)
    assert f'value="{"x" * 200}"' in text
