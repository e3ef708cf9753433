"""IdleConnection: connected is up; how each kind of end is taken."""

from __future__ import annotations

import dataclasses
import errno

import pytest
from twisted.logger import capturedLogs

from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.short_lived import SHORT_LIVED_FOR_S, STEADY_S
from pybal.net.port import Keepalive
from tests.fakes.environment import MonitorBench
from tests.fakes.log import format_line
from tests.fakes.network import FakeChannel, without_garbage

SHORT_LIVED = "pybal_monitor_idleconnection_short_lived"
SETTINGS = IdleConnectionSettings(max_delay_s=8)


def connecting(bench: MonitorBench, most_s: float = 20) -> FakeChannel:
    """The channel that is being connected, waited for if need be."""
    for _ in range(round(most_s * 100)):
        for channel in bench.network.channels[-1:]:
            if channel.open and not channel.connected:
                return channel
        bench.clock.advance(0.01)
    raise AssertionError("no attempt was made")


def connected(bench: MonitorBench, settings: IdleConnectionSettings = SETTINGS) -> FakeChannel:
    """A monitor's channel that has just been connected."""
    bench.start(settings)
    channel = connecting(bench)
    channel.connect()
    return channel


def last_reason(bench: MonitorBench) -> str:
    return bench.reports[-1].reason


def test_it_connects_to_the_servers_address_and_port_with_keepalive() -> None:
    bench = MonitorBench(address="2001:db8::7")
    channel = connected(bench)
    assert (channel.address, channel.port) == (bench.target.address, 443)
    assert channel.keepalive == Keepalive(idle_s=10, interval_s=30, retries=3)
    assert last_reason(bench).startswith("connected to [2001:db8::7]:443 in ")


def test_keepalive_can_be_turned_off() -> None:
    assert connected(MonitorBench(), IdleConnectionSettings(keepalive=False)).keepalive is None


def test_nothing_is_ever_sent() -> None:
    bench = MonitorBench()
    channel = connected(bench)
    bench.advance(60)
    assert channel.open and channel.sent == []
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (errno.ECONNREFUSED, "connection refused"),
        (errno.EHOSTUNREACH, "no route to host"),
        (errno.ECONNRESET, "connection reset by peer"),
    ],
)
def test_a_failed_attempt_is_down_at_once(code: int, why: str) -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = connecting(bench)
    bench.clock.advance(0.25)
    channel.end(code)
    assert bench.ups == [False]
    assert last_reason(bench) == f"connecting to 192.0.2.7:443 failed after 0.250 s: {why}"


def test_no_answer_is_down_after_the_connect_timeout_and_the_socket_is_closed() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    channel = connecting(bench)
    bench.clock.advance(SETTINGS.timeout_s - 0.001)
    assert bench.reports == []
    bench.clock.advance(0.001)
    assert bench.ups == [False]
    assert last_reason(bench) == "connecting to 192.0.2.7:443 failed after 5.000 s: no answer"
    assert not channel.open


@pytest.mark.parametrize("code", [errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH])
def test_an_unclean_loss_is_down_in_the_same_turn(code: int) -> None:
    bench = MonitorBench()
    channel = connected(bench)
    bench.clock.advance(61.5)
    channel.end(code)
    assert bench.ups == [True, False]
    assert last_reason(bench).startswith("connection to 192.0.2.7:443 lost after 61.5 s: ")


def test_attempts_back_off_up_to_the_maximum_and_each_counts() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    ends: list[float] = []
    delays: list[float] = []
    for _ in range(8):
        channel = connecting(bench)
        if ends:
            delays.append(bench.clock.seconds() - ends[-1])
        channel.end(errno.ECONNREFUSED)
        ends.append(bench.clock.seconds())
    for delay_s, ceiling_s in zip(delays, (1, 2, 4, 8, 8, 8, 8), strict=True):
        assert ceiling_s / 2 - 0.02 <= delay_s <= ceiling_s + 0.02
    assert bench.ups == [False]
    assert monitor.snapshot().down_results == 8


