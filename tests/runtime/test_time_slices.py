"""Long work in pieces: how much of a turn it takes, and who comes first."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred

from pybal.runtime.time_slices import SLICE_S, TimeSlices


class Reactor:
    """Calls that are asked for in a turn come in the next one, as a reactor's do; Twisted's Clock
    makes them in the same."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls: list[DelayedCall] = []

    def seconds(self) -> float:
        return self.now_s

    def callLater(
        self, delay_s: float, call: Callable[..., object], /, *args: object
    ) -> DelayedCall:
        assert delay_s == 0
        later = DelayedCall(delay_s, call, args, {}, self.calls.remove, self.calls.append)
        self.calls.append(later)
        return later

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call.func(*call.args)


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
    work = Work(SLICE_S / 2)
    work.begin("a", 5)
    work.turn()
    work.turn()
    assert work.done == ["aa", "aa", "a"]


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
