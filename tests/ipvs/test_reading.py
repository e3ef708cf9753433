"""A reading of several turns, while others change what is read."""

from __future__ import annotations

import errno

import pytest

from pybal.errors import KernelError
from pybal.ipvs.drift import Drift
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.operations import RemoveDestination, RemoveService
from pybal.ipvs.reading import Reader
from tests.fakes.kernel import FakeKernel
from tests.ipvs.examples import DNS, WEB, pool, server

PIECE = 3
KNOWN = pool(WEB, *range(1, 13))


class Bench:
    """A reader that takes a piece a turn."""

    def __init__(self) -> None:
        self.kernel = FakeKernel({WEB: KNOWN, DNS: pool(DNS, 1)})
        self.kernel.piece = PIECE
        self.found: list[tuple[ServiceEntry | None, list[str]]] = []
        known = {WEB: KNOWN, DNS: pool(DNS, 1)}
        self.unread: list[tuple[ServiceKey, KernelError]] = []
        self.reader = Reader(self.kernel, known, self._found, self._unread)

    def _found(self, key: ServiceKey, entry: ServiceEntry | None, drift: tuple[Drift, ...]) -> None:
        self.found.append((entry, [each.words for each in drift]))

    def _unread(self, key: ServiceKey, error: KernelError) -> None:
        self.unread.append((key, error))

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.reader.go_on(1)


def test_a_server_that_stands_is_not_missed_because_another_goes_meanwhile() -> None:
    bench = Bench()
    bench.reader.audit(WEB)
    bench.turn(2)
    bench.kernel.by_hand(RemoveDestination(WEB, server(1)))
    bench.turn(20)
    assert bench.kernel.reads == [WEB, WEB]
    assert bench.found == [(pool(WEB, *range(2, 13)), ["server 198.51.100.1:80 is gone"])]


def test_a_service_that_goes_meanwhile_is_gone() -> None:
    bench = Bench()
    bench.reader.audit(WEB)
    bench.turn(2)
    bench.kernel.by_hand(RemoveService(WEB))
    bench.turn(20)
    assert bench.found == [(None, ["the service is gone"])]


def test_what_is_being_read_is_finished_before_what_is_urgent_begins() -> None:
    bench = Bench()
    bench.reader.audit(WEB)
    bench.turn()
    assert bench.reader.is_reading(WEB)
    bench.reader.look(DNS)
    assert bench.reader.advance(100) > PIECE
    assert bench.kernel.reads == [WEB, DNS]
    assert [words for _, words in bench.found] == [[], []]
    assert not bench.reader.urgent
    assert not bench.reader.auditing


def test_a_reading_that_is_dropped_is_forgotten() -> None:
    bench = Bench()
    bench.reader.audit(WEB)
    bench.turn()
    assert bench.reader.drop() == (WEB,)
    assert bench.reader.drop() == ()
    bench.turn(20)
    assert bench.found == []


def test_what_is_urgent_is_read_before_what_has_its_turn() -> None:
    bench = Bench()
    bench.reader.audit(WEB)
    assert (bench.reader.auditing, bench.reader.urgent) == (True, False)
    bench.reader.look(DNS)
    assert (bench.reader.auditing, bench.reader.urgent) == (True, True)
    assert bench.reader.advance(100) == 1
    assert (bench.reader.auditing, bench.reader.urgent) == (True, False)
    assert bench.kernel.reads == [DNS]


@pytest.mark.parametrize("urgent", [False, True])
def test_a_turn_reads_so_many_servers_and_at_most_a_piece_more(urgent: bool) -> None:
    bench = Bench()
    ask, read = bench.reader.audit, bench.reader.go_on
    if urgent:
        ask, read = bench.reader.look, bench.reader.advance
    ask(DNS)
    ask(WEB)
    assert read(PIECE) == 1 + PIECE  # The one server of DNS, and one piece of the other.
    assert read(PIECE) == PIECE
    assert read(PIECE + 1) == 2 * PIECE
    assert len(bench.found) == 1
    assert read(PIECE) == 1  # That it was the end.
    assert len(bench.found) == 2
    assert read(PIECE) == 0


def test_a_service_that_is_gone_costs_as_much_as_a_server() -> None:
    bench = Bench()
    bench.kernel.by_hand(RemoveService(WEB), RemoveService(DNS))
    bench.reader.audit(WEB)
    bench.reader.audit(DNS)
    assert bench.reader.go_on(1) == 1
    assert bench.kernel.reads == [WEB]


def test_a_service_that_cannot_be_read_is_told_of_and_the_next_is_read() -> None:
    bench = Bench()
    bench.reader.audit(WEB)
    bench.reader.audit(DNS)
    broken = bench.kernel.broken = KernelError("read", errno.ENOBUFS)
    assert bench.reader.go_on(1) == 1
    assert bench.unread == [(WEB, broken)]
    assert not bench.reader.is_reading(WEB)
    bench.kernel.broken = None
    bench.turn(20)
    assert bench.kernel.reads == [DNS]
    assert bench.found == [(pool(DNS, 1), [])]
