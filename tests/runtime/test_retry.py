"""What has failed is tried again, later each time."""

from __future__ import annotations

from twisted.internet.task import Clock

from pybal.runtime.retry import Retry


class Tries:
    """What fails while `broken`; when it was tried again."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.retry = Retry(self.clock, self.attempt, 1.0, 5.0)
        self.at: list[float] = []
        self.broken = True

    def attempt(self) -> None:
        self.at.append(self.clock.seconds())
        (self.retry.failed if self.broken else self.retry.succeeded)()


def test_each_try_comes_twice_as_late_up_to_the_most() -> None:
    tries = Tries()
    tries.retry.failed()
    tries.clock.pump([1.0] * 20)
    assert tries.at == [1.0, 3.0, 7.0, 12.0, 17.0]
    assert tries.retry.failures == 6


def test_more_failures_do_not_put_off_the_next_try() -> None:
    tries = Tries()
    tries.retry.failed()
    tries.clock.advance(0.5)
    tries.retry.failed()
    tries.clock.advance(0.5)
    assert tries.at == [1.0]


def test_after_a_success_the_next_failure_is_the_first() -> None:
    tries = Tries()
    tries.retry.failed()
    tries.clock.pump([1.0] * 3)
    tries.broken = False
    tries.clock.pump([1.0] * 9)
    assert (tries.at, tries.retry.failures) == ([1.0, 3.0, 7.0], 0)
    tries.retry.failed()
    tries.clock.advance(1.0)
    assert tries.at[3:] == [13.0]


def test_a_success_by_other_means_ends_what_waits_and_so_does_cancel() -> None:
    tries = Tries()
    for end in (tries.retry.succeeded, tries.retry.cancel, tries.retry.cancel):
        tries.retry.failed()
        end()
        assert tries.clock.getDelayedCalls() == []
