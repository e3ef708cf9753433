"""As whom commands run, while a directory of groups answers late, or not at all."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from pybal.config.settings import User
from pybal.monitors.command_user import CommandUser, UserUnknownError, groups_of
from pybal.monitors.runcommand import RunCommandSettings
from tests.fakes.environment import MonitorBench
from tests.state.test_file_access import ThreadClock, Threads, answer

ANNA, BEN = User("anna", 1001, 100), User("ben", 1002, 100)


class Bench:
    def __init__(self) -> None:
        self.clock, self.threads = ThreadClock(), Threads()
        self.groups = {"anna": (7, 100), "ben": (8, 100)}
        self.user = CommandUser(self.clock, self.threads, lambda user: self.groups[user.name])

    def answer(self) -> None:
        answer(self.threads, self.clock)

    @property
    def known(self) -> tuple[int, ...] | None:
        try:
            identity = self.user.identity()
        except UserUnknownError:
            return None
        groups: tuple[int, ...] = identity["extra_groups"]
        return groups


def test_nobody_else_is_not_asked_for() -> None:
    bench = Bench()
    bench.user.become(None)
    assert bench.user.identity() == {}
    assert bench.threads.waiting == []


def test_no_command_runs_before_the_directory_has_answered() -> None:
    bench = Bench()
    bench.user.become(ANNA)
    with pytest.raises(UserUnknownError, match="has not answered for anna"):
        bench.user.identity()
    assert len(bench.threads.waiting) == 1, "it is asked once"
    bench.answer()
    assert bench.user.identity() == {"user": 1001, "group": 100, "extra_groups": (7, 100)}


def test_what_is_known_of_the_same_user_stays_until_it_is_told_anew() -> None:
    bench = Bench()
    bench.user.become(ANNA)
    bench.answer()
    bench.groups["anna"] = (9, 100)
    bench.user.become(ANNA)
    assert bench.known == (7, 100)
    bench.answer()
    assert bench.known == (9, 100)


def test_no_command_runs_with_the_groups_of_a_former_user() -> None:
    bench = Bench()
    bench.user.become(ANNA)
    bench.answer()
    bench.user.become(BEN)
    assert bench.known is None
    bench.user.become(ANNA)
    bench.answer()
    assert bench.known == (7, 100)


def test_a_directory_that_fails_is_asked_again_when_a_command_is_to_run() -> None:
    bench = Bench()
    known = bench.groups.pop("anna")
    with capturedLogs() as events:
        bench.user.become(ANNA)
        bench.answer()
    assert [event["user"] for event in events] == ["anna"]
    bench.groups["anna"] = known
    assert bench.known is None
    bench.answer()
    assert bench.known == known


def test_without_a_thread_it_is_asked_later() -> None:
    bench = Bench()
    bench.threads.left = 0
    with capturedLogs() as events:
        bench.user.become(ANNA)
        assert bench.known is None
    assert [event["why"] for event in events] == ["none is left"] * 2
    bench.threads.left = 1
    assert bench.known is None
    bench.answer()
    assert bench.known == (7, 100)


def test_all_groups_of_a_user_of_this_host_are_found() -> None:
    for name in ("root", "nobody"):
        known = pwd.getpwnam(name)
        user = User(name, known.pw_uid, known.pw_gid)
        assert groups_of(user) == tuple(sorted(os.getgrouplist(name, known.pw_gid)))


def test_a_command_that_nobody_can_run_yet_says_nothing_of_the_server() -> None:
    bench = MonitorBench()
    bench.processes.error = UserUnknownError("the directory of groups has not answered for anna")
    bench.start(RunCommandSettings(command=Path("/bin/true")))
    bench.advance(70)
    assert bench.reports == []
    assert "has not answered for anna" in bench.faults.current()
