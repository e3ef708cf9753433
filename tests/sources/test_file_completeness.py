"""What a pool file says once it has stood still: parsed once, whatever that comes to."""

from __future__ import annotations

import gc
import weakref

import pytest

from pybal.config.pool_list import PoolList
from pybal.errors import SourceError
from pybal.runtime.file_stamp import FileStamp
from pybal.sources.file_completeness import FileReadings
from pybal.state.files import FileContent
from tests.sources.file_texts import TWO

NOW = 1_000_000.0


def read(text: str, *, json_format: bool = False) -> FileReadings:
    """One reading of a file that is just being written."""
    just_ns = int(NOW * 1e9)
    data = text.encode()
    stamp = FileStamp(1, 2, len(data), just_ns, just_ns)
    readings = FileReadings(None, 0.0, json_format=json_format)
    readings.add(FileContent(stamp, data), 0, 0.0, NOW)
    return readings


def test_what_was_parsed_whole_is_not_parsed_again() -> None:
    readings = read(TWO)
    assert [server.host for server in readings.content().servers] == ["a", "b"]
    assert readings.content() is readings.content()
    assert readings.content() is readings._usable[-1].pool


@pytest.mark.parametrize("text", [TWO, TWO + "{'ho"])
def test_a_text_that_stands_still_is_parsed_once_however_often_it_is_read(text: str) -> None:
    readings = FileReadings(None, 0.0, json_format=False)
    for turn in range(4):
        readings.add(content(text), 0, 0.2 * turn, NOW)
    assert len({id(reading.pool) for reading in readings._usable}) == 1
    readings.add(content(C), 0, 0.8, NOW)
    assert hosts(readings._usable[-1].pool) == ["c"]


def test_a_last_line_without_an_end_counts_once_the_file_has_stood_still() -> None:
    readings = read(TWO.rstrip("\n"))
    assert [server.host for server in readings._usable[-1].pool.servers] == ["a"]
    assert [server.host for server in readings.content().servers] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "json_format"), [('{"error": {"code": 503}}', True), ('{"a": ', True), ("{", False)]
)
def test_what_is_no_list_is_refused_each_time(text: str, json_format: bool) -> None:
    readings = read(text, json_format=json_format)
    said = []
    for _ in range(2):
        with pytest.raises(SourceError) as refused:
            readings.content()
        said.append(str(refused.value))
    assert said[0] == said[1] != ""


NOW_NS = int(NOW * 1e9)
S = 1_000_000_000
A, B, C = ("{'host': 'a'}\n", "{'host': 'b'}\n", "{'host': 'c'}\n")
BEFORE = FileStamp(1, 2, 5, 0, 0)
"""Of the file that was there, whose inode has the number 2."""


def test_what_is_no_list_does_not_stay_until_it_is_searched_for() -> None:
    gc.disable()
    try:
        readings = weakref.ref(refused := read("{"))
        with pytest.raises(SourceError):
            refused.content()
        del refused
        assert readings() is None
    finally:
        gc.enable()


def content(
    text: str,
    *,
    inode: int = 2,
    device: int = 1,
    modified_ns: int = NOW_NS,
    changed_ns: int = NOW_NS,
) -> FileContent:
    data = text.encode()
    return FileContent(FileStamp(device, inode, len(data), modified_ns, changed_ns), data)


def hosts(pool: PoolList | None) -> list[str] | None:
    return None if pool is None else [server.host for server in pool.servers]


def once(file: FileContent, before: FileStamp | None, *, json_format: bool = False) -> PoolList:
    pool = FileReadings(before, 0.0, json_format=json_format).add(file, 0, 0.0, NOW)
    assert pool is not None
    return pool


def test_after_ten_seconds_it_is_looked_at_in_vain() -> None:
    readings = FileReadings(None, 5.0, json_format=False)
    assert not readings.took_too_long(14.9)
    assert readings.took_too_long(15.0)


