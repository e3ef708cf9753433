"""Pool files on a file system that may hang: the daemon waits in a thread, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from pybal.config.settings import FileSource
from pybal.errors import SourceError
from pybal.model import ServerSpec
from pybal.runtime.threads import NoThreadError
from pybal.sources.file_watches import FileWatches
from pybal.state.file_access import DEADLINE_S, BoundedAccess
from tests.fakes.deferreds import result_of
from tests.fakes.sources import SourceBench


class ThreadClock(Clock):
    """A Clock with IReactorFromThreads."""

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        self.callLater(0, function, *args)


class Threads:
    """Threads that run when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.left = 100
        """How many more there may be."""

    def __call__(self, function: Callable[[], None]) -> None:
        if not self.left:
            raise NoThreadError("none is left")
        self.left -= 1
        self.waiting.append(function)

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for function in waiting:
            function()


def access_of(mounted: Path) -> tuple[BoundedAccess, Threads, ThreadClock]:
    clock, threads = ThreadClock(), Threads()
    escaped = str(mounted).replace(" ", "\\040")
    mountinfo = f"30 22 0:40 / {escaped} rw - nfs4 files:/pools rw"
    return BoundedAccess(clock, threads, lambda: mountinfo), threads, clock


def answer(threads: Threads, clock: ThreadClock) -> None:
    """The threads come to an end, and who waits for them is told."""
    threads.run()
    clock.advance(0)


def asked(access: BoundedAccess, path: Path) -> Deferred[str]:
    return Deferred.fromCoroutine(access.run(path, lambda: path.read_text()))


def test_a_file_of_this_host_is_read_at_once(tmp_path: Path) -> None:
    access, threads, _ = access_of(tmp_path / "elsewhere")
    (tmp_path / "pool").write_text("x")
    assert result_of(asked(access, tmp_path / "pool")) == "x"
    assert not threads.waiting


def test_a_file_of_the_network_is_read_in_a_thread(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    (tmp_path / "pool").write_text("x")
    found = asked(access, tmp_path / "pool")
    assert not found.called
    answer(threads, clock)
    assert result_of(found) == "x"
    failing = asked(access, tmp_path / "missing")
    answer(threads, clock)
    with pytest.raises(FileNotFoundError):
        result_of(failing)


def test_one_that_hangs_is_given_up_and_asked_for_by_one_thread_alone(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    path = tmp_path / "pool"
    path.write_text("x")
    found = asked(access, path)
    clock.advance(DEADLINE_S)
    with pytest.raises(SourceError, match="its file system has not answered for 5 s"):
        result_of(found)
    clock.advance(60)
    with pytest.raises(SourceError, match="for 65 s"):
        result_of(asked(access, path))
    assert len(threads.waiting) == 1
    answer(threads, clock)
    again = asked(access, path)
    answer(threads, clock)
    assert result_of(again) == "x"


def test_those_who_share_a_file_have_their_turns(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    path = tmp_path / "pool"
    path.write_text("x")
    found = [asked(access, path) for _ in range(3)]
    gone = asked(access, path)
    gone.cancel()
    gone.addErrback(lambda failure: failure.trap(CancelledError))
    for number in range(3):
        assert [each.called for each in found] == [number > each for each in range(3)]
        assert len(threads.waiting) == 1
        answer(threads, clock)
    assert [result_of(each) for each in found] == ["x"] * 3
    assert threads.waiting == []
    last = asked(access, path)
    answer(threads, clock)
    assert result_of(last) == "x"


def test_a_file_system_that_is_slow_for_many_does_not_hang(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    (tmp_path / "pool").write_text("x")
    found = [asked(access, tmp_path / "pool") for _ in range(3)]
    for _ in found:
        clock.advance(DEADLINE_S - 1)
        answer(threads, clock)
    assert [result_of(each) for each in found] == ["x"] * 3
    assert clock.getDelayedCalls() == []


def test_those_who_wait_for_one_that_hangs_give_up_with_it(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    found = [asked(access, tmp_path / "pool") for _ in range(3)]
    clock.advance(DEADLINE_S)
    for each in found:
        with pytest.raises(SourceError, match="has not answered for 5 s"):
            result_of(each)
    assert len(threads.waiting) == 1
    answer(threads, clock)
    assert threads.waiting == []


def test_without_a_thread_all_who_ask_are_told_and_the_next_is_tried_again(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    path = tmp_path / "pool"
    path.write_text("x")
    found = [asked(access, path) for _ in range(3)]
    threads.left = 0
    answer(threads, clock)
    assert result_of(found[0]) == "x"
    for each in (*found[1:], asked(access, path)):
        with pytest.raises(SourceError, match="no thread can look at it: none is left"):
            result_of(each)
    clock.advance(2 * DEADLINE_S)
    threads.left = 1
    again = asked(access, path)
    answer(threads, clock)
    assert result_of(again) == "x"


def bench_of(mounted: Path) -> tuple[SourceBench, Threads]:
    bench = SourceBench()
    files, threads, clock = access_of(mounted)
    bench.clock = clock
    watches = FileWatches(clock, files.is_local, threads)
    bench.environment = bench.environment._replace(
        reactor=clock, now=bench.now, files=files, watches=watches
    )
    return bench, threads


def test_services_may_share_a_pool_file_of_the_network(tmp_path: Path) -> None:
    bench, threads = bench_of(tmp_path)
    (tmp_path / "pool").write_text("{ 'host': 'a' }\n")
    sources = [bench.start(FileSource(tmp_path / "pool"), name) for name in ("web", "web6", "tls")]
    for _ in range(60):
        threads.run()
        bench.advance(0.1)
    assert bench.take() == [(ServerSpec("a"),)] * 3
    assert [each.snapshot().last_error for each in sources] == [None] * 3
    assert bench.log.lines == []


def test_a_source_whose_file_system_hangs_is_stale_and_its_list_stays(tmp_path: Path) -> None:
    bench, threads = bench_of(tmp_path)
    (tmp_path / "pool").write_text("{ 'host': 'a' }\n")
    source = bench.start(FileSource(tmp_path / "pool"))
    for _ in range(60):
        threads.run()
        bench.advance(0.1)
    assert bench.take() == [(ServerSpec("a"),)]
    bench.advance(10)
    snapshot = source.snapshot()
    assert snapshot.stale
    assert "has not answered" in str(snapshot.last_error)
    for _ in range(60):
        threads.run()
        bench.advance(0.1)
    assert not source.snapshot().stale
    assert bench.take() == []
    source.stop()
