"""A value in a file of the state directory: read whatever lies there, written behind."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from pybal.runtime.threads import InThread, NoThreadError
from pybal.state.keeper import Keeper
from pybal.state.state_file import (
    TRY_AGAIN_MAX_S,
    TRY_AGAIN_S,
    Document,
    StateFile,
    StateFileError,
    WriteBehind,
)
from pybal.state.state_writing import HANGS, HANGS_S, StateWriting
from tests.fakes.log import FakeLog
from tests.fakes.sources import FakeThread


def names_file(path: Path) -> StateFile[list[str]]:
    return StateFile(path, 1, lambda names: {"names": names}, lambda document: document["names"])


def test_a_value_comes_back(tmp_path: Path) -> None:
    file = names_file(tmp_path / "new" / "x.json")
    assert file.load() is None
    file.save(["a"])
    assert file.load() == ["a"]


def enormous(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


ODD_THINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a FIFO": (os.mkfifo, "is a FIFO"),
    "a directory": (Path.mkdir, "is a directory"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "a loop of links": (lambda path: path.symlink_to(path.name), "cannot be read: too many levels"),
    "an enormous file": (enormous, "is larger"),
}


@pytest.mark.parametrize("name", ODD_THINGS)
def test_what_is_no_file_of_ours_is_an_error_and_never_waited_for(
    tmp_path: Path, name: str
) -> None:
    make, why = ODD_THINGS[name]
    make(tmp_path / "x.json")
    with pytest.raises(StateFileError, match=why):
        names_file(tmp_path / "x.json").load()


def recording(path: Path, during: Callable[[list[str]], object]) -> StateFile[list[str]]:
    """A file each of whose writings tells what it is about to write."""

    def encode(names: list[str]) -> Document:
        during(names)
        return {"names": names}

    return StateFile(path, 1, encode, lambda document: document["names"])


def writing(in_thread: InThread, clock: Clock | None = None) -> StateWriting:
    return StateWriting(clock or Clock(), in_thread)


def test_changes_during_a_writing_are_written_once_after_it(tmp_path: Path) -> None:
    thread, value, written = FakeThread(), ["a"], list[list[str]]()

    def during(names: list[str]) -> None:
        written.append(names)
        for name in "bcd" if names == ["a"] else "":
            value.append(name)
            writer.changed()

    file = recording(tmp_path / "x.json", during)
    writer = WriteBehind(file, lambda: list(value), writing(thread), pytest.fail)
    writer.changed()
    assert written == [["a"], ["a", "b", "c", "d"]]
    assert file.load() == ["a", "b", "c", "d"]
    value.append("e")
    writer.changed()
    assert file.load() == ["a", "b", "c", "d", "e"]


def test_a_change_in_a_stop_is_written_though_the_reactor_hears_of_no_thread_any_more(
    tmp_path: Path,
) -> None:
    thread, value = FakeThread(), ["a"]
    thread.at_once = False
    file = names_file(tmp_path / "x.json")
    writer = WriteBehind(file, lambda: list(value), writing(thread), pytest.fail)
    writer.changed()
    value.append("b")
    writer.changed()
    assert thread.waiting == 1
    thread.run_one()
    assert thread.waiting == 0
    assert file.load() == ["a", "b"]


def test_a_failure_is_none_if_what_came_meanwhile_is_written(tmp_path: Path) -> None:
    directory, said = tmp_path / "state", list[str]()
    directory.write_text("in the way")

    def during(names: list[str]) -> None:
        if names == ["a"]:
            writer.changed()
        else:
            directory.unlink()

    values = iter((["a"], ["b"]))
    file = recording(directory / "x.json", during)
    writer = WriteBehind(file, lambda: next(values), writing(FakeThread()), said.append)
    writer.changed()
    assert file.load() == ["b"]
    assert said == []


def test_what_no_thread_could_write_is_written_with_the_next_change(tmp_path: Path) -> None:
    thread, said = FakeThread(), list[str]()

    def in_thread(function: Callable[[], object]) -> Deferred[object]:
        return thread(function) if said else fail(NoThreadError("none is left"))

    file = names_file(tmp_path / "x.json")
    writer = WriteBehind(file, lambda: ["a"], writing(in_thread), said.append)
    writer.changed()
    assert (said, file.load()) == ([f"{file.path}: none is left"], None)
    writer.changed()
    assert file.load() == ["a"]


def test_changes_within_the_delay_are_written_together(tmp_path: Path) -> None:
    clock, value = Clock(), ["a"]
    file = names_file(tmp_path / "x.json")
    writer = WriteBehind(
        file, lambda: list(value), writing(FakeThread(), clock), pytest.fail, after_s=10.0
    )
    writer.changed()
    clock.advance(9)
    value.append("b")
    writer.changed()
    assert file.load() is None
    clock.advance(1)
    assert file.load() == ["a", "b"]
    assert clock.getDelayedCalls() == []


def test_what_fails_is_said_once_until_it_succeeds(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    said: list[str] = []
    writer = WriteBehind(
        names_file(directory / "x.json"), lambda: ["a"], writing(FakeThread()), said.append
    )
    for _ in range(2):
        directory.write_text("in the way")
        writer.changed()
        writer.changed()
        directory.unlink()
        writer.changed()
        (directory / "x.json").unlink()
        directory.rmdir()
    assert len(said) == 2


def test_what_could_not_be_written_does_not_stay_until_it_is_searched_for(tmp_path: Path) -> None:
    class Names(list[str]):
        pass

    written: list[weakref.ref[Names]] = []

    def newest() -> list[str]:
        names = Names("abc")
        written.append(weakref.ref(names))
        return names

    (tmp_path / "state").write_text("in the way")
    files = writing(FakeThread(), Clock())
    writer = WriteBehind(names_file(tmp_path / "state/x.json"), newest, files, lambda _: None)
    gc.disable()
    try:
        writer.changed()
        assert files.unwritten
        assert [each() for each in written] == [None]
    finally:
        gc.enable()


def test_what_fails_is_told_and_tried_again_ever_later_until_the_newest_is_there(
    tmp_path: Path,
) -> None:
    directory, clock, value = tmp_path / "state", Clock(), ["a"]
    directory.write_text("in the way")
    said: list[str] = []
    file, files = names_file(directory / "x.json"), writing(FakeThread(), clock)
    writer = WriteBehind(file, lambda: list(value), files, said.append)
    writer.changed()
    ((path, error),) = files.unwritten
    assert (path, error) == (str(file.path), "File exists")
    clock.advance(TRY_AGAIN_S)
    value.append("b")
    directory.unlink()
    clock.advance(2 * TRY_AGAIN_S - 1)
    assert file.load() is None
    clock.advance(1)
    assert file.load() == ["a", "b"]
    assert len(said) == 1
    assert not files.unwritten
    assert not clock.getDelayedCalls()


def test_a_disk_that_hangs_is_told_as_one_that_fails_until_it_answers(tmp_path: Path) -> None:
    thread, clock = FakeThread(), Clock()
    thread.at_once = False
    file, files = names_file(tmp_path / "x.json"), writing(thread, clock)
    writer = WriteBehind(file, lambda: ["a"], files, pytest.fail)
    writer.changed()
    clock.advance(HANGS_S - 1)
    writer.changed()
    assert list(files.unwritten) == []
    clock.advance(1)
    assert list(files.unwritten) == [(str(file.path), HANGS)]
    thread.run_one()
    assert list(files.unwritten) == []
    writer.changed()
    clock.advance(HANGS_S)
    assert len(files.unwritten) == 1
    writer.stop()
    assert list(files.unwritten) == []
    thread.run_one()
    writer.changed()
    clock.advance(HANGS_S)
    assert list(files.unwritten) == []


def test_a_disk_that_is_slower_than_what_changes_is_not_told_as_one_that_hangs(
    tmp_path: Path,
) -> None:
    thread, clock, newest = FakeThread(), Clock(), ["a"]
    thread.at_once = False
    files, told = writing(thread, clock), list[object]()

    class Slow(StateFile[list[str]]):
        def save(self, value: list[str]) -> None:
            clock.advance(HANGS_S - 1)
            told.extend(files.unwritten)
            super().save(value)
            if len(value) < 4:
                newest.append("b")
                writer.changed()

    file = Slow(tmp_path / "x.json", 1, lambda names: {"names": names}, lambda read: read["names"])
    writer = WriteBehind(file, lambda: list(newest), files, pytest.fail)
    writer.changed()
    thread.run_one()
    assert (file.load(), told) == (["a", "b", "b", "b"], [])


def test_a_disk_that_hangs_is_told_though_what_was_written_before_is_heard_of_late(
    tmp_path: Path,
) -> None:
    clock, hangs, written = Clock(), False, list[Deferred[None]]()

    def in_thread(function: Callable[[], None]) -> Deferred[None]:
        if not hangs:
            function()
        written.append(Deferred())
        return written[-1]

    file, files = names_file(tmp_path / "x.json"), StateWriting(clock, in_thread)
    writer = WriteBehind(file, lambda: ["a"], files, pytest.fail)
    writer.changed()
    hangs = True
    writer.changed()
    written[0].callback(None)
    clock.advance(HANGS_S)
    assert list(files.unwritten) == [(str(file.path), HANGS)]


def test_what_has_failed_is_told_as_it_failed_not_as_a_disk_that_hangs(tmp_path: Path) -> None:
    clock = Clock()
    files, path = writing(FakeThread(), clock), tmp_path / "x.json"
    files.begin(path)
    files.failed(path, OSError(28, "No space left"), lambda: None)
    clock.advance(HANGS_S)
    assert list(files.unwritten) == [(str(path), "No space left")]


def test_however_long_it_fails_it_is_tried_every_few_minutes_and_with_each_change(
    tmp_path: Path,
) -> None:
    directory, clock = tmp_path / "state", Clock()
    directory.write_text("in the way")
    file, files = names_file(directory / "x.json"), writing(FakeThread(), clock)
    writer = WriteBehind(file, lambda: ["a"], files, lambda _: None)
    writer.changed()
    clock.pump([TRY_AGAIN_MAX_S] * 100)
    assert len(clock.getDelayedCalls()) == 1
    directory.unlink()
    writer.changed()
    assert (file.load(), clock.getDelayedCalls()) == (["a"], [])


def test_what_another_may_write_by_now_is_not_tried_again(tmp_path: Path) -> None:
    directory, clock = tmp_path / "state", Clock()
    directory.write_text("in the way")
    file, files = names_file(directory / "x.json"), writing(FakeThread(), clock)
    writer = WriteBehind(file, lambda: ["a"], files, lambda _: None)
    writer.changed()
    writer.stop()
    assert (files.unwritten, clock.getDelayedCalls()) == ((), [])
    writer.changed()
    assert (files.unwritten, clock.getDelayedCalls()) == ((), [])


def test_a_value_that_could_not_be_kept_is_written_though_it_never_changes_again(
    tmp_path: Path,
) -> None:
    directory, clock, log = tmp_path / "state", Clock(), FakeLog()
    directory.write_text("in the way")
    files = writing(FakeThread(), clock)
    keeper: Keeper[list[str]] = Keeper(
        directory, lambda found: names_file(found / "x"), "It", [], files, log.logger("state")
    )
    keeper.save(["a"])
    keeper.save(["a"])
    directory.unlink()
    clock.advance(TRY_AGAIN_S)
    assert names_file(directory / "x").load() == ["a"]
    assert len(log.lines) == 1


def test_at_the_end_what_could_not_be_written_is_tried_once_more(tmp_path: Path) -> None:
    directory, clock = tmp_path / "state", Clock()
    directory.write_text("in the way")
    files = writing(FakeThread(), clock)
    made = [names_file(directory / name) for name in ("x.json", "y.json")]
    for file in made:
        WriteBehind(file, lambda: ["a"], files, lambda _: None).changed()
    files.hurry()
    assert {path for path, _ in files.unwritten} == {str(file.path) for file in made}
    directory.unlink()
    files.hurry()
    assert [file.load() for file in made] == [["a"], ["a"]]
    assert not files.unwritten
    assert clock.getDelayedCalls() == []
