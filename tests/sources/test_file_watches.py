"""What happens to a file is seen by whatever way it happens, and nothing else is looked at."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from twisted.internet.task import Clock

from pybal.config.settings import FileSource
from pybal.sources.file_watches import LOOK_S, FileWatches, way
from pybal.sources.inotify import Event, Inotify
from tests.fakes.sources import SourceBench

T = TypeVar("T")


def watches_of(
    clock: Clock, new_inotify: Callable[[], Inotify] = Inotify, *, local: bool = True
) -> FileWatches:
    return FileWatches(clock, lambda _: local, lambda call: call(), new_inotify)


def write(path: Path, text: str = "x\n") -> None:
    """In place, a little more each time."""
    with path.open("a") as file:
        file.write(text)


def write_without_closing(path: Path) -> None:
    OPEN.append(os.open(path, os.O_WRONLY | os.O_APPEND))
    os.write(OPEN[-1], b"x")


def rename_over(path: Path) -> None:
    new = path.with_name("new")
    new.write_text("x")
    new.rename(path)


def delete_and_write(path: Path) -> None:
    path.unlink()
    path.write_text("x")


def write_by_another_name(path: Path) -> None:
    name = path.parent.parent / "other"
    if not name.exists():
        os.link(path, name)
    write(name)


def replace_directory(path: Path) -> None:
    new = path.parent.with_name("new")
    new.mkdir()
    (new / path.name).write_text("x")
    path.parent.rename(path.parent.with_name(f"gone{len(list(new.parent.iterdir()))}"))
    new.rename(path.parent)


def exchange_link(path: Path) -> None:
    target = path.parent / f"target{len(list(path.parent.iterdir()))}"
    target.write_text("x")
    link = path.with_name("link")
    link.symlink_to(target.name)
    link.rename(path)


def exchange_data(path: Path) -> None:
    """As Kubernetes does for a ConfigMap: pool -> ..data/pool, ..data -> ..1."""
    folder = path.parent
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    (version / path.name).write_text("x")
    new = folder / "..data_tmp"
    new.symlink_to(version.name)
    new.rename(folder / "..data")
    if not path.is_symlink():
        path.unlink()
        path.symlink_to(f"..data/{path.name}")


def forbid(path: Path) -> None:
    path.chmod(path.stat().st_mode ^ 0o040)  # who is not root can still watch it


OPEN: list[int] = []
WAYS: dict[str, Callable[[Path], object]] = {
    "it is written in place": write,
    "it is written and stays open": write_without_closing,
    "it is written by another name": write_by_another_name,
    "it is replaced by a rename": rename_over,
    "it is deleted and written anew": delete_and_write,
    "its directory is replaced": replace_directory,
    "a link is exchanged": exchange_link,
    "a link on the way is exchanged": exchange_data,
    "its rights change": forbid,
}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "site" / "pools" / "pool"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    yield file
    while OPEN:
        os.close(OPEN.pop())


@pytest.mark.parametrize("how", WAYS)
def test_each_change_is_seen(path: Path, how: str) -> None:
    clock = Clock()
    watch = watches_of(clock).of(path)
    assert not watch.is_quiet()
    for _ in range(3):
        watch.begin()
        for _ in range(3):
            clock.advance(1)
            assert watch.is_quiet()
            (path.parent.parent / "pools" / "unrelated").write_text("x")
        WAYS[how](path)
        clock.advance(1)
        assert not watch.is_quiet()
        clock.advance(1)
        assert not watch.is_quiet(), "until somebody has looked"


@pytest.mark.parametrize("missing", ["pool", "pools/pool", "site/pools/pool"])
def test_a_file_that_is_not_there_is_looked_for_each_time(tmp_path: Path, missing: str) -> None:
    clock = Clock()
    path = tmp_path / missing
    watch = watches_of(clock).of(path)
    for _ in range(3):
        watch.begin()
        clock.advance(1)
        assert not watch.is_quiet()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    watch.begin()
    clock.advance(1)
    assert not watch.is_quiet(), "it has appeared since the last look but one"
    watch.begin()
    clock.advance(1)
    assert watch.is_quiet()


def test_a_file_is_looked_at_after_some_time_in_any_case(path: Path) -> None:
    clock = Clock()
    watch = watches_of(clock).of(path)
    watch.begin()
    clock.advance(LOOK_S - 0.1)
    assert watch.is_quiet()
    clock.advance(0.2)
    assert not watch.is_quiet()
    watch.begin()
    clock.advance(1)
    assert watch.is_quiet()


def test_a_file_of_the_network_is_never_quiet(path: Path) -> None:
    clock = Clock()

    def no_inotify() -> Inotify:
        raise AssertionError

    watch = watches_of(clock, no_inotify, local=False).of(path)
    watch.begin()
    clock.advance(1)
    assert not watch.is_quiet()


def test_where_nothing_can_be_watched_all_is_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "pybal.sources.file_watches._log.info", lambda text, **values: said.append(values["why"])
    )
    clock, tries = Clock(), []

    def no_inotify() -> Inotify:
        tries.append(clock.seconds())
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    watches = watches_of(clock, no_inotify)
    for watch in (watches.of(path), watches.of(path)):
        for _ in range(25):
            watch.begin()
            clock.advance(1)
            assert not watch.is_quiet()
    assert len(tries) == 6, "once in ten seconds each"
    assert len(said) == 1


class Told(Inotify):
    """Says what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[list[Event]] = []

    def read(self) -> list[Event]:
        super().read()
        return self.events.pop() if self.events else []


