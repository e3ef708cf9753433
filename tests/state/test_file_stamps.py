"""Files of certificates on a file system that may hang: each check asks, and none waits."""

from __future__ import annotations

from pathlib import Path

from pybal.runtime.file_stamp import file_stamp
from pybal.state.file_stamps import FileStamps
from tests.state.test_file_access import access_of


def test_a_file_of_this_host_is_looked_at_each_time(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path / "elsewhere")
    stamps, file = FileStamps(clock, access), tmp_path / "ca.pem"
    assert stamps(file) is None
    file.write_text("one")
    assert stamps(file) == file_stamp(file) is not None
    file.unlink()
    assert stamps(file) is None
    assert not threads.waiting


def test_a_file_of_the_network_is_looked_at_in_a_thread_and_no_more_than_each_second(
    tmp_path: Path,
) -> None:
    access, threads, clock = access_of(tmp_path)
    stamps, file = FileStamps(clock, access), tmp_path / "ca.pem"
    file.write_text("one")
    first = file_stamp(file)
    clock.advance(10)
    assert stamps(file) == first
    file.write_text("another")
    assert [stamps(file) for _ in range(3)] == [first] * 3
    assert len(threads.waiting) == 1
    threads.run()
    clock.advance(0.5)
    assert stamps(file) == file_stamp(file) != first
    assert threads.waiting == []


def test_while_it_hangs_what_is_known_counts_and_one_thread_waits(tmp_path: Path) -> None:
    access, threads, clock = access_of(tmp_path)
    stamps, file = FileStamps(clock, access), tmp_path / "ca.pem"
    file.write_text("one")
    clock.advance(10)
    first = stamps(file)
    for _ in range(60):
        assert stamps(file) == first is not None
        clock.advance(1)
    assert len(threads.waiting) == 1
    file.unlink()
    threads.run()
    clock.advance(0)
    stamps(file)
    threads.run()
    clock.advance(0)
    assert stamps(file) is None
