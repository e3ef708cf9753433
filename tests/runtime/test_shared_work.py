"""What many want at the same time is done once, and each of them has its outcome."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from pybal.runtime.shared_work import SharedWork
from tests.fakes.deferreds import result_of


class Bench:
    def __init__(self) -> None:
        self.work: SharedWork[str] = SharedWork()
        self.begun: list[Deferred[str]] = []

    def begin(self) -> Deferred[str]:
        self.begun.append(Deferred())
        return self.begun[-1]


def test_who_asks_meanwhile_gets_the_outcome_and_who_asks_later_another() -> None:
    bench = Bench()
    asked = [bench.work.get("a", bench.begin) for _ in range(3)]
    other = bench.work.get("b", bench.begin)
    assert len(bench.begun) == 2
    bench.begun[0].callback("done")
    assert [result_of(each) for each in asked] == ["done"] * 3
    assert not other.called
    later = bench.work.get("a", bench.begin)
    bench.begun[2].callback("once more")
    assert result_of(later) == "once more"


def test_it_may_be_done_at_once() -> None:
    assert result_of(Bench().work.get("a", lambda: succeed("done"))) == "done"


def test_a_failure_is_everybodys() -> None:
    bench = Bench()
    asked = [bench.work.get("a", bench.begin) for _ in range(2)]
    bench.begun[0].errback(OSError("stuck"))
    for each in asked:
        with pytest.raises(OSError, match="stuck"):
            result_of(each)
    with pytest.raises(OSError, match="stuck"):
        result_of(bench.work.get("a", lambda: fail(OSError("stuck"))))


def test_what_cannot_begin_fails_and_begins_anew_for_the_next() -> None:
    def broken() -> Deferred[str]:
        raise OSError("broken")

    bench = Bench()
    with pytest.raises(OSError, match="broken"):
        result_of(bench.work.get("a", broken))
    assert result_of(bench.work.get("a", lambda: succeed("done"))) == "done"


def test_who_waits_no_longer_takes_nothing_from_the_others() -> None:
    bench = Bench()
    gone, stays = (bench.work.get("a", bench.begin) for _ in range(2))
    gone.cancel()
    with pytest.raises(CancelledError):
        result_of(gone)
    bench.begun[0].callback("done")
    assert result_of(stays) == "done"