@pytest.mark.parametrize(
    "events", [[[Event(None, b"", False)]], [[Event(-9, b"x", False)]] * 8], ids=["lost", "many"]
)
def test_all_is_looked_at_when_events_are_lost_or_too_many(
    path: Path, events: list[list[Event]]
) -> None:
    clock, inotify = Clock(), Told()
    watches = watches_of(clock, lambda: inotify)
    files = [watches.of(path), watches.of(path.with_name("other"))]
    path.with_name("other").write_text("x")
    for watch in files:
        watch.begin()
    clock.advance(1)
    assert all(watch.is_quiet() for watch in files)
    inotify.events = list(events)
    clock.advance(1)
    assert not any(watch.is_quiet() for watch in files)


def test_what_nobody_asks_for_is_let_go_of(path: Path, descriptors: Callable[[], int]) -> None:
    clock, before = Clock(), descriptors()
    watches = watches_of(clock)
    one, two = watches.of(path), watches.of(path)
    one.begin()
    two.begin()
    assert descriptors() == before + 1
    one.stop()
    clock.advance(1)
    assert two.is_quiet() and not one.is_quiet()
    write(path)
    clock.advance(1)
    assert not two.is_quiet()
    two.stop()
    two.stop()
    assert descriptors() == before


def test_inotify_is_closed_in_a_thread_and_may_be_begun_anew_meanwhile(
    path: Path, descriptors: Callable[[], int]
) -> None:
    clock, before = Clock(), descriptors()
    threads: list[Callable[[], None]] = []
    watches = FileWatches(clock, lambda _: True, threads.append)
    one, two = watches.of(path), watches.of(path)
    one.begin()
    one.stop()
    one.stop()
    assert len(threads) == 1
    two.begin()
    assert descriptors() == before + 2, "to close it would hold up the reactor"
    threads.pop()()
    assert descriptors() == before + 1
    clock.advance(1)
    assert two.is_quiet()
    write(path)
    clock.advance(1)
    assert not two.is_quiet()
    two.stop()
    threads.pop()()
    assert descriptors() == before


def test_the_way_to_a_file_goes_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "there").symlink_to("../b")
    (tmp_path / "b").symlink_to(tmp_path / "c")
    (tmp_path / "c").mkdir()
    here = str(tmp_path)
    steps = list(way(f"{here}/a/there/pool", os.readlink))
    above = [step for step in steps if not step[0].startswith(here)]
    assert above[0][0] == "/"
    assert [step for step in steps if step not in above] == [
        (here, "a"), (f"{here}/a", "there"), (here, "b"), (here, "c"), (f"{here}/c", "pool"),
        (f"{here}/c/pool", ""),
    ]  # fmt: skip


def test_links_that_go_round_are_an_error_and_no_endless_way(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "y").symlink_to("x")
    with pytest.raises(OSError, match="symbolic links"):
        list(way(str(tmp_path / "x"), os.readlink))


class CountingAccess:
    """Counts what reads a file."""

    def __init__(self) -> None:
        self.looks = 0

    def is_local(self, path: Path) -> bool:
        return True

    async def run(self, path: Path, function: Callable[[], T]) -> T:
        self.looks += 1
        return function()


def test_a_pool_list_is_hardly_looked_at_while_nothing_happens(path: Path) -> None:
    path.write_text("{'host': 'a'}\n")
    bench, access = SourceBench(), CountingAccess()
    bench.environment = bench.environment._replace(files=access)
    source = bench.start(FileSource(path))
    bench.advance(5)
    access.looks = 0
    bench.advance(60)
    assert 5 <= access.looks <= 7
    assert source.snapshot().last_good_at == pytest.approx(bench.now(), abs=1.2)
    path.write_text("{'host': 'a'}\n{'host': 'b'}\n")
    bench.advance(1.1)
    assert len(bench.take()[-1]) == 2


def test_bad_content_stays_an_error_while_nothing_happens(path: Path) -> None:
    path.write_text("no list")
    bench = SourceBench()
    source = bench.start(FileSource(path))
    bench.advance(30)
    assert source.snapshot().stale
    assert bench.take() == []
