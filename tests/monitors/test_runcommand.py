"""RunCommand: what is run, how its end is judged, and what becomes of those that do not end."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from pybal.monitors.runcommand import LiteralArgument, RunCommandSettings, ServerArgument
from pybal.state.file_access import DEADLINE_S
from tests.fakes.environment import MonitorBench
from tests.fakes.log import format_line
from tests.fakes.network import os_error
from tests.fakes.processes import FakeProcess
from tests.state.test_file_access import access_of

SETTINGS = RunCommandSettings(command=Path("/etc/pybal/check"), interval_s=60, timeout_s=20)


def running(bench: MonitorBench) -> FakeProcess:
    """The command that runs, waited for if need be."""
    for _ in range(1300):
        if bench.processes.running:
            return bench.processes.running[-1]
        bench.clock.advance(0.05)
    raise AssertionError("nothing was run")


def test_arguments_are_literals_and_attributes_of_the_server() -> None:
    arguments = (
        LiteralArgument("server.host"),
        ServerArgument("host"),
        ServerArgument("ip"),
        ServerArgument("port"),
        LiteralArgument("; rm -rf /"),
    )
    bench = MonitorBench("2001:db8::7")
    bench.start(dataclasses.replace(SETTINGS, arguments=arguments))
    assert running(bench).argv == [
        "/etc/pybal/check",
        "server.host",
        "cp1.example",
        "2001:db8::7",
        "443",
        "; rm -rf /",
    ]


def test_an_unknown_attribute_is_a_mistake_that_shows_at_once() -> None:
    with pytest.raises(ValueError, match="weight"):
        MonitorBench().make(dataclasses.replace(SETTINGS, arguments=(ServerArgument("weight"),)))


@pytest.mark.parametrize(
    ("status", "up", "reason"),
    [
        (0, True, "/etc/pybal/check exited with status 0 after 1.500 s"),
        (2, False, "/etc/pybal/check exited with status 2 after 1.500 s"),
        (-9, False, "/etc/pybal/check was killed by SIGKILL after 1.500 s"),
        (-64, False, "/etc/pybal/check was killed by SIGRTMAX after 1.500 s"),
        (-99, False, "/etc/pybal/check was killed by signal 99 after 1.500 s"),
        (None, False, "/etc/pybal/check ended after 1.500 s, its exit status was lost"),
    ],
)
def test_only_status_0_is_up(status: int | None, up: bool, reason: str) -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    process = running(bench)
    bench.clock.advance(1.5)
    process.end(status)
    assert [(r.up, r.reason) for r in bench.reports] == [(up, reason)]


def test_the_last_line_of_output_is_part_of_the_reason() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    running(bench).end(1, b"trying\nreplication lag 812 s\n\n")
    assert bench.reports[0].reason.endswith(" s: replication lag 812 s")


def test_output_is_logged_by_line_and_within_bounds() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    process = running(bench)
    assert process.capture
    with capturedLogs() as logged:
        process.end(0, b"one\n\xfftwo\n" + b"more\n" * 100)
    lines = [format_line(event) for event in logged]
    assert lines[:2] == [
        "[textlb_443 RunCommand] INFO: cp1.example (up): one",
        "[textlb_443 RunCommand] INFO: cp1.example (up): \ufffdtwo",
    ]
    assert len(lines) == 20
    assert lines[-1].endswith(": (83 more lines)")


def test_output_can_be_dropped() -> None:
    bench = MonitorBench()
    bench.start(dataclasses.replace(SETTINGS, log_output=False))
    process = running(bench)
    assert not process.capture
    with capturedLogs() as logged:
        process.end(0)
    assert logged == []


def test_left_over_processes_are_logged() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    with capturedLogs() as logged:
        running(bench).end(0, leftovers=True)
    assert [format_line(event) for event in logged] == [
        "[textlb_443 RunCommand] WARN: cp1.example (up): "
        "/etc/pybal/check left processes behind, which were killed"
    ]


def test_at_the_timeout_it_is_killed_and_down() -> None:
    bench = MonitorBench()
    bench.start(SETTINGS)
    process = running(bench)
    bench.advance(19.9)
    assert (process.killed, bench.reports) == (False, [])
    bench.advance(0.2)
    assert process.killed
    assert [(r.up, r.reason) for r in bench.reports] == [
        (False, "/etc/pybal/check timed out after 20.0 s")
    ]
    process.end(-9)
    assert bench.ups == [False]


def test_a_killed_command_that_does_not_end_is_down_and_not_run_again_beside_itself() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    process = running(bench)
    bench.advance(130)
    assert len(bench.processes.started) == 1
    snapshot = monitor.snapshot()
    assert snapshot.down_results == 3
    assert snapshot.last is not None
    assert snapshot.last.reason == "/etc/pybal/check, killed, has not ended: process 1000"
    process.end(-9)
    running(bench).end(0)
    assert bench.ups == [False, True]


def test_a_command_that_cannot_be_run_is_down_and_says_so() -> None:
    bench = MonitorBench()
    bench.processes.error = os_error(errno.ENOENT)
    bench.start(SETTINGS)
    bench.advance(61)
    assert [(r.up, r.reason) for r in bench.reports] == [
        (False, "cannot run /etc/pybal/check: no such file or directory")
    ]


def test_durations_are_kept_by_result_and_exit_code() -> None:
    bench = MonitorBench()
    monitor = bench.start(SETTINGS)
    for status, duration_s in ((0, 0.5), (3, 1.0), (0, 0.25)):
        process = running(bench)
        bench.clock.advance(duration_s)
        process.end(status)
    running(bench)
    bench.advance(20)
    name = "pybal_monitor_runcommand_run_duration_seconds"
    assert [(s.metric, s.labels, round(s.value, 1)) for s in monitor.snapshot().samples] == [
        (name, (("result", "successful"), ("exitcode", "0")), 0.2),
        (name, (("result", "failed"), ("exitcode", "3")), 1.0),
        (name, (("result", "failed"), ("exitcode", "timeout")), 20.0),
    ]


def with_slots(bench: MonitorBench, slots: int) -> MonitorBench:
    """The same bench, on which so many commands may run at once."""
    bench.environment = dataclasses.replace(bench.environment, commands_at_once=slots)
    return bench


def command(name: str) -> RunCommandSettings:
    return dataclasses.replace(SETTINGS, command=Path(name), timeout_s=500)


def test_no_more_commands_run_at_once_than_there_are_slots_and_each_gets_its_turn() -> None:
    bench = with_slots(MonitorBench(), 2)
    for number in range(6):
        bench.start(command(f"/bin/{number}"))
    bench.advance(70)
    for _ in range(30):
        assert len(bench.processes.running) == 2
        bench.processes.running[0].end(0)
        bench.advance(15)
    runs = Counter(process.argv[0] for process in bench.processes.started)
    assert len(runs) == 6
    assert max(runs.values()) - min(runs.values()) <= 1


def test_waiting_for_a_slot_counts_neither_for_the_timeout_nor_for_the_duration() -> None:
    bench = with_slots(MonitorBench(), 1)
    bench.start(command("/bin/slow"))
    first = running(bench)
    bench.start(command("/bin/quick"))
    with capturedLogs() as logged:
        bench.advance(150)
        assert bench.processes.running == [first]
        first.end(0)
        second = running(bench)
    assert second.argv == ["/bin/quick"]
    (line,) = [format_line(event) for event in logged]
    assert line.startswith("[textlb_443 RunCommand] WARN: cp1.example (up): waited 1")
    assert "of all commands only 1 may run at once (runcommand-concurrency)" in line
    bench.clock.advance(1.5)
    second.end(1)
    assert bench.reports[-1].reason == "/bin/quick exited with status 1 after 1.500 s"


@pytest.mark.parametrize("waiting", [True, False])
def test_a_stopped_monitor_leaves_its_slot_to_the_others(waiting: bool) -> None:
    bench = with_slots(MonitorBench(), 1)
    first = bench.start(command("/bin/first"))
    process = running(bench)
    second = bench.start(command("/bin/second"))
    bench.advance(60)
    bench.start(command("/bin/third"))
    bench.advance(60)
    (second if waiting else first).stop()
    process.end(-9)
    assert running(bench).argv == ["/bin/third" if waiting else "/bin/second"]


def test_a_command_that_cannot_be_killed_does_not_hold_its_slot() -> None:
    bench = with_slots(MonitorBench(), 1)
    bench.start(dataclasses.replace(command("/bin/stuck"), timeout_s=20))
    stuck = running(bench)
    bench.start(command("/bin/other"))
    bench.advance(80)
    assert stuck.killed and stuck.running
    assert [p.argv for p in bench.processes.started[1:]] == [["/bin/other"]]


def test_a_command_on_a_file_system_that_hangs_is_not_run_and_says_nothing_of_the_server(
    tmp_path: Path,
) -> None:
    bench = MonitorBench()
    files, threads, clock = access_of(tmp_path)
    bench.clock = clock
    bench.environment = dataclasses.replace(bench.environment, reactor=clock, files=files)
    bench.start(dataclasses.replace(SETTINGS, command=tmp_path / "check"))
    bench.advance(60 + DEADLINE_S)
    assert len(threads.waiting) == 1
    assert bench.processes.running == []
    assert bench.reports == []
    assert bench.faults.counts == {"unknown": 1}
    bench.advance(120)
    assert len(threads.waiting) == 1
    assert bench.faults.current().startswith(f"{tmp_path}/check: its file system has not answered")
    for _ in range(700):  # it answers again
        threads.run()
        bench.advance(0.1)
    running(bench).end(0)
    assert bench.ups == [True]


def test_a_command_is_looked_at_before_it_is_run(tmp_path: Path) -> None:
    """Whatever it is: the kernel says what is wrong with it."""
    fifo, missing = tmp_path / "fifo", tmp_path / "missing"
    os.mkfifo(fifo)
    for command in (tmp_path, fifo, missing):
        bench = MonitorBench()
        bench.start(dataclasses.replace(SETTINGS, command=command))
        assert running(bench).argv == [str(command)]


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT])
def test_a_file_system_that_is_lost_says_nothing_of_the_server_either(code: int) -> None:
    bench = MonitorBench()
    bench.processes.error = os_error(code)
    bench.start(SETTINGS)
    bench.advance(130)
    assert bench.reports == []
    assert bench.faults.counts.total() == 2
    assert bench.faults.current().lower() == f"/etc/pybal/check: {os.strerror(code)}".lower()
    bench.processes.error = None
    running(bench).end(0)
    assert bench.ups == [True]