@pytest.mark.parametrize(
    ("before", "file", "whole"),
    [
        (None, content(A), False),  # just written
        (None, content(A, changed_ns=NOW_NS - 96 * S // 100), True),
        (None, content(A, changed_ns=NOW_NS - 94 * S // 100), False),
        (None, content(A, changed_ns=NOW_NS + S), True),  # a clock was wrong
        (None, content(A + B.strip(), changed_ns=NOW_NS + S), False),
        (BEFORE, content(A, changed_ns=NOW_NS - S), False),  # written in place
        (BEFORE, content(A, changed_ns=NOW_NS + 1), False),
        (BEFORE, content(A, inode=3), False),
        (BEFORE, content(A, inode=3, changed_ns=NOW_NS + 1), True),  # renamed after it was written
        (BEFORE, content(A, device=3, changed_ns=NOW_NS + 1), True),
    ],
)
def test_a_file_is_whole_by_its_dates(
    before: FileStamp | None, file: FileContent, whole: bool
) -> None:
    pool = once(file, before)
    assert hosts(pool) == ["a"]
    assert pool.part is not whole


def test_json_is_whole_or_none() -> None:
    pool = once(content('{"a": {"weight": 1}}'), BEFORE, json_format=True)
    assert (hosts(pool), pool.part) == (["a"], False)
    readings = FileReadings(BEFORE, 0.0, json_format=True)
    assert readings.add(content('{"a": {"weight": 1}'), 0, 0.0, NOW) is None


def test_a_line_that_has_no_end_yet_does_not_count() -> None:
    pool = once(content(A + B.strip()), BEFORE)
    assert (hosts(pool), pool.problems) == (["a"], ())


def test_a_list_that_is_whole_and_damaged_is_a_part() -> None:
    pool = once(content(f"{A}junk\n", inode=3, changed_ns=NOW_NS + 1), BEFORE)
    assert (hosts(pool), pool.part) == (["a"], True)


@pytest.mark.parametrize(
    ("file", "directory_ns", "still_s"),
    [
        (content(A), 0, 0.95),
        (content(A), NOW_NS, 0.95),  # the same inode
        (content(A, inode=3), NOW_NS, 0.35),
        (content(A, inode=3), NOW_NS - 1, 0.95),  # it was written to after it came
    ],
)
def test_how_long_a_file_stands_still(file: FileContent, directory_ns: int, still_s: float) -> None:
    readings = FileReadings(BEFORE, 0.0, json_format=False)
    readings.add(file, directory_ns, 0.0, NOW)
    assert not readings.stood_still(still_s - 0.01)
    assert readings.stood_still(still_s)


def test_it_stands_still_from_its_last_change_on() -> None:
    readings = FileReadings(BEFORE, 0.0, json_format=False)
    for at_s, text in ((0.0, A), (1.0, B), (1.5, B)):
        readings.add(content(text), 0, at_s, NOW)
    assert not readings.stood_still(1.94)
    assert readings.stood_still(1.95)


def test_how_long_a_reading_takes_says_nothing_of_the_file() -> None:
    readings = FileReadings(BEFORE, 0.0, json_format=False)
    for asked_at_s, ended_at_s in ((0.0, 20.0), (20.1, 40.1)):
        readings.add(content(A), 0, ended_at_s, NOW)
        assert not readings.stood_still(asked_at_s)
        assert not readings.took_too_long(asked_at_s)
    readings.add(content(A), 0, 60.2, NOW)
    assert readings.stood_still(40.2)


def read_at(*texts: tuple[float, str]) -> PoolList | None:
    """What is known after readings of a file that is written in place again and again."""
    readings, pool = FileReadings(BEFORE, 0.0, json_format=False), None
    for at_s, text in texts:
        pool = readings.add(content(text), 0, at_s, NOW)
    return pool


def test_of_a_file_that_is_written_again_and_again_what_was_seen_lately_counts() -> None:
    heavy = "{'host': 'b', 'weight': 7}\n"
    pool = read_at((0.0, A), (0.3, B), (0.6, C), (0.95, heavy))
    assert pool is not None and not pool.part
    assert [(server.host, server.weight) for server in pool.servers] == [("b", 7), ("c", 10)]


@pytest.mark.parametrize(
    "texts",
    [
        ((0.0, A), (0.3, B), (0.6, C), (0.94, B)),  # not for long enough
        ((0.0, A), (0.3, B), (0.95, C)),  # two readings within the time
        ((0.0, A), (0.3, B), (0.6, C), (0.95, C + B)),  # it grows
        ((0.0, A), (0.3, B), (0.6, f"{C}junk\n"), (0.95, B)),  # damaged
        ((0.0, A), (0.3, B), (0.5, "<html>\n"), (0.6, C), (0.95, B)),  # no list, in between
        ((0.0, A), (0.3, B), (0.6, C + A[:-3]), (0.95, B)),  # cut off amid a line
        ((0.0, A), (0.3, B), (0.6, C), (0.95, B + A[:5])),
    ],
)
def test_else_it_is_a_part_of_a_list(texts: tuple[tuple[float, str], ...]) -> None:
    pool = read_at(*texts)
    assert pool is not None
    assert pool.part


def test_the_last_line_of_a_file_that_is_written_again_and_again_may_have_no_end() -> None:
    pool = read_at((0.0, C), (0.3, B + A.strip()), (0.6, C), (0.95, A + B.strip()))
    assert pool is not None and not pool.part
    assert sorted(server.host for server in pool.servers) == ["a", "b", "c"]


@pytest.mark.parametrize("end", ["  ", "# mo", " #"])
def test_an_end_that_is_no_entry_hides_none(end: str) -> None:
    pool = read_at((0.0, A), (0.3, B), (0.6, C + end), (0.95, B))
    assert pool is not None and not pool.part
    assert hosts(pool) == ["b", "c"]


def test_what_is_no_list_says_nothing() -> None:
    assert read_at((0.0, A), (0.3, "<html>\n")) is None
    assert read_at((0.0, "")) is None
