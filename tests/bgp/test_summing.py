"""What a peer can bring about at will is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from pybal.bgp.summing import SummingLog


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str, **values: Any) -> None:
        self.said.append(text.format(**values))

    debug = info = error = warn


def test_what_is_said_more_than_five_times_is_summed_up() -> None:
    clock, lines = Clock(), Lines()
    log = SummingLog(lines, clock)
    for number in range(30_000):
        log.warn("bad UPDATE {number}", number=number)
        log.info("other {number}", number=0)
    assert len(lines.said) == 10
    clock.advance(10)
    assert lines.said[10:] == [
        "bad UPDATE 29999 (29995 times more in 10 s, of which this is the last)",
        "other 0 (29995 times more in 10 s, of which this is the last)",
    ]
    log.warn("bad UPDATE {number}", number=1)
    assert lines.said[-1] == "bad UPDATE 1"


def test_now_and_then_is_not_summed_up() -> None:
    clock, lines = Clock(), Lines()
    log = SummingLog(lines, clock)
    for _ in range(50):
        log.warn("once")
        clock.advance(2.1)
    assert lines.said == ["once"] * 50
    assert clock.getDelayedCalls() == []


def test_a_long_value_is_cut() -> None:
    lines = Lines()
    SummingLog(lines, Clock()).warn("{what}", what="x" * 60_000)
    assert lines.said == ["x" * 400 + "..."]
    SummingLog(lines, Clock()).warn("{what}", what="x" * 400)
    assert lines.said[1] == "x" * 400


@pytest.mark.parametrize("level", ["debug", "info", "warn", "error"])
def test_each_level_is_said(level: str) -> None:
    lines = Lines()
    getattr(SummingLog(lines, Clock()), level)("{what} happened", what="much")
    assert lines.said == ["much happened"]


def test_five_lines_are_for_ten_seconds() -> None:
    clock, lines = Clock(), Lines()
    log = SummingLog(lines, clock)
    clock.advance(1)
    for _ in range(5):
        log.warn("bad")
    clock.advance(10)
    log.warn("bad")
    assert len(lines.said) == 6
    clock.advance(9)
    for _ in range(5):
        log.warn("bad")
    assert len(lines.said) == 10


def test_at_the_end_the_sum_is_said_and_no_timer_is_left() -> None:
    clock, lines = Clock(), Lines()
    log = SummingLog(lines, clock)
    for _ in range(7):
        log.warn("bad")
    log.close()
    log.close()
    assert "2 times more" in lines.said[-1]
    for _ in range(7):
        log.warn("bad")
    assert clock.getDelayedCalls() == []
