"""Who asks over the control socket, though the directory of users may hang."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from pybal.instrumentation.asking_users import DEADLINE_S, AskingUsers
from tests.fakes.deferreds import error_of, result_of
from tests.state.test_file_access import ThreadClock, Threads, answer

NAMES = {0: "toor", 1000: "anna"}


class Bench:
    """Users, and the threads that ask for their names."""

    def __init__(self) -> None:
        self.clock, self.threads = ThreadClock(), Threads()
        self.users = AskingUsers(self.clock, self.threads, NAMES.__getitem__)

    def answer(self) -> None:
        answer(self.threads, self.clock)


@pytest.mark.parametrize(("uid", "name"), [(1000, "anna"), (1001, "user 1001")])
def test_a_user_is_asked_for_in_a_thread(uid: int, name: str) -> None:
    bench = Bench()
    asked = [bench.users.name(uid) for _ in range(3)]
    assert not any(each.called for each in asked)
    assert len(bench.threads.waiting) == 1
    bench.answer()
    assert [result_of(each) for each in asked] == [name] * 3
    assert not bench.clock.getDelayedCalls()


def test_root_is_asked_for_nowhere() -> None:
    bench = Bench()
    assert result_of(bench.users.name(0)) == "root"
    assert not bench.threads.waiting


def test_while_the_directory_hangs_a_user_is_a_number_and_one_thread_waits() -> None:
    bench = Bench()
    for _ in range(3):
        asked = bench.users.name(1000)
        bench.clock.advance(DEADLINE_S)
        assert result_of(asked) == "user 1000"
    assert len(bench.threads.waiting) == 1
    bench.answer()
    later = bench.users.name(1000)
    bench.answer()
    assert result_of(later) == "anna"


def test_without_a_thread_a_user_is_a_number() -> None:
    bench = Bench()
    bench.threads.left = 0
    assert result_of(bench.users.name(1000)) == "user 1000"
    bench.threads.left = 1
    asked = bench.users.name(1000)
    bench.answer()
    assert result_of(asked) == "anna"


def test_who_goes_away_meanwhile_is_not_told() -> None:
    bench = Bench()
    gone: Deferred[str] = bench.users.name(1000)
    gone.cancel()
    error_of(gone)
    bench.answer()
