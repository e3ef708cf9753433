"""Few notices are lines as ever; of thousands the first are, and a summary says how many more."""

from __future__ import annotations

from fractions import Fraction

from twisted.internet.task import Clock
from twisted.logger import Logger, capturedLogs, formatEvent

from pybal.model import ServerSpec
from pybal.pool.events import (
    CouldNotDepool,
    Notice,
    PooledChanged,
    ReportedDown,
    ServerAdded,
    TooFewEligible,
)
from pybal.pool.log_lines import log_line
from pybal.pool.notice_log import NoticeLog
from pybal.runtime.storm_log import MOST_LINES, WINDOW_S


class Book:
    """A NoticeLog, and what it has logged."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.log = NoticeLog(self.clock, Logger(namespace="svc_80"))

    def lines(self, *notices: Notice, advance_s: float = 0.0) -> list[tuple[str, str]]:
        with capturedLogs() as logged:
            for notice in notices:
                self.log.write([notice])
            self.clock.advance(advance_s)
        return [(event["log_level"].name, formatEvent(event)) for event in logged]


def down(number: int) -> tuple[Notice, Notice]:
    host = f"h{number}"
    report = ReportedDown(host, "enabled/up/pooled", "IdleConnection", "refused")
    return report, PooledChanged(host, pooled=False, up=False)


def downs(count: int) -> list[Notice]:
    return [notice for number in range(count) for notice in down(number)]


def test_as_many_notices_as_usual_are_lines_and_nothing_follows() -> None:
    book = Book()
    notices = downs(MOST_LINES // 2)
    assert book.lines(*notices, advance_s=60) == [log_line(each) for each in notices]
    assert book.lines(*notices, advance_s=60) == [log_line(each) for each in notices]
    assert book.clock.getDelayedCalls() == []


def test_the_first_of_a_kind_is_a_line_whatever_there_is_of_others() -> None:
    book = Book()
    refusals = [CouldNotDepool(f"r{number}") for number in range(3)]
    lines = book.lines(*downs(100), *refusals, advance_s=WINDOW_S)
    assert lines[MOST_LINES] == log_line(refusals[0])
    summary, _ = lines[MOST_LINES + 1 :]
    assert "2 more could not be depooled because of too many down (r1, r2)" in summary[1]


def test_of_a_storm_the_first_are_lines_and_the_rest_is_a_summary() -> None:
    book = Book()
    notices = downs(1000)
    lines = book.lines(*notices, advance_s=WINDOW_S)
    assert lines[:MOST_LINES] == [log_line(each) for each in notices[:MOST_LINES]]
    summary, every = lines[MOST_LINES:]
    assert summary == (
        "error",
        "At the same time: 975 more reported down by IdleConnection (h25, h26, h27, h28, h29, h30,"
        " h31, h32, h33, h34 and 965 more); 975 more depooled (h25, h26, h27, h28, h29, h30, h31,"
        " h32, h33, h34 and 965 more)",
    )
    assert every[0] == "debug"
    assert every[1].count("h999") == 2
    assert book.lines(*down(7)) == [log_line(each) for each in down(7)], "and then lines again"


def test_a_list_of_thousands_is_summed_up_and_too_few_servers_are_always_told_of() -> None:
    book = Book()
    few = TooFewEligible(3, Fraction(5))
    added = [ServerAdded(ServerSpec(f"h{number}")) for number in range(2400)]
    lines = book.lines(*added, few)
    assert lines[:MOST_LINES] == [log_line(each) for each in added[:MOST_LINES]]
    assert lines[MOST_LINES:] == [log_line(few)]
    with capturedLogs() as logged:
        book.log.stop()
        book.log.stop()
    assert "2350 more new (h50" in formatEvent(logged[0])
    assert book.clock.getDelayedCalls() == []
