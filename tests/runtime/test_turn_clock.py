"""What time it is within a turn: read seldom, never from another turn, never backwards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock

from pybal.runtime.turn_clock import LONG_S, TurnClock, drive, lately

UNIX_S = 1_800_000_000.0


class Times:
    """Two clocks that go on at each reading, as that takes its time; counts the readings."""

    def __init__(self, step_s: float = 0.001) -> None:
        self.at_s, self.set_by_s, self.readings = 100.0, 0.0, 0
        self._step_s = step_s

    def steady(self) -> float:
        self.readings += 1
        self.at_s += self._step_s
        return self.at_s

    def unix(self) -> float:
        return self.steady() + UNIX_S + self.set_by_s


def clock_of(times: Times) -> TurnClock:
    return TurnClock(times.steady, times.unix)


def test_within_a_turn_the_time_is_read_once() -> None:
    times = Times()
    clock = clock_of(times)
    assert [clock.lately() for _ in range(20)] == [100.001] * 20
    assert times.readings == 1


def test_who_asks_exactly_tells_the_others() -> None:
    times = Times()
    clock = clock_of(times)
    clock.lately()
    times.at_s = 200.0
    assert clock.lately() < 101
    exact_s = clock.seconds()
    assert exact_s > 200
    assert clock.lately() == exact_s


def test_the_next_turn_is_told_anew() -> None:
    times = Times()
    clock = clock_of(times)
    clock.lately(), clock.now()
    times.at_s = 300.0
    clock.turn_ends()
    assert clock.lately() > 300
    assert clock.now() > UNIX_S + 300


def test_the_unix_time_goes_on_within_a_turn() -> None:
    times = Times()
    clock = clock_of(times)
    before = clock.now()
    times.at_s += 0.5
    assert clock.now() - before < 0.01
    clock.seconds()
    assert 0.49 < clock.now() - before < 0.52


def test_a_clock_that_was_set_is_seen_in_the_next_turn() -> None:
    times = Times()
    clock = clock_of(times)
    before = clock.now()
    times.set_by_s = -3600.0
    assert abs(clock.now() - before) < 0.01
    clock.turn_ends()
    assert -3601 < clock.now() - before < -3599


def test_another_thread_is_told_the_exact_time_and_leaves_none_behind() -> None:
    times = Times()
    clock = clock_of(times)
    with ThreadPoolExecutor(1) as thread:

        def there(ask: Callable[[], float]) -> float:
            return thread.submit(ask).result()

        here = clock.lately()
        times.at_s = 400.0
        for ask in (clock.seconds, clock.lately, clock.now):
            assert there(ask) % UNIX_S > 400
        assert clock.lately() == here
        clock.turn_ends()
        there(clock.lately)
        times.at_s = 500.0
        assert clock.lately() > 500


@given(st.lists(st.sampled_from(["seconds", "lately", "now", "turn_ends"]), max_size=40))
def test_no_time_is_before_one_that_was_told(asked: list[str]) -> None:
    times = Times()
    clock = clock_of(times)
    told = {"seconds": 0.0, "now": 0.0}
    for what in asked:
        began_at_s = times.at_s
        found = getattr(clock, what)()
        if what == "turn_ends":
            continue
        kind = "now" if what == "now" else "seconds"
        assert found >= told[kind]
        assert found % UNIX_S <= times.at_s + 1e-6
        assert what != "seconds" or found > began_at_s
        told[kind] = found


class Reactor(ReactorBase):
    """Twisted's, which waits for nothing."""

    def installWaker(self) -> None:  # noqa: N802
        """None."""

    def removeAll(self) -> list[object]:  # type: ignore[override]  # noqa: N802
        """There are none."""
        return []


class Ends(list[tuple[float, bool]]):
    """Notes the ends of turns: when, and whether the reactor waits."""

    def __call__(self, now_s: float, /, *, waits: bool) -> None:
        self.append((now_s, waits))


def test_who_is_told_of_the_ends_of_turns_knows_whether_the_reactor_waits() -> None:
    times, ends = Times(0.0), Ends()
    reactor = Reactor()
    drive(reactor, clock_of(times), ends)
    reactor.timeout()
    reactor.callLater(0.25, lambda: None)
    reactor.timeout()
    reactor.callLater(0, lambda: None)
    reactor.timeout()
    times.at_s += 1.0
    reactor.timeout()
    assert ends == [(100.0, True), (100.0, True), (100.0, False), (101.0, False)]


def test_a_reactor_tells_this_time_and_ends_its_turns() -> None:
    times = Times()
    reactor, clock = Reactor(), clock_of(times)
    drive(reactor, clock, Ends())
    found: list[float] = []
    reactor.callLater(0.5, lambda: found.append(lately(reactor)()))
    assert reactor.timeout() is not None
    times.at_s += 1.0
    # What wakes the reactor asks first, before any timer.
    assert lately(reactor)() > 101
    times.at_s += 1.0
    reactor.runUntilCurrent()
    # A reactor looks what time it is before it calls what is due.
    assert found[0] > 102
    assert reactor.seconds() > found[0]


def test_who_waits_long_begins_to_wait_when_the_turn_last_looked() -> None:
    times = Times()
    reactor, clock = Reactor(), clock_of(times)
    drive(reactor, clock, Ends())
    looked_at_s = clock.seconds()
    times.at_s += 0.02
    readings = times.readings
    calls = [reactor.callLater(LONG_S, print, n, end="") for n in range(20)]
    assert times.readings == readings
    assert {call.getTime() for call in calls} == {looked_at_s + LONG_S}
    short = reactor.callLater(LONG_S / 2, print)
    assert short.getTime() > looked_at_s + 0.02 + LONG_S / 2
    assert reactor.seconds() > looked_at_s + 0.02
    clock.turn_ends()
    times.at_s += 1.0
    assert reactor.callLater(LONG_S, print).getTime() > looked_at_s + 1 + LONG_S


def test_a_wait_that_cannot_be_leaves_the_clock_exact() -> None:
    times = Times()
    reactor, clock = Reactor(), clock_of(times)
    drive(reactor, clock, Ends())
    looked_at_s = clock.seconds()
    with pytest.raises(TypeError):
        reactor.callLater(LONG_S)  # type: ignore[call-arg]
    assert reactor.seconds() > looked_at_s


def test_a_reactor_that_has_nothing_to_do_ends_its_turns_too() -> None:
    times = Times()
    reactor, clock = Reactor(), clock_of(times)
    drive(reactor, clock, Ends())
    clock.lately()
    assert reactor.timeout() is None
    times.at_s += 1.0
    assert clock.lately() > 101


def test_any_other_clock_is_as_exact_as_ever() -> None:
    clock = Clock()
    clock.advance(3)
    asked = lately(clock)
    clock.advance(4)
    assert asked() == 7