def test_a_lasting_recovery_ends_the_back_off_and_a_brief_one_does_not() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    for _ in range(4):
        connecting(bench).end(errno.ECONNREFUSED)
    for lasts_s, least_s, most_s in ((STEADY_S - 0.1, 4.0, 8.1), (STEADY_S, 0.5, 1.1)):
        channel = connecting(bench)
        channel.connect()
        bench.clock.advance(lasts_s)
        channel.end(errno.ECONNRESET)
        lost_at = bench.clock.seconds()
        connecting(bench)
        assert least_s <= bench.clock.seconds() - lost_at <= most_s
    assert bench.ups == [False, True, False, True, False]


def test_a_clean_end_is_reconnected_at_once_without_going_down() -> None:
    bench = MonitorBench()
    channel = connected(bench)
    bench.advance(60)
    channel.end()
    (again,) = bench.network.open
    assert again is not channel
    again.connect()
    assert bench.ups == [True]


def test_a_clean_end_is_down_if_the_reconnect_is_refused() -> None:
    bench = MonitorBench()
    channel = connected(bench)
    bench.advance(60)
    channel.end()
    connecting(bench).end(errno.ECONNREFUSED)
    assert bench.ups == [True, False]
    assert last_reason(bench) == (
        "the server closed the connection after 60.0 s; "
        "reconnecting to 192.0.2.7:443 failed after 0.000 s: connection refused"
    )


@pytest.mark.parametrize("lasts_s", [0.0, 60.0])
def test_a_clean_reconnect_has_its_own_time_limit(lasts_s: float) -> None:
    bench = MonitorBench()
    channel = connected(bench, IdleConnectionSettings(timeout_clean_reconnect_s=2))
    bench.advance(lasts_s)
    channel.end()
    bench.advance(1.9)
    assert bench.ups == [True]
    bench.advance(0.2)
    assert bench.ups == [True, False]
    assert bench.network.open == []


def test_without_time_for_a_clean_reconnect_a_clean_end_is_down() -> None:
    bench = MonitorBench()
    connected(bench, IdleConnectionSettings(timeout_clean_reconnect_s=0)).end()
    assert bench.ups == [True, False]
    assert last_reason(bench).endswith("lost after 0.0 s: closed by the server")


def test_a_server_that_closes_at_once_each_time_is_up_but_cannot_make_us_spin() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    while bench.clock.seconds() < 60:
        channel = connecting(bench)
        channel.connect()
        channel.end()
    assert bench.ups == [True]
    assert len(bench.network.channels) < 75


def closes_at_once(bench: MonitorBench, until_s: float) -> None:
    """The server takes each connection, and closes it in the same moment."""
    while bench.clock.seconds() < until_s:
        channel = connecting(bench, most_s=400)
        channel.connect()
        channel.end()


def test_a_server_that_closes_at_once_for_minutes_is_said_to_once_and_is_up() -> None:
    bench = MonitorBench()
    with capturedLogs() as logged:
        monitor = bench.start(SETTINGS)
        closes_at_once(bench, SHORT_LIVED_FOR_S - 5)
        assert logged == [] and monitor.snapshot().samples[-1].metric.endswith("_lost_total")
        closes_at_once(bench, 3 * SHORT_LIVED_FOR_S)
        sample = monitor.snapshot().samples[-1]
        assert (sample.metric, sample.labels, sample.value) == (SHORT_LIVED, (), 1.0)
        connecting(bench).connect()
        bench.advance(STEADY_S + 0.1)
        assert SHORT_LIVED not in {sample.metric for sample in monitor.snapshot().samples}
    lines = [format_line(event) for event in logged]
    assert bench.ups == [True]
    assert [line.partition(": the server")[0] for line in lines[:1]] == [
        "[textlb_443 IdleConnection] WARN: cp1.example (up)"
    ]
    assert "closed each connection to 192.0.2.7:443 within 5 s for 18" in lines[0]
    assert lines[0].endswith("counts as up (idleconnection.fail-on-short-lived = no)")
    assert lines[1:] == [
        "[textlb_443 IdleConnection] INFO: cp1.example (up): "
        "a connection to 192.0.2.7:443 lasts again"
    ]


