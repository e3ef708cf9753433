"""The kernel's own words for what happens to files, by real files."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybal.sources.inotify import CONTENT, NAMES, Event, Inotify


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    made = Inotify()
    yield made
    made.close()


def test_the_numbers_are_those_of_the_kernels_header() -> None:
    assert NAMES == 0x21000FC4
    assert CONTENT == 0x20000C0E


def test_what_befalls_the_names_in_a_directory(inotify: Inotify, tmp_path: Path) -> None:
    folder, file = tmp_path / "d", tmp_path / "d" / "a"
    folder.mkdir()
    watch = inotify.add(str(folder), NAMES)
    assert inotify.add(str(folder), NAMES) == watch
    assert inotify.read() == []
    here, there = Event(watch, b"a", False), Event(watch, b"b", False)
    itself = Event(watch, b"", False)
    file.touch()
    assert here in inotify.read()
    file.write_bytes(b"x")
    assert inotify.read() == [], "that is its content"
    file.rename(folder / "b")
    assert inotify.read() == [here, there]
    (folder / "b").chmod(0o600)
    assert inotify.read() == [there]
    (folder / "b").unlink()
    assert there in inotify.read()
    folder.rename(tmp_path / "e")
    assert inotify.read() == [itself]
    (tmp_path / "e").rmdir()
    assert inotify.read() == [itself, Event(watch, b"", True)]


def test_what_befalls_a_file(inotify: Inotify, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    watch = inotify.add(str(file), CONTENT)
    happened = Event(watch, b"", False)
    with file.open("wb", buffering=0) as open_file:
        open_file.write(b"x")
        assert inotify.read() == [happened]
    assert inotify.read() == [happened], "whoever wrote has closed it"
    file.rename(tmp_path / "b")
    assert inotify.read() == [happened]
    inotify.remove(watch)
    assert inotify.read() == [Event(watch, b"", True)]
    inotify.remove(watch)


def test_what_cannot_be_watched_says_why(inotify: Inotify, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as missing:
        inotify.add(str(tmp_path / "a"), CONTENT)
    assert missing.value.errno == errno.ENOENT
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="Not a directory"):
        inotify.add(str(tmp_path / "a"), NAMES)


@pytest.mark.slow
def test_more_events_than_are_kept_are_said_to_be_lost(inotify: Inotify, tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one, other = tmp_path / "a", tmp_path / "b"
    one.touch()
    inotify.add(str(tmp_path), NAMES)
    for _ in range(most // 4 + 1):  # two events each, there and back
        one.rename(other)
        other.rename(one)
    events = list(iter(inotify.read, []))
    last = events[-1][-1]
    assert last == Event(None, b"", False)
    assert sum(map(len, events)) == most + 1


def test_it_may_be_closed_twice_and_leaves_nothing_open(descriptors: Callable[[], int]) -> None:
    before = descriptors()
    made = Inotify()
    made.close()
    made.close()
    assert descriptors() == before
