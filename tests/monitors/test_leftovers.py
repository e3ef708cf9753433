"""Which children are left over, and what becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pybal.monitors.leftovers import LeftOvers, OwnChildren, as_subreaper


@dataclass
class Child:
    """A child of ours; `session` None is our own."""

    session: int | None
    group: int
    ended: bool = False


class FakeChildren:
    """Children that end when they are killed, unless they wait in the kernel."""

    def __init__(self, **children: Child) -> None:
        self.standing = {int(name[1:]): child for name, child in children.items()}
        self.killed: list[int] = []
        self.reaped: list[int] = []

    def pids(self) -> Iterable[int]:
        return list(self.standing)

    def session(self, pid: int) -> int | None:
        return self.standing[pid].session

    def group(self, pid: int) -> int | None:
        return self.standing[pid].group

    def kill(self, pid: int) -> None:
        self.killed.append(pid)

    def reap(self, pid: int) -> bool:
        if not self.standing[pid].ended:
            return False
        del self.standing[pid]
        self.reaped.append(pid)
        return True


def test_a_child_that_is_no_command_is_killed_once_and_told_once() -> None:
    children = FakeChildren(p7=Child(7, 7))
    left_overs = LeftOvers(children)
    assert left_overs.end(()) == (7,)
    assert children.killed == [7]
    assert left_overs.end(()) == ()
    assert left_overs.any
    children.standing[7].ended = True
    assert left_overs.end(()) == ()
    assert children.reaped == [7]
    assert not left_overs.any


def test_commands_their_groups_and_children_of_our_session_are_left_alone() -> None:
    children = FakeChildren(p5=Child(5, 5), p6=Child(5, 5), p7=Child(None, 1))
    left_overs = LeftOvers(children)
    assert left_overs.end({5}) == ()
    assert not left_overs.any
    children.standing[5].ended = children.standing[7].ended = True
    assert left_overs.end({5}) == ()
    assert children.killed == children.reaped == []


def test_what_a_running_command_may_use_waits_until_that_has_ended() -> None:
    children = FakeChildren(p9=Child(9, 9))
    left_overs = LeftOvers(children)
    assert left_overs.end({5, 6}) == ()
    assert left_overs.end({6, 7}) == ()
    assert left_overs.any
    assert left_overs.end({7, 8}) == (9,), "7 and 8 came after it"


def test_what_was_killed_with_its_group_is_not_told_of_the_next_command_that_ends() -> None:
    children = FakeChildren(p9=Child(8, 8))
    left_overs = LeftOvers(children)
    assert left_overs.end({5}, ended=8) == ()
    assert left_overs.any
    assert left_overs.end((), ended=5) == (), "it has not died yet"
    children.standing[9].ended = True
    assert left_overs.end(()) == ()
    assert not left_overs.any


def test_what_ended_by_itself_is_reaped_and_not_told() -> None:
    children = FakeChildren(p8=Child(5, 5, ended=True), p9=Child(9, 9, ended=True))
    left_overs = LeftOvers(children)
    assert left_overs.reap({5}) == []
    assert children.reaped == [8, 9]
    assert left_overs.end(()) == ()
    assert children.killed == []


def test_what_one_that_was_killed_has_started_is_found_afterwards() -> None:
    children = FakeChildren(p7=Child(7, 7))
    left_overs = LeftOvers(children)
    assert left_overs.end(()) == (7,)
    children.standing = {7: Child(7, 7, ended=True), 8: Child(8, 8)}
    assert left_overs.end(()) == (8,)


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """One in a session of its own, one in ours."""
    made = [subprocess.Popen(["sleep", "60"], start_new_session=own) for own in (True, False)]
    yield made
    for each in made:
        each.kill()
        each.wait()


def test_our_own_children_are_told_apart_by_their_session_killed_and_reaped(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    children = OwnChildren()
    own, ours = (each.pid for each in sleepers)
    assert {own, ours} <= set(children.pids())
    assert (children.session(own), children.group(own)) == (own, own)
    assert (children.session(ours), children.group(ours)) == (None, os.getpgid(0))
    assert children.reap(own) is False
    children.kill(own)
    os.waitid(os.P_PID, own, os.WEXITED | os.WNOWAIT)
    assert children.reap(own) is True
    assert own not in children.pids()


def test_a_child_that_is_gone_is_none(sleepers: list[subprocess.Popen[bytes]]) -> None:
    gone = sleepers[0]
    children = OwnChildren()
    gone.kill()
    gone.wait()
    children.kill(gone.pid)
    assert (children.session(gone.pid), children.group(gone.pid)) == (None, None)
    assert children.reap(gone.pid) is True


def leave_an_orphan() -> int:
    """As a daemon is started: a process that ends leaves another behind, in a session of its own,
    whose number is returned."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if (orphan := os.fork()) == 0:
            time.sleep(60)
            os._exit(0)
        os.write(write, str(orphan).encode())
        os._exit(0)
    os.waitpid(middle, 0)
    orphan = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    return orphan


def finds_and_ends_an_orphan() -> bool:
    left_overs = as_subreaper()
    orphan = leave_an_orphan()
    found = left_overs is not None and left_overs.end(()) == (orphan,)
    deadline = time.monotonic() + 10
    while left_overs is not None and left_overs.any and time.monotonic() < deadline:
        left_overs.end(())
    if not found:
        os.kill(orphan, signal.SIGKILL)
    return found and left_overs is not None and not left_overs.any


def test_a_subreaper_is_left_with_the_orphans_of_its_commands() -> None:
    # In a process of its own, as it stays one.
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if finds_and_ends_an_orphan() else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_the_first_process_of_a_container_is_no_subreaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left with the orphans of others."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert as_subreaper() is None


def test_where_children_cannot_be_listed_there_is_no_subreaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel without CONFIG_PROC_CHILDREN."""
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert as_subreaper() is None
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)
    assert list(OwnChildren().pids()) == []
