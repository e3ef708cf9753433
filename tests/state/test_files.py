"""Files in the state directory: replaced whole or not at all, whatever lies in the way."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pybal.errors import SourceError
from pybal.state.files import read_now, read_regular_file, regular_file_stamp, write_atomically


def test_what_is_still_to_come_is_not_waited_for() -> None:
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with open(ours, "rb") as file, open(theirs, "wb"), pytest.raises(BlockingIOError):
        read_now(file, 10)


class Replaced(type(Path())):  # type: ignore[misc]
    """A regular file when it is looked at first, and a FIFO from then on."""

    looks = 0

    def __fspath__(self) -> str:
        self.looks += 1
        return f"{super().__fspath__()}.{'file' if self.looks == 1 else 'fifo'}"


def test_a_file_is_read_whole_with_what_tells_it_from_another(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    status = path.stat()
    found = read_regular_file(path, 3)
    assert found.data == b"abc"
    assert found.stamp == regular_file_stamp(path)
    assert found.stamp == (
        status.st_dev, status.st_ino, 3, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
    os.utime(path, ns=(1, 1))
    assert regular_file_stamp(path) != found.stamp


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abcd")
    with pytest.raises(SourceError, match="is larger than 3 bytes"):
        read_regular_file(tmp_path / "x", 3)


def test_what_is_no_regular_file_is_refused_by_its_kind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    kinds = {tmp_path: "directory", tmp_path / "fifo": "FIFO", tmp_path / "socket": "socket"}
    for path, kind in {**kinds, Path(os.devnull): "device"}.items():
        for read in (regular_file_stamp, lambda each: read_regular_file(each, 9)):
            with pytest.raises(SourceError, match=f"{path} is a {kind}, not a regular file"):
                read(path)


def test_a_fifo_that_takes_the_files_place_meanwhile_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "x.file").write_bytes(b"")
    os.mkfifo(tmp_path / "x.fifo")
    with pytest.raises(SourceError, match="is a FIFO"):
        read_regular_file(Replaced(tmp_path / "x"), 9)


def test_what_is_there_is_read_now() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"abc")
    os.set_blocking(ours, False)
    with open(ours, "rb") as file, open(theirs, "wb"):
        assert read_now(file, 2) == b"ab"


def test_a_write_without_a_descriptor_left_says_so(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            write_atomically(tmp_path / "x", b"")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_write_leaves_no_descriptor_open(tmp_path: Path, descriptors: Callable[[], int]) -> None:
    before = descriptors()
    write_atomically(tmp_path / "x", b"")
    assert descriptors() == before


def test_a_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "er" / "x.json"
    write_atomically(file, b"one")
    write_atomically(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(file.parent.iterdir()) == [file]
    assert file.stat().st_mode & 0o077 == 0


def test_a_write_does_not_follow_a_link_laid_in_its_way(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".x.json.new").symlink_to(victim)
    write_atomically(tmp_path / "x.json", b"data")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "x.json").read_bytes() == b"data"
    assert not (tmp_path / "x.json").is_symlink()


@pytest.mark.parametrize("name", ["x.json", ".x.json.new"])
def test_a_write_replaces_a_fifo_and_does_not_wait_for_its_reader(
    tmp_path: Path, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    write_atomically(tmp_path / "x.json", b"data")
    assert (tmp_path / "x.json").read_bytes() == b"data"


@pytest.mark.parametrize("name", ["x.json", ".x.json.new"])
def test_a_directory_in_the_way_of_a_write_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "x.json", b"data")


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_atomically(file, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomically(file, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
