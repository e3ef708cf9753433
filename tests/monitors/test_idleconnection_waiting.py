"""IdleConnection: what has come, and waits to be told, is no silence of the server's."""

from __future__ import annotations

import errno

import pytest

from tests.fakes.environment import MonitorBench
from tests.monitors.test_idleconnection import SETTINGS, connecting, last_reason


def test_how_long_a_refusal_waited_to_be_told_is_not_the_servers_time() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = connecting(bench)
    bench.clock.advance(2.25)
    channel.waited = 2.0
    channel.end(errno.ECONNREFUSED)
    assert bench.reports[-1].duration_s == pytest.approx(0.25)
    assert "failed after 0.250 s: connection refused" in last_reason(bench)


def test_what_has_come_by_the_timeout_counts_though_nobody_was_told_of_it() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = connecting(bench)
    channel.unseen = lambda: channel.end(errno.ECONNREFUSED)
    bench.clock.advance(SETTINGS.timeout_s)
    assert bench.ups == [False]
    assert last_reason(bench).endswith("connection refused")
    again = connecting(bench)
    again.unseen = again.connect
    bench.clock.advance(SETTINGS.timeout_s)
    assert bench.ups == [False, True]
    assert again.open
    bench.advance(60)
    assert bench.clock.getDelayedCalls() == []
