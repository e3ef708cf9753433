"""Which children are left over, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pybal.monitors.leftovers import LeftOvers


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
