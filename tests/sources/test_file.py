"""A pool list in a file: what is read when, and what never empties a pool."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pybal.config.settings import FileSource
from pybal.model import ServerSpec
from tests.fakes.sources import EPOCH, SourceBench

A, B, C = ServerSpec("a"), ServerSpec("b"), ServerSpec("c")
TWO = "{ 'host': 'a', 'weight': 10, 'enabled': True }\n# comment\n\n{ 'host': 'b' }\n"
ONE_DISABLED = "{'host': 'a', 'enabled': False}\n{'host': 'b'}\n"


@pytest.fixture
def bench() -> SourceBench:
    return SourceBench()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "pool"
    file.write_text(TWO)
    return file


def test_the_list_is_published_at_the_start(bench: SourceBench, path: Path) -> None:
    source = bench.start(FileSource(path))
    assert bench.take() == [(A, B)]
    snapshot = source.snapshot()
    assert (snapshot.url, snapshot.stale, snapshot.last_error) == (f"file://{path}", False, None)
    assert snapshot.last_good_at == EPOCH


def test_a_json_list_is_known_by_the_files_name(bench: SourceBench, tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    path.write_text('{"a": {"enabled": false, "weight": 3}}')
    bench.start(FileSource(path))
    assert bench.take() == [(ServerSpec("a", 3, enabled=False),)]


def test_an_unchanged_list_is_published_once(bench: SourceBench, path: Path) -> None:
    source = bench.start(FileSource(path))
    bench.advance(5)
    path.write_text(TWO + "# another comment\n")
    bench.advance(5)
    assert bench.take() == [(A, B)]
    assert source.snapshot().last_good_at == pytest.approx(EPOCH + 10, abs=1.2)


def test_a_changed_attribute_is_in_force_within_a_second(bench: SourceBench, path: Path) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    path.write_text(ONE_DISABLED)
    bench.advance(1.1)
    assert bench.take() == [(ServerSpec("a", enabled=False), B)]


def test_a_removal_waits_until_the_file_has_stood_still(bench: SourceBench, path: Path) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    path.write_text("{'host': 'a'}\n")
    bench.advance(0.9)
    assert bench.take() == []
    bench.advance(1.2)
    assert bench.take() == [(A,)]


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def delete_and_write(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def write_line_by_line(path: Path, text: str) -> None:
    with path.open("w") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()


WRITTEN_ANEW: dict[str, Callable[[Path, str], None]] = {
    "in place": write_in_place,
    "after it was deleted": delete_and_write,
    "line by line": write_line_by_line,
}


@pytest.mark.parametrize("how", WRITTEN_ANEW)
def test_a_removal_counts_within_two_seconds_though_the_file_is_written_anew_all_the_time(
    bench: SourceBench, path: Path, how: str
) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    for number in range(21):
        WRITTEN_ANEW[how](path, f"# written {number} times\n{{'host': 'a'}}\n")
        bench.advance(0.1)
    assert bench.take() == [(A,)]
    assert bench.log.lines == []


def test_a_file_that_is_written_all_the_time_loses_no_server_that_it_sometimes_shows(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    for number in range(100):
        whole = f"# {number}\n{TWO}"
        path.write_text(whole[: len(whole) * (1, 3, 2)[number % 3] // 3])
        bench.advance(0.1)
    path.write_text(TWO)
    bench.advance(2.1)
    assert bench.take() == []


def test_a_file_that_only_grows_loses_no_server(bench: SourceBench, path: Path) -> None:
    path.write_text(TWO)
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    path.write_text("")
    for _ in range(30):
        with path.open("a") as file:
            file.write("{'host': 'a'}\n# more is to come\n")
        bench.advance(0.1)
    assert bench.take() == []


def test_a_file_that_is_never_whole_is_an_error_after_some_seconds(
    bench: SourceBench, path: Path
) -> None:
    source = bench.start(FileSource(path))
    bench.advance(5)
    for number in range(130):
        path.write_text("{ 'host': " + "x" * number)
        bench.advance(0.1)
    assert source.snapshot().stale
    assert "is written to all the time" in bench.log.lines[0]
    assert bench.take() == [(A, B)]


def test_a_disabled_server_counts_at_once_though_the_rest_of_the_file_is_not_there(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    path.write_text("{'host': 'a', 'enabled': False}\n{'ho")
    bench.advance(1.0)
    assert bench.take() == [(ServerSpec("a", enabled=False), B)]


def test_a_file_in_the_middle_of_being_written_loses_no_server(
    bench: SourceBench, path: Path
) -> None:
    path.write_text(TWO + "{'host': 'c'}\n")
    bench.start(FileSource(path))
    bench.advance(3)
    assert bench.take() == [(A, B, C)]
    text = "{'host': 'a', 'weight': 1}\n{'host': 'b', 'weight': 1}\n{'host': 'c', 'weight': 1}\n"
    for length in (0, 13, 27, 40, 70):
        path.write_text(text[:length])
        bench.advance(0.9)
    path.write_text(text)
    bench.advance(3)
    lists = bench.take()
    assert lists[-1] == tuple(ServerSpec(host, 1) for host in "abc")
    assert all([server.host for server in each] == ["a", "b", "c"] for each in lists)


def test_json_in_the_middle_of_being_written_is_no_error(
    bench: SourceBench, tmp_path: Path
) -> None:
    path = tmp_path / "pool.json"
    path.write_text('{"a": {"weight": 10}, "b": {}}')
    bench.start(FileSource(path))
    bench.advance(3)
    path.write_text('{"a": {}, ')
    bench.advance(1.0)
    path.write_text('{"a": {}, "b": {"weight": 7}}')
    bench.advance(3)
    assert bench.take() == [(A, B), (A, ServerSpec("b", 7))]
    assert bench.log.lines == []


def test_json_is_whole_as_soon_as_it_is_json(bench: SourceBench, tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    path.write_text('{"a": {"weight": 10}, "b": {}}')
    bench.start(FileSource(path))
    bench.advance(3)
    bench.take()
    path.write_text('{"a": {"weight": 10}}')
    bench.advance(1.0)
    assert bench.take() == [(A,)]


def test_a_last_line_without_an_end_counts_once_the_file_stands_still(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(3)
    bench.take()
    path.write_text("{'host': 'a'}\n{'host': 'b', 'enabled': False}")
    bench.advance(0.9)
    assert bench.take() == []
    bench.advance(1.2)
    assert bench.take() == [(A, ServerSpec("b", enabled=False))]


def test_a_file_replaced_by_rename_is_seen(bench: SourceBench, path: Path) -> None:
    bench.start(FileSource(path))
    bench.advance(3)
    stat = path.stat()
    new = path.with_name("pool.new")
    new.write_text(TWO.replace("10", "11"))
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.rename(path)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (stat.st_mtime_ns, stat.st_size)
    bench.advance(1.1)
    assert bench.take() == [(A, B), (ServerSpec("a", 11), B)]


def test_a_change_between_the_reading_and_the_next_look_is_seen(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    path.write_text(TWO.replace("10", "12"))
    bench.advance(2.1)
    assert bench.take() == [(A, B), (ServerSpec("a", 12), B)]


def test_a_new_file_that_is_written_slowly_loses_no_server(bench: SourceBench, path: Path) -> None:
    bench.start(FileSource(path))
    bench.advance(3)
    bench.take()
    path.unlink()
    time.sleep(0.02)  # the file system's clock moves on
    with path.open("a") as file:
        time.sleep(0.02)
        for line in ("{'host': 'a'}", "# more", "# and more", "{'host': 'b'}"):
            file.write(f"{line}\n")
            file.flush()
            bench.advance(0.9)
    bench.advance(3)
    assert bench.take() == []


def test_a_rename_is_whole_soon_even_within_a_tick_of_the_file_systems_clock(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(3)
    bench.take()
    new = path.with_name("pool.new")
    new.write_text("{'host': 'a'}\n")
    new.rename(path)
    bench.advance(1.5)
    assert bench.take() == [(A,)]


def test_a_rename_is_whole_at_once(bench: SourceBench, path: Path) -> None:
    bench.start(FileSource(path))
    bench.advance(3)
    bench.take()
    new = path.with_name("pool.new")
    new.write_text("{'host': 'a'}")
    os.utime(new, ns=(0, 0))  # as if it had been written long before the rename
    new.rename(path)
    bench.advance(1.0)
    assert bench.take() == [(A,)]


def test_bad_lines_are_told_once_with_their_numbers_and_the_rest_counts(
    bench: SourceBench, path: Path
) -> None:
    source = bench.start(FileSource(path))
    bench.advance(3)
    path.write_text("{'host': 'a', 'weight': 1}\nrm -rf /\n{'host': 'c'}\n{'weight': '1'}\n")
    bench.advance(10)
    assert bench.take() == [(A, B), (ServerSpec("a", 1), B, C)]
    first, second, third = bench.log.take()
    assert first.startswith(f"[svc] WARN: Pool list from file://{path}: line 2: entry skipped")
    assert "line 4: entry skipped: it has no 'host'" in second
    assert third.endswith("stay as they were until it is whole: b")
    snapshot = source.snapshot()
    assert (snapshot.stale, len(snapshot.damage), snapshot.kept) == (False, 2, ("b",))
    path.write_text(path.read_text() + "nonsense\n")
    bench.advance(3)
    (fourth,) = bench.log.take()
    assert "line 5: entry skipped" in fourth
    path.write_text("{'host': 'a', 'weight': 1}\n{'host': 'c'}\n")
    bench.advance(3)
    assert bench.take() == [(ServerSpec("a", 1), C)]
    assert bench.log.take() == [f"[svc] INFO: Pool list from file://{path} is whole again"]
    assert source.snapshot().damage == source.snapshot().kept == ()


def test_a_thousand_bad_lines_do_not_flood_the_log(bench: SourceBench, path: Path) -> None:
    path.write_text("{'host': 'a'}\n" + "x\n" * 1000)
    bench.start(FileSource(path))
    bench.advance(3)
    assert bench.take() == [(A,)]
    assert len(bench.log.lines) <= 21
    assert "more problems" in bench.log.lines[-1]


BAD_CONTENTS = {
    "empty": b"",
    "comments alone": b"# all gone\n",
    "binary junk": bytes(range(256)),
    "NUL bytes": b"\0" * 5000,
    "an error page": b"<html>\n<body>503</body>\n</html>\n",
    "half a line": b"{ 'host': 'a', 'wei",
    "a word": b"Service Unavailable",
    "UTF-16": TWO.encode("utf-16"),
    "too large": b"{'host': 'a'}\n" * 1_300_000,
}


@pytest.mark.parametrize("name", BAD_CONTENTS)
def test_a_bad_file_keeps_the_last_good_list(bench: SourceBench, path: Path, name: str) -> None:
    source = bench.start(FileSource(path))
    bench.advance(3)
    path.write_bytes(BAD_CONTENTS[name])
    bench.advance(4)
    assert bench.take() == [(A, B)]
    assert source.snapshot().stale
    assert source.snapshot().last_error
    assert len(bench.log.lines) == 1
    assert bench.log.lines[0].startswith(f"[svc] ERROR: Pool list from file://{path}: ")
    path.write_text(ONE_DISABLED)
    bench.advance(2.1)
    assert bench.take() == [(ServerSpec("a", enabled=False), B)]
    assert not source.snapshot().stale
    assert "is good again" in bench.log.lines[1]


@pytest.mark.parametrize("name", [*BAD_CONTENTS, "a directory"])
def test_a_bad_file_at_the_start_publishes_nothing(
    bench: SourceBench, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "pool.json"
    if name in BAD_CONTENTS:
        path.write_bytes(BAD_CONTENTS[name])
    else:
        path.mkdir()
    source = bench.start(FileSource(path))
    bench.advance(8)
    assert bench.take() == []
    assert source.snapshot().stale
    assert len(bench.log.lines) == 1
    assert "last good" not in bench.log.lines[0], "there is none"


def replace_with_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_with_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_with_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def replace_with_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (Path.unlink, "cannot be read: No such file"),
    "a directory": (replace_with_directory, "is a directory, not a regular file"),
    "a FIFO": (replace_with_fifo, "is a FIFO, not a regular file"),
    "a device": (replace_with_device, "is a device, not a regular file"),
    "a loop of links": (replace_with_loop, "cannot be read: Too many levels"),
}


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_regular_file_keeps_the_last_good_list(
    bench: SourceBench, path: Path, name: str
) -> None:
    spoil, why = NO_FILES[name]
    source = bench.start(FileSource(path))
    bench.advance(3)
    kept = path.with_name("kept")
    os.link(path, kept)
    spoil(path)
    bench.advance(4)
    (line,) = bench.log.take()
    assert line.startswith("[svc] ERROR: ")
    assert why in line
    assert source.snapshot().stale
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    kept.rename(path)
    bench.advance(2.1)
    assert not source.snapshot().stale
    assert bench.take() == [(A, B)]


@contextmanager
def without_roots_power() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_that_may_not_be_read_keeps_the_last_good_list(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(3)
    path.chmod(0)
    with without_roots_power():
        bench.advance(3)
    assert "cannot be read: Permission denied" in bench.log.lines[0]
    assert bench.take() == [(A, B)]


def test_nothing_is_published_or_logged_after_stop(bench: SourceBench, path: Path) -> None:
    source = bench.start(FileSource(path))
    source.stop()
    source.stop()
    path.write_text(ONE_DISABLED)
    bench.advance(5)
    path.unlink()
    bench.advance(5)
    assert bench.take() == [(A, B)]
    assert bench.log.lines == []
    assert bench.clock.getDelayedCalls() == []


def test_a_fault_in_what_takes_the_lists_does_not_end_the_source(
    bench: SourceBench, path: Path
) -> None:
    class Fussy(list[object]):
        def append(self, item: object) -> None:
            super().append(item)
            raise RuntimeError("cannot take it")

    bench.published = Fussy()  # type: ignore[assignment] # a list all the same
    bench.start(FileSource(path))
    bench.advance(3)
    path.write_text(ONE_DISABLED)
    bench.advance(3)
    assert len(bench.published) == 2
    assert "Publishing the pool list failed: RuntimeError: cannot take it" in bench.log.lines[0]
