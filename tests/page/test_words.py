"""Small things that every part of a page has, as people read them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.page.words import (
    address_beside,
    count_of,
    listed,
    moment,
    plain,
    service_link,
    state,
)
from tests.fakes.view import NOON, server


def test_a_moment_is_in_utc_to_the_second_and_to_the_millisecond_for_the_script() -> None:
    assert moment(NOON + 0.25) == (
        '<time datetime="2023-11-14T22:13:20.250Z">2023-11-14 22:13:20 UTC</time>'
    )
    assert moment(None) == '<span class="quiet">never</span>'
    assert moment(None, "unknown") == '<span class="quiet">unknown</span>'


def test_a_state_is_a_word_that_a_colour_underlines() -> None:
    assert state("drift", "warning") == '<span class="state warning">drift</span>'


def test_a_service_has_a_page_of_its_own() -> None:
    assert service_link("a/b") == '<a href="/status/a%2Fb">a/b</a>'
    assert service_link("web", "cp1") == '<a href="/status/web?q=cp1">web</a>'


def test_counts_have_their_plurals() -> None:
    assert count_of(0, "server") == "0 servers"
    assert count_of(1, "server") == "1 server"
    assert count_of(1234, "server") == "1,234 servers"
    assert count_of(2, "entry", "entries") == "2 entries"
    assert count_of(1, "entry", "entries") == "1 entry"


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ("", ""),
        ("a", "a"),
        ("abc", "a, b, c"),
        ("abcd", "a, b, c and 1 more"),
        ("abcdef", "a, b, c and 3 more"),
    ],
)
def test_of_many_three_are_listed(items: str, words: str) -> None:
    assert listed(list(items)) == f"<span>{words}</span>"


def test_a_servers_address_is_beside_its_name_if_it_is_another() -> None:
    named = server("cp1")
    assert address_beside(named) == '<span class="why">192.0.2.10</span>'
    assert address_beside(named._replace(address=None)) == '<span class="why">no address</span>'
    assert address_beside(server("192.0.2.10")) is None
    other = server("192.0.2.10")._replace(address=ip_address("192.0.2.11"))
    assert address_beside(other) == '<span class="why">192.0.2.11</span>'


def test_a_number_has_no_zeros_at_its_end() -> None:
    assert [plain(each) for each in (2.0, 2.5, 2.64, 1 / 3)] == ["2", "2.5", "2.64", "0.333333"]
