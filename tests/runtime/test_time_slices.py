"""Long work in pieces: how much of a turn it takes, and who comes first."""

from __future__ import annotations

import math

import pytest
from twisted.internet.defer import Deferred

from pybal.runtime.pieces import PIECE
from pybal.runtime.time_slices import LEISURE_WITHIN_S, QUIET_S, SLICE_S, TimeSlices
from pybal.runtime.turn_clock import TurnClock
from tests.fakes.turns import Reactor


class Work:
    """Several workers, each with so many pieces that take their time; notes who did one, by
    turn."""

    def __init__(self, piece_s: float) -> None:
        self.reactor = Reactor()
        self.turns = TimeSlices(self.reactor)
        self.done: list[str] = [""]
        self._piece_s = piece_s

    def begin(self, name: str, pieces: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(name, pieces))

    async def _run(self, name: str, pieces: int) -> None:
        for _ in range(pieces):
            await self.turns.pause()
            self.done[-1] += name
            self.reactor.now_s += self._piece_s

    def turn(self) -> None:
        self.done.append("")
        self.reactor.turn()


def test_short_work_is_done_at_once() -> None:
    work = Work(SLICE_S / 10)
    work.begin("a", 3)
    work.begin("b", 3)
    assert work.done == ["aaabbb"]


def test_long_work_takes_a_slice_of_each_turn() -> None:
    work = Work(SLICE_S * 0.6)
    work.begin("a", 5)
    work.turn()
    work.turn()
    assert work.done == ["aa", "aa", "a"]


class TurnReactor(Reactor):
    """Its time within a turn is that of when somebody last looked."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = TurnClock(lambda: self.now_s, lambda: self.now_s)
        self.lately = self.clock.lately
        self.looks = 0

    def seconds(self) -> float:
        self.looks += 1
        return self.clock.seconds()

    def turn(self) -> None:
        self.clock.turn_ends()
        super().turn()


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 1.2, 3.0])
@pytest.mark.parametrize("looking", [0.0, 0.4, 1.0], ids=["none looks", "some look", "all look"])
def test_a_slice_ends_though_none_of_its_pieces_looks_at_the_clock(
    part: float, looking: float
) -> None:
    reactor, done, pieces = TurnReactor(), [0], 100
    slices = TimeSlices(reactor)

    def piece(number: int) -> None:
        before = int(number * looking)
        if int((number + 1) * looking) > before:
            reactor.seconds()
        reactor.now_s += part * SLICE_S
        done[-1] += 1

    for number in range(pieces):
        slices.call(piece, number)
    while sum(done) < pieces and len(done) <= pieces:
        done.append(0)
        reactor.turn()
    assert sum(done) == pieces
    # Who looked did so before the end of a piece: one more may be begun for that. Of short ones
    # some are done before it is looked.
    assert max(done) <= int(1 / part) + (5 if part < 1 / 8 else 2)


@pytest.mark.parametrize("part", [0.3, 0.6, 1.2, 3.0])
@pytest.mark.parametrize("at_leisure", [False, True])
def test_after_what_may_be_long_the_slice_looks_itself(part: float, at_leisure: bool) -> None:
    reactor, done = TurnReactor(), [0]
    slices = TimeSlices(reactor)

    async def work() -> None:
        await (slices.leisure() if at_leisure else slices.pause())
        reactor.now_s += SLICE_S / 1000
        reactor.seconds()
        reactor.now_s += part * SLICE_S
        done[-1] += 1

    for _ in range(20):
        Deferred.fromCoroutine(work())
    while sum(done) < 20 and len(done) <= 50:
        done.append(0)
        reactor.turn()
    assert sum(done) == 20
    assert max(done) == math.ceil(1 / part), "what looked when it began says nothing of its end"


def test_a_slice_begins_when_the_first_asks_however_late_in_the_turn() -> None:
    reactor, called = TurnReactor(), []
    slices = TimeSlices(reactor)

    def piece(number: int) -> None:
        called.append(number)
        reactor.now_s += SLICE_S * 0.3
        reactor.seconds()

    reactor.seconds()
    reactor.now_s += 5 * SLICE_S
    for number in range(10):
        slices.call(piece, number)
    assert called == [0, 1, 2, 3]


def test_who_looks_at_the_clock_does_so_for_the_slice_too() -> None:
    def looks(part: float, *, looking: bool) -> int:
        reactor = TurnReactor()
        slices = TimeSlices(reactor)

        def piece() -> None:
            reactor.now_s += SLICE_S * part
            if looking:
                reactor.seconds()

        for _ in range(4):
            slices.call(piece)
        return reactor.looks - 4 * looking

    assert looks(0.2, looking=True) < 2 < 4 <= looks(0.2, looking=False)


def test_of_short_pieces_some_are_done_before_the_slice_looks_at_the_clock() -> None:
    reactor, done, looks_by_turn = TurnReactor(), 0, []
    slices = TimeSlices(reactor)

    def piece() -> None:
        nonlocal done
        reactor.now_s += SLICE_S / 50
        done += 1

    for _ in range(100):
        slices.call(piece)
    while done < 100:
        looks = reactor.looks
        reactor.turn()
        looks_by_turn.append(reactor.looks - looks)
    assert max(looks_by_turn) < 20


def test_who_begins_to_wait_for_leisure_does_not_look_at_the_clock() -> None:
    reactor = TurnReactor()
    slices = TimeSlices(reactor)
    slices.call_at_leisure(lambda: None)
    before = reactor.looks
    for _ in range(50):
        slices.call_at_leisure(lambda: None)
    assert reactor.looks == before


def test_those_who_wait_take_turns() -> None:
    work = Work(SLICE_S)
    work.begin("a", 2)
    work.begin("b", 2)
    work.begin("c", 1)
    for _ in range(5):
        work.turn()
    assert work.done == ["a", "a", "b", "c", "b", ""]


def test_who_gives_up_waiting_holds_up_nobody() -> None:
    work = Work(SLICE_S)
    work.begin("a", 1)
    gone = work.begin("b", 1)
    work.begin("c", 1)
    gone.addErrback(lambda _: None)
    gone.cancel()
    work.turn()
    assert work.done == ["a", "c"]


def test_nothing_is_left_behind() -> None:
    work = Work(SLICE_S)
    work.begin("a", 3)
    for _ in range(4):
        work.turn()
    assert work.reactor.calls == []


def test_a_piece_that_needs_no_answer_waits_in_the_same_line() -> None:
    work = Work(SLICE_S)
    work.begin("a", 2)
    called: list[str] = []
    work.turns.call(called.append, "now")
    assert called == []
    work.turn()
    assert (work.done, called) == (["a", "a"], [])
    work.turn()
    assert called == ["now"]


class Leisure:
    """What waits for leisure, in turns that are busy or not."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.slices = TimeSlices(self.reactor)
        self.done: list[str] = []

    def want(self, name: str, *, last: bool = False) -> None:
        self.slices.leisure(last=last).addCallback(lambda _: self.done.append(name))

    def turns(self, count: int, busy_s: float = 0.0) -> None:
        for _ in range(count):
            self.reactor.now_s += busy_s
            self.reactor.turn()


