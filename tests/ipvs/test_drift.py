"""What someone else did, told apart and in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from pybal.ipvs.drift import Drift, DriftBook, DriftKind, comparing
from pybal.ipvs.model import Forwarding, Persistence, ServiceEntry, Tunnel, TunnelType
from pybal.runtime.pieces import in_one_go
from tests.ipvs.examples import DNS, WEB, destination, entry, pool
from tests.ipvs.strategies import tables

LEFT = pool(WEB, 1, 2)
TUNNELLED = destination(1, forwarding=Forwarding.TUNNEL)


def compare(left: ServiceEntry | None, found: ServiceEntry | None) -> tuple[Drift, ...]:
    return in_one_go(comparing(left, found))


@pytest.mark.parametrize(
    ("left", "found", "kind", "words"),
    [
        (LEFT, None, DriftKind.SERVICE_MISSING, "the service is gone"),
        (None, LEFT, DriftKind.SERVICE_FOREIGN, "the service was there before it was added"),
        (
            LEFT,
            replace(LEFT, service=replace(LEFT.service, scheduler="rr", one_packet=True)),
            DriftKind.SERVICE_CHANGED,
            "the service has scheduler rr, not wrr and one packet True, not False",
        ),
        (LEFT, pool(WEB, 1), DriftKind.SERVER_MISSING, "server 198.51.100.2:80 is gone"),
        (LEFT, pool(WEB, 1, 2, 3), DriftKind.SERVER_FOREIGN, "server 198.51.100.3:80 was added"),
        (
            LEFT,
            entry(WEB, destination(1), destination(2, 5, Forwarding.TUNNEL)),
            DriftKind.SERVER_CHANGED,
            "server 198.51.100.2:80 has weight 5, not 10 and forwarding tunnel, not direct",
        ),
        (
            pool(WEB, 1),
            entry(WEB, replace(destination(1, 5), rank=7)),
            DriftKind.SERVER_CHANGED,
            "server 198.51.100.1:80 has weight 5, not 10",
        ),
        (
            LEFT,
            replace(LEFT, service=replace(LEFT.service, persistence=Persistence(30, 24))),
            DriftKind.SERVICE_CHANGED,
            "the service has persistence 30 s (/24), not none",
        ),
        (
            replace(LEFT, service=replace(LEFT.service, persistence=Persistence(30, 32))),
            replace(LEFT, service=replace(LEFT.service, persistence=Persistence(30, None))),
            DriftKind.SERVICE_CHANGED,
            "the service has persistence 30 s (an odd netmask), not 30 s (/32)",
        ),
        (
            entry(WEB, TUNNELLED),
            entry(WEB, replace(TUNNELLED, tunnel=Tunnel(TunnelType.GUE, 6080, 1))),
            DriftKind.SERVER_CHANGED,
            "server 198.51.100.1:80 has tunnel gue to port 6080, checksum flags 1,"
            " not ipip, checksum flags 0",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, DriftKind) else "",
)
def test_each_kind_of_drift_is_named(
    left: ServiceEntry | None, found: ServiceEntry | None, kind: DriftKind, words: str
) -> None:
    assert compare(left, found) == (Drift(kind, words),)


@given(tables, tables)
def test_what_differs_is_said_in_words(
    left: dict[object, ServiceEntry], found: dict[object, ServiceEntry]
) -> None:
    for key in left.keys() | found.keys():
        for each in compare(left.get(key), found.get(key)):
            assert not re.search("[<>=]|None|object|[A-Z][a-z]+\\(", each.words)


@given(tables, tables)
def test_there_is_drift_exactly_where_something_differs(
    left: dict[object, ServiceEntry], found: dict[object, ServiceEntry]
) -> None:
    for key in left.keys() | found.keys():
        differs = left.get(key) != found.get(key)
        assert bool(compare(left.get(key), found.get(key))) == differs


@pytest.mark.parametrize(("servers", "pieces"), [(99, 0), (100, 1), (199, 1), (250, 2)])
def test_a_comparison_pauses_after_every_hundred_servers(servers: int, pieces: int) -> None:
    same = pool(WEB, *range(servers))
    assert list(comparing(same, pool(WEB, *range(servers)))) == [20] * pieces
    # Only where one is too many must those that were found be looked through.
    assert list(comparing(same, pool(WEB, *range(servers + 1)))) == [20] * (
        (2 * servers + 1) // 100
    )


def test_the_book_counts_by_kind_and_keeps_what_is_open() -> None:
    book = DriftBook()
    book.note(WEB, compare(LEFT, pool(WEB, 3)), 100.0)
    book.note(DNS, compare(pool(DNS, 1), None), 101.0)
    book.note(WEB, compare(LEFT, pool(WEB, 1)), 102.0)
    assert {kind: count for kind, count in book.totals if count} == {
        "server_missing": 3,
        "server_foreign": 1,
        "service_missing": 1,
    }
    assert len(book.totals) == len(DriftKind)
    assert [(each.service, each.since) for each in book.open] == [
        (str(WEB), 100.0),
        (str(DNS), 101.0),
    ]
    book.over(WEB)
    assert WEB not in book
    assert DNS in book


def test_a_repair_is_counted_once_and_stays_to_be_seen() -> None:
    book = DriftBook()
    book.note(WEB, compare(LEFT, None), 100.0)
    (found,) = book.open
    assert not found.repaired
    book.repaired(WEB, 3)
    book.repaired(WEB, 1)
    assert book.repairs_total == 3
    assert book.open[0].repaired
    book.note(WEB, compare(LEFT, None), 160.0)
    book.repaired(WEB, 3)
    assert book.repairs_total == 6
    assert book.open[0].since == 100.0


def test_only_the_first_differences_of_a_service_are_spelt_out() -> None:
    book = DriftBook()
    book.note(DNS, compare(pool(DNS, *range(5)), pool(DNS)), 100.0)
    assert book.words(DNS).endswith("server 198.51.100.4:53 is gone")
    book.over(DNS)
    book.note(WEB, compare(pool(WEB, *range(1, 101)), pool(WEB)), 100.0)
    assert len(book.open[0].differences) == 6
    assert book.words(WEB).endswith("; 95 more differences")
