"""A pool list in a file: what is read when, and what never empties a pool."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybal.config.settings import FileSource
from pybal.model import ServerSpec
from tests.fakes.sources import EPOCH, SourceBench
from tests.sources.file_texts import ONE_DISABLED, TWO

A, B, C = ServerSpec("a"), ServerSpec("b"), ServerSpec("c")


@pytest.fixture(params=[True, False], ids=["watched", "unwatched"])
def bench(request: pytest.FixtureRequest) -> Iterator[SourceBench]:
    made = SourceBench(watches_files=request.param)
    yield made
    made.stop()


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


def test_a_file_without_a_last_line_end_that_is_written_all_the_time_keeps_its_last_server(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    for weight in range(1, 41):
        path.write_text(f"{{'host': 'a', 'weight': {weight}}}\n{{'host': 'b', 'weight': {weight}}}")
        bench.advance(0.1)
    lists = bench.take()
    assert all([server.host for server in each] == ["a", "b"] for each in lists)
    assert lists[-1][1].weight > 20


def test_a_list_cut_off_soon_after_it_was_whole_loses_no_server(
    bench: SourceBench, path: Path
) -> None:
    bench.start(FileSource(path))
    bench.advance(5)
    bench.take()
    path.write_text(f"# anew\n{TWO}")
    bench.advance(0.9)
    path.write_text("{'host': 'a'}\n{'host': 'b', 'weig")
    bench.advance(5)
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