def test_a_server_that_closes_at_once_for_minutes_may_be_down_until_a_connection_lasts() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, fail_on_short_lived=True))
    closes_at_once(bench, SHORT_LIVED_FOR_S - 5)
    assert bench.ups == [True]
    closes_at_once(bench, 2 * SHORT_LIVED_FOR_S)
    assert bench.ups == [True, False]
    assert (
        last_reason(bench) == "connection to 192.0.2.7:443 lost after 0.0 s: closed by the server"
    )
    channel = connecting(bench)
    channel.connect()
    bench.advance(STEADY_S - 0.1)
    assert bench.ups == [True, False]
    bench.advance(0.2)
    assert bench.ups == [True, False, True]
    assert last_reason(bench) == "a connection to 192.0.2.7:443 lasts again"
    bench.advance(60)
    channel.end()
    connecting(bench).connect()
    assert bench.ups == [True, False, True]


@pytest.mark.parametrize("fails", [False, True])
def test_a_server_that_closes_at_once_now_and_then_is_not_said_to(fails: bool) -> None:
    bench = MonitorBench()
    with capturedLogs() as logged:
        bench.start(dataclasses.replace(SETTINGS, fail_on_short_lived=fails))
        for _ in range(10):
            closes_at_once(bench, bench.clock.seconds() + 60)
            connecting(bench).connect()
            bench.advance(60)
            bench.network.open[0].end()
    assert logged == []
    assert bench.ups == [True]


def test_a_monitor_that_is_stopped_is_no_garbage() -> None:
    bench = MonitorBench()
    with without_garbage(bench.network):
        monitor = bench.start(SETTINGS)
        connecting(bench).connect()
        monitor.stop()
        del monitor
        bench.advance(1)


def test_a_stop_while_a_connection_is_to_show_that_it_lasts_leaves_nothing_behind() -> None:
    bench = MonitorBench()
    monitor = bench.start(dataclasses.replace(SETTINGS, fail_on_short_lived=True))
    closes_at_once(bench, 2 * SHORT_LIVED_FOR_S)
    connecting(bench).connect()
    monitor.stop()
    assert bench.clock.getDelayedCalls() == []
    assert bench.network.open == []


def test_a_connection_that_brings_too_much_does_not_last() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, fail_on_short_lived=True))
    closes_at_once(bench, 2 * SHORT_LIVED_FOR_S)
    channel = connecting(bench)
    channel.connect()
    channel.receive(b"x" * 70_000)
    bench.advance(STEADY_S + 1)
    assert bench.ups == [True, False]


@pytest.mark.parametrize("clean_s", [0, 3])
def test_too_much_data_costs_the_connection_but_is_not_down(clean_s: float) -> None:
    bench = MonitorBench()
    channel = connected(bench, IdleConnectionSettings(timeout_clean_reconnect_s=clean_s))
    channel.receive(b"220 mail.example ESMTP\r\n")
    assert bench.network.open == [channel]
    for _ in range(10):
        if channel.open:
            channel.receive(b"x" * 10_000)
    assert not channel.open
    connecting(bench).connect()
    assert bench.ups == [True]


def floods(bench: MonitorBench, until_s: float) -> None:
    """The server takes each connection, and sends without end."""
    while bench.clock.seconds() < until_s:
        channel = connecting(bench, most_s=400)
        channel.connect()
        bench.clock.advance(0.3)
        channel.receive(b"x" * 70_000)


@pytest.mark.parametrize("fails", [False, True])
def test_a_server_that_floods_each_connection_is_as_one_that_closes_them(fails: bool) -> None:
    bench = MonitorBench()
    with capturedLogs() as logged:
        monitor = bench.start(dataclasses.replace(SETTINGS, fail_on_short_lived=fails))
        floods(bench, SHORT_LIVED_FOR_S - 5)
        assert (bench.ups, logged) == ([True], [])
        floods(bench, 2 * SHORT_LIVED_FOR_S)
    assert bench.ups == ([True, False] if fails else [True])
    assert "flooded each connection to 192.0.2.7:443 within 5 s" in format_line(logged[0])
    if fails:
        assert last_reason(bench) == (
            "connection to 192.0.2.7:443 lost after 0.3 s: flooded by the server"
        )
    lost = [s for s in monitor.snapshot().samples if s.metric.endswith("_lost_total")]
    assert [sample.labels for sample in lost] == [(("reason", "TooMuchData"),)]


