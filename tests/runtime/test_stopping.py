"""Each part of what ends does so, whatever becomes of the others."""

from __future__ import annotations

from functools import partial

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from pybal.runtime.stopping import end_each, end_in_turn, ending
from tests.fakes.deferreds import result_of
from tests.fakes.log import FakeLog


class Part:
    """Ends, or does not; `ended` is what has."""

    def __init__(self, ended: list[str], name: str, how: Deferred[None] | None = None) -> None:
        self.ended = ended
        self.name = name
        self.how = how

    def stop(self, how: str = "") -> None:
        self.ended.append(self.name + how)
        if self.how is not None:
            raise OSError(f"{self.name} is stuck")

    async def end(self) -> None:
        self.ended.append(self.name)
        if self.how is not None:
            await self.how


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


def said(log: FakeLog) -> list[str]:
    """Without the tracebacks."""
    return [line.splitlines()[0] for line in log.lines]


def test_what_cannot_end_is_said_and_keeps_no_other_from_ending(log: FakeLog) -> None:
    ended: list[str] = []
    a, b, c = Part(ended, "a", Deferred()), Part(ended, "b"), Part(ended, "c", Deferred())
    end_each(log.logger("web"), a.stop, b.stop, partial(c.stop, "!"))
    assert ended == ["a", "b", "c!"]
    assert said(log) == [
        "[web] CRITICAL: Not stopped in order: Part.stop: OSError: a is stuck",
        "[web] CRITICAL: Not stopped in order: Part.stop: OSError: c is stuck",
    ]


def test_each_begins_to_end_once_the_one_before_has_ended(log: FakeLog) -> None:
    ended: list[str] = []
    waits: Deferred[None] = Deferred()
    a, b, c = Part(ended, "a", fail(OSError("stuck"))), Part(ended, "b", waits), Part(ended, "c")
    done = Deferred.fromCoroutine(end_in_turn(log.logger("web"), a.end, b.end, c.end))
    assert ended == ["a", "b"]
    waits.callback(None)
    assert ended == ["a", "b", "c"]
    assert result_of(done) is None
    assert said(log) == ["[web] CRITICAL: Not stopped in order: Part.end: OSError: stuck"]


def test_who_does_not_wait_any_longer_has_the_next_one_end(log: FakeLog) -> None:
    ended: list[str] = []
    waits: Deferred[None] = Deferred()
    a, b = Part(ended, "a", Deferred()), Part(ended, "b", waits)
    done = Deferred.fromCoroutine(end_in_turn(log.logger("web"), a.end, b.end))
    done.addCallback(lambda _: ended.append("all"))
    done.cancel()
    assert ended == ["a", "b"]
    waits.callback(None)
    assert ended == ["a", "b", "all"]
    assert log.lines == []


def test_those_that_end_beside_one_another_are_called_by_name(log: FakeLog) -> None:
    waits: Deferred[None] = Deferred()
    first = ending(log.logger("web"), "the first", lambda: fail(OSError("stuck")))
    second = ending(log.logger("web"), "the second", lambda: waits)
    third = ending(log.logger("web"), "the third", lambda: succeed("of no interest"))
    assert (first.called, second.called, third.called) == (True, False, True)
    waits.cancel()
    assert [result_of(each) for each in (first, second, third)] == [None] * 3
    assert said(log) == ["[web] CRITICAL: Not stopped in order: the first: OSError: stuck"]