@pytest.mark.parametrize("calls", [False, True])
def test_what_may_wait_comes_in_a_turn_that_has_little_to_do(calls: bool) -> None:
    leisure = Leisure()
    if calls:
        leisure.slices.call_at_leisure(leisure.done.append, "a")
    else:
        leisure.want("a")
    leisure.turns(5, QUIET_S * 2)
    assert leisure.done == []
    leisure.turns(1)
    assert leisure.done == ["a"]
    leisure.turns(1)
    assert leisure.reactor.calls == []


class Freed:
    """Its end takes its time, and is counted."""

    def __init__(self, leisure: Leisure) -> None:
        self._leisure = leisure

    def __del__(self) -> None:
        self._leisure.done.append("freed")
        self._leisure.reactor.now_s += SLICE_S / PIECE / 2


def test_thousands_that_nobody_has_any_longer_go_piece_by_piece_at_leisure() -> None:
    leisure = Leisure()
    kept = [Freed(leisure)]
    values = (*kept, *(Freed(leisure) for _ in range(5 * PIECE)))
    leisure.slices.let_go(values)
    del values
    assert leisure.done == []
    leisure.turns(3, QUIET_S * 2)
    assert leisure.done == [], "others have more to do"
    counts = []
    while len(leisure.done) < 5 * PIECE:
        before = len(leisure.done)
        leisure.turns(1)
        counts.append(len(leisure.done) - before)
        assert len(counts) < 20
    assert max(counts) <= 3 * PIECE
    leisure.turns(2)
    assert leisure.reactor.calls == []
    del kept
    assert len(leisure.done) == 5 * PIECE + 1


def test_few_go_at_once() -> None:
    leisure = Leisure()
    values = [Freed(leisure)]
    leisure.slices.let_go(values)
    del values
    assert leisure.done == ["freed"]
    assert leisure.reactor.calls == []


def test_what_may_wait_does_not_wait_for_ever() -> None:
    leisure = Leisure()
    leisure.want("a")
    leisure.want("b", last=True)
    leisure.turns(int(LEISURE_WITHIN_S / QUIET_S / 2) + 2, QUIET_S * 2)
    assert leisure.done == ["a", "b"]


def test_the_last_come_after_those_who_ask_again() -> None:
    leisure = Leisure()

    async def long() -> None:
        for _ in range(3):
            await leisure.slices.leisure()
            leisure.done.append("long")
            leisure.reactor.now_s += SLICE_S

    leisure.want("last", last=True)
    Deferred.fromCoroutine(long())
    leisure.turns(9)
    assert leisure.done == ["long", "long", "long", "last"]
    assert leisure.reactor.calls == []


def test_long_work_that_may_wait_is_done_soon_after_it_is_due_however_busy_the_turns_are() -> None:
    leisure = Leisure()

    async def long(name: str, *, last: bool) -> None:
        by_s = leisure.reactor.now_s + LEISURE_WITHIN_S
        for _ in range(100):
            await leisure.slices.leisure(last=last, by_s=by_s)
            leisure.done.append(name)
            leisure.reactor.now_s += SLICE_S / 10

    for _ in range(20):
        leisure.want("short")
    Deferred.fromCoroutine(long("long", last=False))
    Deferred.fromCoroutine(long("last", last=True))
    busy_s = QUIET_S * 2
    leisure.turns(int(LEISURE_WITHIN_S / busy_s) - 1, busy_s)
    assert leisure.done == []
    leisure.turns(25, busy_s)
    assert leisure.done.count("long") == leisure.done.count("last") == 100
    leisure.turns(2)
    assert leisure.reactor.calls == []