def test_a_reconnect_that_fails_after_a_flood_says_so() -> None:
    bench = MonitorBench()
    channel = connected(bench, SETTINGS)
    bench.advance(30)
    channel.receive(b"x" * 70_000)
    connecting(bench).end(errno.ECONNREFUSED)
    assert last_reason(bench).startswith("the server flooded the connection after 30.0 s; reconn")


def test_failed_and_lost_connections_are_counted_by_reason() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    connecting(bench).end(errno.ECONNREFUSED)
    connecting(bench).end(errno.ECONNREFUSED)
    connecting(bench)
    bench.advance(SETTINGS.timeout_s)
    for code in (errno.ECONNRESET, None):
        channel = connecting(bench)
        channel.connect()
        channel.end(code)
    prefix = "pybal_monitor_idleconnection_connections_"
    assert {
        (s.metric.removeprefix(prefix), s.labels, s.value) for s in monitor.snapshot().samples
    } == {
        ("failed_total", (("reason", "ConnectionRefusedError"),), 2),
        ("failed_total", (("reason", "TimeoutError"),), 1),
        ("lost_total", (("reason", "ConnectionResetError"),), 1),
        ("lost_total", (("reason", "ConnectionDone"),), 1),
    }


def test_running_out_of_ports_while_connecting_is_not_the_servers_fault() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    connecting(bench).end(errno.EADDRNOTAVAIL)
    assert bench.reports == []
    connecting(bench).connect()
    assert bench.ups == [True]


def test_a_return_is_logged_and_repetitions_are_not() -> None:
    bench = MonitorBench()
    with capturedLogs() as logged:
        channel = connected(bench)
        channel.end()
        connecting(bench).connect()
        (channel,) = bench.network.open
        channel.end(errno.ECONNRESET)
        connecting(bench).end(errno.ECONNREFUSED)
        connecting(bench).connect()
    lines = [format_line(event) for event in logged]
    assert lines[0].startswith(
        "[textlb_443 IdleConnection] INFO: cp1.example (up): up again: connected to "
    )
    assert len(lines) == 1


def test_while_more_successes_are_needed_a_connection_that_stands_is_one_each_interval() -> None:
    bench = MonitorBench()
    monitor = bench.start(dataclasses.replace(SETTINGS, rise=3, interval_s=2.0))
    connecting(bench).connect()
    bench.advance(3.9)
    assert bench.reports == []
    assert monitor.snapshot().in_a_row == 2
    bench.advance(0.2)
    assert bench.ups == [True]
    assert last_reason(bench).startswith("connected to 192.0.2.7:443 for 4.")
    bench.advance(100)
    assert monitor.snapshot().up_results == 3


def test_while_more_failures_are_needed_the_next_attempt_comes_within_the_interval() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, fall=6, interval_s=1.0, max_delay_s=300))
    for number in range(6):
        assert bench.ups == []
        channel = connecting(bench)
        began_at = bench.clock.seconds()
        channel.end(errno.ECONNREFUSED)
        bench.advance(1.0)
        assert bench.network.open or number == 5
        assert bench.clock.seconds() - began_at < 1.2
    assert bench.ups == [False]


def test_a_lost_connection_is_no_success_later() -> None:
    bench = MonitorBench()
    monitor = bench.start(dataclasses.replace(SETTINGS, rise=2, interval_s=2.0))
    channel = connecting(bench)
    channel.connect()
    bench.advance(1.0)
    channel.end(errno.ECONNRESET)
    bench.advance(0.4)
    assert monitor.snapshot().up_results == 1
    assert bench.ups == [False]


def test_a_monitor_takes_no_dict_of_its_own() -> None:
    """There are more than ten thousand: that was 14 MiB."""
    assert not hasattr(MonitorBench().start(SETTINGS), "__dict__")
