"""The logs that many share: what is counted is said, at the latest at the end."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from pybal.runtime.storm_log import MOST_LINES, StormLogs


def test_what_was_counted_is_said_when_all_ends() -> None:
    clock = Clock()
    logs = StormLogs(clock)
    log = logs.of("svc Probe")
    for number in range(MOST_LINES):
        log.line("info", f"line {number}")
    assert not log.has_room
    log.count("warn", "failed", "h1")
    with capturedLogs() as logged:
        logs.stop()
        logs.stop()
    said = [(event["log_level"].name, formatEvent(event)) for event in logged]
    assert said[0] == ("warn", "At the same time: 1 more failed (h1)")
    assert [level for level, _ in said[1:]] == ["debug"]
    assert clock.getDelayedCalls() == []


def test_a_log_is_shared_for_as_long_as_somebody_has_it() -> None:
    logs = StormLogs(Clock())
    one = logs.of("a")
    assert logs.of("a") is one
    assert logs.of("b") is not one
