"""Files in the state directory: replaced whole or not at all, whatever lies in the way."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from pybal.state.files import read_now, write_atomically


def test_what_is_still_to_come_is_not_waited_for() -> None:
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with open(ours, "rb") as file, open(theirs, "wb"), pytest.raises(BlockingIOError):
        read_now(file, 10)


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
