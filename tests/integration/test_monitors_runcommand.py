"""RunCommand with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from pybal.config.settings import User
from pybal.monitors.command_user import CommandUser
from pybal.monitors.processes import Exit, ReactorProcesses
from pybal.monitors.registry import create_monitor
from pybal.monitors.runcommand import LiteralArgument, RunCommandSettings, ServerArgument
from tests.fakes.environment import make_environment, make_target
from tests.fakes.http import FakeHTTPClient
from tests.fakes.reports import Results
from tests.integration.reactors import run_in_reactor, until
from tests.integration.real_monitors import Watched, descriptors

pytestmark = pytest.mark.integration


GROUPS = (65534, 12)


def run(script: str, act: Callable[[Any], None] = lambda _: None, user: User | None = None) -> Exit:
    """How a shell script ends; `act(process)` is called once it runs. A `user` has GROUPS."""

    async def main(reactor: Any) -> Exit:
        ends: list[Exit] = []
        before = descriptors()
        known = CommandUser(reactor, lambda ask: ask(), lambda _: GROUPS)
        processes = ReactorProcesses(reactor, user, command_user=known)
        await deferLater(reactor, 0)
        process = processes.run(["/bin/sh", "-c", script], ends.append, capture=True)
        assert ends == []
        act(process)
        await until(reactor, lambda: bool(ends))
        assert descriptors() == before
        return ends[0]

    return run_in_reactor(main)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def executable(path: Path, script: str) -> Path:
    """A shell script that can be run."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -15 $$", -15)]
)
def test_the_status_is_the_commands_own(script: str, status: int) -> None:
    assert run(script) == Exit(status, b"", False)


def test_output_of_both_kinds_is_kept() -> None:
    assert run("echo out; echo err >&2").output == b"out\nerr\n"


def test_of_much_output_the_middle_is_left_out_and_the_command_is_not_held_up() -> None:
    ended = run("echo first; head -c 500000 /dev/zero; echo last")
    left_out = b"...\n(%d bytes)\n..." % (500_000 + len("first\nlast\n") - 4096)
    assert (ended.status, len(ended.output)) == (0, 4096 + len(left_out))
    assert ended.output.startswith(b"first\n")
    assert left_out in ended.output
    assert ended.output.endswith(b"last\n")


def test_output_that_just_fits_is_kept_whole() -> None:
    assert run("head -c 4096 /dev/zero").output == b"\0" * 4096


def test_output_without_end_loses_its_reader() -> None:
    assert run("exec cat /dev/zero").status == -13


