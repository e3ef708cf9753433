"""A loop of polls goes on, whatever happens in one; should it ever end by itself, that is said."""

from __future__ import annotations

import random

from twisted.internet.task import Clock

from pybal.sources.poller import Pauses, Poller
from tests.fakes.log import FakeLog


class Polls:
    """What is polled, and what comes of it each time."""

    def __init__(self, source: random.Random) -> None:
        self.clock = Clock()
        self.log = FakeLog()
        self.polled = 0
        self.fails = False
        self.poller = Poller(self.clock, source, self.log.logger("web"), self.poll, Pauses(1, 1, 1))
        self.poller.start()

    async def poll(self) -> bool:
        self.polled += 1
        if self.fails:
            raise ZeroDivisionError("a mistake")
        return True


def test_a_poll_that_fails_is_said_and_not_the_last() -> None:
    polls = Polls(random.Random(1))
    polls.fails = True
    polls.clock.advance(2)
    assert polls.polled == 2
    assert "Polling failed unexpectedly; it goes on" in polls.log.take()[0]
    polls.clock.advance(2)
    assert polls.polled == 3
    polls.poller.stop()
    assert polls.log.take()[1:] == []
    assert polls.clock.getDelayedCalls() == []


def test_an_end_that_nobody_wanted_is_said() -> None:
    class Broken(random.Random):
        def uniform(self, _a: float, _b: float) -> float:
            raise ZeroDivisionError("a mistake")

    polls = Polls(Broken())
    assert polls.polled == 1
    assert "Polling has ended: ZeroDivisionError: a mistake" in polls.log.take()[0]
    polls.poller.stop()
