"""Files of certificates on a file system that may hang: each check asks, and none waits in the
reactor's thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from pybal.errors import SourceError
from pybal.runtime.file_stamp import file_stamp
from pybal.state.changing_files import ChangingFiles
from pybal.state.file_access import DEADLINE_S, FileAccessError
from tests.fakes.deferreds import error_of
from tests.state.test_file_access import ThreadClock, Threads, access_of, answer


class Bench:
    """A file that is there, on another host unless `here`."""

    def __init__(self, folder: Path, *, here: bool = False) -> None:
        self.threads: Threads
        self.clock: ThreadClock
        access, self.threads, self.clock = access_of(folder / "elsewhere" if here else folder)
        self.files = ChangingFiles(self.clock, access)
        self.path = folder / "ca.pem"
        self.path.write_text("one")
        self.clock.advance(10)

    def look(self) -> Deferred[None]:
        looking = self.files.first_look(self.path)
        assert looking is not None
        return looking

    def answer(self) -> None:
        answer(self.threads, self.clock)

    def looked(self) -> Bench:
        looking = self.look()
        self.answer()
        assert looking.called
        return self


def test_a_file_of_this_host_is_looked_at_and_read_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, here=True)
    files, path = bench.files, bench.path
    assert files.first_look(path) is None
    assert (files.stamp(path), files.read(path)) == (file_stamp(path), b"one")
    path.write_text("another")
    assert (files.stamp(path), files.read(path)) == (file_stamp(path), b"another")
    path.unlink()
    assert files.stamp(path) is None
    with pytest.raises(FileNotFoundError):
        files.read(path)
    assert not bench.threads.waiting


def test_a_file_of_the_network_is_first_looked_at_in_one_thread_for_all(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    looking = [bench.look() for _ in range(50)]
    assert len(bench.threads.waiting) == 1
    assert not any(each.called for each in looking)
    looking[0].cancel()
    error_of(looking[0])
    bench.answer()
    assert all(each.called for each in looking)
    assert bench.files.first_look(bench.path) is None
    stamp = bench.files.stamp(bench.path)
    assert (stamp, bench.files.read(bench.path)) == (file_stamp(bench.path), b"one")


def test_it_is_read_again_in_a_thread_and_no_more_than_each_second(tmp_path: Path) -> None:
    bench = Bench(tmp_path).looked()
    files, path = bench.files, bench.path
    first = file_stamp(path)
    bench.clock.advance(1)
    path.write_text("another")
    assert [files.stamp(path) for _ in range(3)] == [first] * 3
    assert files.read(path) == b"one"
    assert len(bench.threads.waiting) == 1
    bench.answer()
    assert files.stamp(path) == file_stamp(path) != first
    assert files.read(path) == b"another"
    assert bench.threads.waiting == []


@pytest.mark.parametrize("here", [True, False])
def test_a_file_that_is_written_in_place_with_its_size_and_time_kept_is_another(
    tmp_path: Path, here: bool
) -> None:
    bench = Bench(tmp_path, here=here)
    files, path = bench.files, bench.path
    if not here:
        bench.looked()
    first, before = files.stamp(path), path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # a tick of the kernel at most
        path.write_text("two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    if not here:
        bench.clock.advance(1)
        files.stamp(path)
        bench.answer()
    assert files.stamp(path) != first
    assert files.read(path) == b"two"


def test_while_it_hangs_what_is_known_counts_and_one_thread_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path).looked()
    files, path = bench.files, bench.path
    first = files.stamp(path)
    for _ in range(60):
        bench.clock.advance(1)
        assert files.stamp(path) == first is not None
        assert files.read(path) == b"one"
    assert len(bench.threads.waiting) == 1
    path.unlink()
    bench.answer()
    bench.clock.advance(1)
    files.stamp(path)
    bench.answer()
    assert files.stamp(path) is None
    with pytest.raises(FileNotFoundError):
        files.read(path)


def test_a_first_look_that_hangs_ends_and_begins_anew_once_there_is_an_answer(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    looking = bench.look()
    bench.clock.advance(DEADLINE_S)
    assert isinstance(error_of(looking), FileAccessError)
    bench.clock.advance(60)
    assert isinstance(error_of(bench.look()), FileAccessError)
    assert len(bench.threads.waiting) == 1
    bench.answer()
    bench.looked()
    assert bench.files.read(bench.path) == b"one"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.path.unlink()
    bench.path.mkdir()
    bench.looked()
    with pytest.raises(SourceError, match="directory"):
        bench.files.read(bench.path)


def test_what_goes_wrong_with_a_later_look_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError("a mistake")

    bench = Bench(tmp_path).looked()
    before = bench.files.stamp(bench.path)
    bench.clock.advance(1)
    with monkeypatch.context() as patch, capturedLogs() as logged:
        patch.setattr("pybal.state.changing_files.file_stamp", broken)
        assert bench.files.stamp(bench.path) == before
        bench.answer()
    assert [event["log_format"] for event in logged] == ["Cannot look at a file"]
    assert bench.files.stamp(bench.path) == before