def test_it_has_a_session_of_its_own_and_nothing_of_ours() -> None:
    os.environ["PYBAL_TEST_SECRET"] = "x"
    try:
        ended = run("cut -d ' ' -f 1,5,6 /proc/$$/stat; pwd; cat; ls /proc/$$/fd; echo; env")
    finally:
        del os.environ["PYBAL_TEST_SECRET"]
    state, variables = ended.output.decode().split("\n\n")
    ids, cwd, *fds = state.splitlines()
    assert len(set(ids.split())) == 1, "process, group and session are one"
    assert cwd == "/"
    assert set(fds) == {"0", "1", "2"}
    names = {line.partition("=")[0] for line in variables.splitlines()}
    assert {"PATH", "LANG"} <= names <= {"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_it_runs_as_another_user_with_that_users_groups_and_is_killed_all_the_same() -> None:
    user = User("some", 65534, 65534)
    ids = run("id -u; id -g; id -G; cat /proc/self/status | grep CapEff", user=user).output
    assert ids.split() == b"65534 65534 65534 12 CapEff: 0000000000000000".split()
    assert run("sleep 60", lambda process: process.kill(), user=user).status == -9


def test_a_command_that_does_not_exist_is_an_error_at_once() -> None:
    async def main(reactor: Any) -> None:
        with pytest.raises(FileNotFoundError):
            ReactorProcesses(reactor).run(["/nonexistent/check"], lambda _: None, capture=True)

    run_in_reactor(main)


def test_killing_kills_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def act(process: Any) -> None:
        while len(pids.read_text().split() if pids.exists() else []) < 2:
            os.sched_yield()
        process.kill()
        process.kill()

    ended = run(f"sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait", act)
    assert ended.status == -9
    all_gone(pids)


def test_what_outlives_the_command_is_killed_and_told(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    ended = run(f"sleep 1000 & echo $! > {pids}; echo done")
    assert (ended.status, ended.output, ended.leftovers) == (0, b"done\n", True)
    all_gone(pids)


ESCAPE = """
import sys
from pathlib import Path
from pybal.monitors.leftovers import as_subreaper
from pybal.monitors.processes import ReactorProcesses
from tests.integration.reactors import run_in_reactor, until

async def main(reactor):
    ends = []
    left_overs = as_subreaper()
    processes = ReactorProcesses(reactor, left_overs=left_overs)
    process = processes.run(["/bin/sh", "-c", sys.argv[1]], ends.append, capture=False)
    if sys.argv[2] != "end":
        pids = Path(sys.argv[3])
        await until(reactor, lambda: pids.exists() and len(pids.read_text().split()) == 2)
    if sys.argv[2] == "stop":
        processes.end()
        print(left_overs.any)
        return
    if sys.argv[2] == "kill":
        process.kill()
    await until(reactor, lambda: bool(ends))
    seen = []
    def gone():  # one look may miss a child while others come and go
        lists = Path("/proc/self/task").glob("*/children")
        seen.append("".join(each.read_text() for each in lists))
        return len(seen) > 4 and not any(seen[-5:])
    await until(reactor, gone)
    print(ends[0].status, ends[0].leftovers)

run_in_reactor(main)
"""
"""In a process of its own: a subreaper stays one."""


@pytest.mark.parametrize(
    ("script", "how", "told"),
    [
        ("setsid sleep 1000 & echo $! > {pids}", "end", "0 True"),
        ("setsid sh -c 'setsid sleep 1000 & echo $$ $! > {pids}; wait' & exit 3", "end", None),
        ("setsid sh -c 'echo $$ $PPID > {pids}; exec sleep 1000' & wait", "kill", None),
        ("setsid sh -c 'setsid sleep 1000 & echo $$ $! > {pids}; wait' & wait", "stop", "False"),
        ("true & sleep 0.2; exit 0", "end", "0 False"),
        ("(sleep 0.01 &); sleep 0.2; exit 0", "end", "0 False"),
    ],
)
def test_what_leaves_its_session_is_ended_too(
    tmp_path: Path, script: str, how: str, told: str | None
) -> None:
    pids = tmp_path / "pids"
    command = script.format(pids=pids)
    if "setsid" in script and how == "end":
        command += f"; while ! test -s {pids}; do sleep 0.01; done" if "exit" not in script else ""
    done = subprocess.run(
        [sys.executable, "-c", ESCAPE, command, how, str(pids)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert told is None or done.stdout.strip() == told
    if pids.exists():
        all_gone(pids)


def all_gone(pids: Path) -> None:
    """Wait until none of the processes named in the file is alive."""
    numbers = [int(word) for word in pids.read_text().split()]
    assert numbers

    async def main(reactor: Any) -> None:
        await until(reactor, lambda: not any(map(alive, numbers)))

    run_in_reactor(main)


def test_the_monitor_follows_a_real_commands_status(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    command = executable(tmp_path / "check", f'echo "$1"; test -e {flag}')
    settings = RunCommandSettings(command, (ServerArgument("ip"),), interval_s=0.1)

    async def main(reactor: Any) -> None:
        watched = Watched(reactor, settings, 80, "::1")
        await watched.reported(1)
        flag.touch()
        await watched.reported(2)
        watched.monitor.stop()
        assert watched.ups == [False, True]
        assert "exited with status 1" in watched.reports[0].reason
        assert watched.reason.endswith(": ::1")

    run_in_reactor(main)


def test_the_monitor_kills_what_takes_too_long(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = executable(
        tmp_path / "check", f"sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    )
    settings = RunCommandSettings(command, interval_s=0.1, timeout_s=0.3)

    async def main(reactor: Any) -> None:
        watched = Watched(reactor, settings, 80)
        await watched.reported(1)
        watched.monitor.stop()
        assert watched.reason.endswith("timed out after 0.3 s")

    run_in_reactor(main)
    all_gone(pids)


def test_stopping_the_monitor_kills_the_command(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = executable(tmp_path / "check", f"echo $$ > {pids}; exec sleep 1000")

    async def main(reactor: Any) -> None:
        watched = Watched(reactor, RunCommandSettings(command, interval_s=0.1), 80)
        await until(reactor, lambda: pids.exists() and bool(pids.read_text()))
        watched.monitor.stop()

    run_in_reactor(main)
    all_gone(pids)


def test_real_commands_run_a_few_at_once_and_all_get_their_turn(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = executable(
        tmp_path / "check", f'echo "+ $1" >> {log}; sleep 0.05; echo "- $1" >> {log}'
    )

    async def main(reactor: Any) -> None:
        environment = replace(make_environment(reactor, FakeHTTPClient()), commands_at_once=3)
        monitors = []
        for number in range(10):
            settings = RunCommandSettings(
                command, (LiteralArgument(str(number)),), interval_s=0.1, timeout_s=5
            )
            monitor = create_monitor(settings, make_target(), environment, Results())
            monitors.append(monitor)
            monitor.start()
        await until(reactor, lambda: all(m.snapshot().up_results >= 3 for m in monitors))
        for monitor in monitors:
            monitor.stop()

    run_in_reactor(main)
    running: set[str] = set()
    most = 0
    for line in log.read_text().splitlines():
        sign, number = line.split()
        if sign == "+":
            running.add(number)
        else:
            running.discard(number)
        most = max(most, len(running))
    assert most == 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("#!/nonexistent/perl\n", "its interpreter /nonexistent/perl is missing"),
        ("#!/bin/sh\r\n", "its lines end as on Windows"),
        ("exit 0\n", "it has no first line such as #!/bin/sh"),
    ],
)
def test_a_script_that_the_kernel_cannot_run_is_down_and_says_why(
    tmp_path: Path, content: str, why: str
) -> None:
    command = tmp_path / "check"
    command.write_bytes(content.encode())
    command.chmod(0o755)

    async def main(reactor: Any) -> None:
        watched = Watched(reactor, RunCommandSettings(command, interval_s=0.1), 80)
        await watched.reported(1)
        watched.monitor.stop()
        assert watched.ups == [False]
        assert f"cannot run {command}: {why}" in watched.reason

    run_in_reactor(main)
