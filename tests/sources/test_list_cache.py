"""The list kept on disk: when it is used, how it is written, what damage it withstands."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.settings import FileSource, HTTPSource
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList
from pybal.sources.list_cache import CachedList, file_name, list_file
from pybal.state.state_file import StateFileError
from tests.fakes.sources import EPOCH, SourceBench

URL = "http://config.example/pybal/text"
SOURCE = HTTPSource(URL)
JSON_SOURCE = HTTPSource("http://config.example/pybal.json")
A, B = ServerSpec("a", 0), ServerSpec("b", enabled=False)
TWO = b"{'host': 'a', 'weight': 0}\n{'host': 'b', 'enabled': False}\n"


def answer(bench: SourceBench, body: bytes) -> None:
    bench.http.under_way[0].answer(200, body=body)


def kept(directory: Path, *, at: float = EPOCH - 7200, url: str = URL) -> Path:
    """A directory in which the last run has left the list (A, B)."""
    file = list_file(directory / "pool-lists", "svc", url)
    file.save(CachedList((A, B), at))
    return file.path


def test_a_good_list_comes_back_after_a_restart_with_the_source_away(tmp_path: Path) -> None:
    first = SourceBench(tmp_path / "state")
    first.start(SOURCE)
    answer(first, TWO)
    second = SourceBench(tmp_path / "state")
    source = second.start(SOURCE)
    second.advance(3)
    assert second.take() == []
    second.advance(4)
    assert second.take() == [(A, B)]
    snapshot = source.snapshot()
    assert (snapshot.stale, snapshot.last_good_at) == (True, EPOCH)


def test_the_first_failure_brings_the_kept_list_without_a_wait(tmp_path: Path) -> None:
    kept(tmp_path)
    bench = SourceBench(tmp_path)
    source = bench.start(SOURCE)
    bench.http.under_way[0].fail("config.example:80: refused")
    assert bench.take() == [(A, B)]
    error, warning = bench.log.lines
    assert error.startswith("[svc] ERROR: Pool list from")
    assert warning == "[svc] WARN: Using the last good pool list, 2 servers, kept on disk 2 h ago"
    assert source.snapshot().last_error is not None


def test_the_sources_own_list_replaces_the_kept_one(tmp_path: Path) -> None:
    kept(tmp_path)
    bench = SourceBench(tmp_path)
    source = bench.start(SOURCE)
    bench.http.under_way[0].fail("config.example:80: refused")
    bench.advance(1)
    answer(bench, b"{'host': 'c'}\n")
    assert bench.take() == [(A, B), (ServerSpec("c"),)]
    assert not source.snapshot().stale


def test_the_kept_list_is_not_used_once_the_source_has_spoken(tmp_path: Path) -> None:
    bench = SourceBench(tmp_path)
    bench.start(SOURCE)
    answer(bench, b"{'host': 'c'}\n")
    kept(tmp_path)
    bench.advance(1)
    bench.http.under_way[0].fail("config.example:80: refused")
    bench.advance(20)
    assert bench.take() == [(ServerSpec("c"),)]


def test_another_sources_list_is_never_used_and_the_first_list_is_held_against_it(
    tmp_path: Path,
) -> None:
    other = "http://elsewhere.example/pool"
    list_file(tmp_path / "pool-lists", "svc", other).save(CachedList((A, B), EPOCH - 7200, PAST))
    bench = SourceBench(tmp_path)
    bench.start(SOURCE)
    bench.http.under_way[0].fail("config.example:80: refused")
    bench.advance(20)
    assert bench.lists == []
    assert f"is not used: it came from another source, '{other}'" in bench.log.lines[-1]
    answer(bench, b"{'host': 'c'}\n")
    bench.advance(1)
    (first,) = bench.lists
    assert (first.servers, first.last_run) == ((ServerSpec("c"),), (A, B))
    assert first.other_source
    assert not first.from_disk
    assert first.past is not None
    assert [host for host, _ in first.past.taken] == ["x", "y"]


def test_a_damaged_list_is_told_of_once(tmp_path: Path) -> None:
    kept(tmp_path).write_text('{"format": 1,')
    bench = SourceBench(tmp_path)
    bench.start(SOURCE)
    for _ in range(3):
        bench.http.under_way[0].fail("config.example:80: refused")
        bench.advance(6)
    assert bench.take() == []
    assert len([line for line in bench.log.lines if "is not used: it is damaged" in line]) == 1


DAMAGED_ANSWER = b"{'host': 'a', 'weight': 1}\n{'host': \n"


def test_a_damaged_first_list_takes_nobody_out_of_the_kept_one(tmp_path: Path) -> None:
    file = list_file(tmp_path / "pool-lists", "svc", URL)
    file.save(CachedList((A, B), EPOCH - 7200))
    for _ in range(2):  # over a restart
        bench = SourceBench(tmp_path)
        source = bench.start(SOURCE)
        answer(bench, DAMAGED_ANSWER)
        assert bench.take() == [(ServerSpec("a", 1), B)]
        assert source.snapshot().kept == ("b",)
        assert not source.snapshot().stale
        on_disk = file.load()
        assert on_disk is not None
        assert on_disk.servers == (ServerSpec("a", 1), B)


def test_a_damaged_list_without_any_before_it_is_what_it_is(tmp_path: Path) -> None:
    bench = SourceBench(tmp_path)
    bench.start(SOURCE)
    answer(bench, DAMAGED_ANSWER)
    assert bench.take() == [(ServerSpec("a", 1),)]


def test_the_first_list_comes_with_what_was_in_force_in_the_last_run(tmp_path: Path) -> None:
    kept(tmp_path)
    bench = SourceBench(tmp_path)
    bench.start(SOURCE)
    answer(bench, b"{'host': 'c'}\n")
    bench.advance(1)
    answer(bench, b"{'host': 'c'}\n{'host': 'd'}\n")
    c, d = ServerSpec("c"), ServerSpec("d")
    assert bench.lists == [SourceList((c,), last_run=(A, B)), SourceList((c, d))]


def test_what_is_kept_on_disk_is_what_is_in_force(tmp_path: Path) -> None:
    bench = SourceBench(tmp_path)
    source = bench.start(SOURCE)
    answer(bench, TWO)
    bench.advance(1)
    bench.holds = True
    answer(bench, b"{'host': 'c'}\n")
    for _ in range(2):
        on_disk = list_file(tmp_path / "pool-lists", "svc", URL).load()
        assert on_disk is not None
        assert on_disk.servers == (A, B)
        bench.advance(7200)
    source.in_force((ServerSpec("c"), A), ListPast(0.0))
    on_disk = list_file(tmp_path / "pool-lists", "svc", URL).load()
    assert on_disk is not None
    assert on_disk.servers == (ServerSpec("c"), A)


def test_a_list_from_the_disk_keeps_its_date(tmp_path: Path) -> None:
    kept(tmp_path)
    bench = SourceBench(tmp_path)
    bench.start(SOURCE)
    bench.http.under_way[0].fail("config.example:80: refused")
    assert bench.take() == [(A, B)]
    on_disk = list_file(tmp_path / "pool-lists", "svc", URL).load()
    assert on_disk is not None
    assert on_disk.saved_at == EPOCH - 7200


def test_an_error_page_does_not_reach_the_disk(tmp_path: Path) -> None:
    bench = SourceBench(tmp_path)
    bench.start(JSON_SOURCE)
    answer(bench, b'{"a": {"weight": 0}, "b": {"enabled": false}}')
    bench.advance(1)
    answer(bench, b'{"error": {"code": 503, "message": "x"}}')
    assert bench.take() == [(A, B)]
    on_disk = list_file(tmp_path / "pool-lists", "svc", JSON_SOURCE.url).load()
    assert on_disk is not None
    assert on_disk.servers == (A, B)


def test_without_a_state_directory_nothing_is_kept(tmp_path: Path) -> None:
    bench = SourceBench(None)
    bench.start(SOURCE)
    answer(bench, TWO)
    assert bench.disk.waiting == 0
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_uses_the_kept_list_and_writes_none(tmp_path: Path) -> None:
    before = kept(tmp_path).read_bytes()
    bench = SourceBench(tmp_path, read_only=True)
    bench.start(SOURCE)
    bench.http.under_way[0].fail("config.example:80: refused")
    bench.advance(1)
    answer(bench, b"{'host': 'c'}\n")
    assert bench.take() == [(A, B), (ServerSpec("c"),)]
    assert bench.disk.waiting == 0
    (file,) = (tmp_path / "pool-lists").iterdir()
    assert file.read_bytes() == before


def test_a_local_file_has_its_list_kept_too(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.write_bytes(TWO)
    SourceBench(tmp_path / "state").start(FileSource(pool))
    pool.unlink()
    bench = SourceBench(tmp_path / "state")
    bench.start(FileSource(pool))
    assert bench.take() == [(A, B)]


def test_an_unchanged_list_is_kept_anew_every_hour(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.write_bytes(TWO)
    bench = SourceBench(tmp_path / "state")
    bench.start(FileSource(pool))
    file = tmp_path / "state" / "pool-lists" / "svc.json"
    written_at = []
    for _ in range(3):
        written_at.append(json.loads(file.read_bytes())["saved_at"] - EPOCH)
        for _ in range(50):
            bench.clock.advance(60)
    assert written_at == [0, 0, pytest.approx(3600, abs=60)]


def test_a_directory_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    blocker = tmp_path / "state"
    blocker.write_text("a file")
    bench = SourceBench(blocker)
    bench.start(SOURCE)
    for body in (TWO, b"{'host': 'c'}\n", TWO):
        answer(bench, body)
        bench.advance(1)
    assert len(bench.take()) == 3
    (line,) = bench.log.lines
    assert line.startswith("[svc] WARN: The pool list cannot be kept for the next start: ")


def test_a_directory_that_fails_again_after_it_was_good_is_said_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("a file")
    bench = SourceBench(state)
    bench.start(SOURCE)
    answer(bench, TWO)
    bench.advance(1)
    state.unlink()
    answer(bench, b"{'host': 'c'}\n")
    bench.advance(1)
    assert (state / "pool-lists" / "svc.json").exists()
    shutil.rmtree(state)
    state.write_text("a file")
    answer(bench, TWO)
    bench.advance(1)
    assert len([line for line in bench.log.lines if "cannot be kept" in line]) == 2


def test_while_one_list_is_written_only_the_newest_waits(tmp_path: Path) -> None:
    bench = SourceBench(tmp_path)
    bench.disk.at_once = False
    bench.start(SOURCE)
    for host in "abcd":
        answer(bench, f"{{'host': 'a'}}\n{{'host': '{host}x'}}".encode())
        bench.advance(1)
    assert bench.disk.waiting == 1
    bench.disk.run_one()
    assert bench.disk.waiting == 0
    kept_now = list_file(tmp_path / "pool-lists", "svc", URL).load()
    assert kept_now is not None
    assert kept_now.servers[-1] == ServerSpec("dx")


FILE = list_file(Path("pool-lists"), "svc", URL)
GOOD = json.loads(FILE.render(CachedList((A, B), EPOCH)))

DAMAGED = {
    "nothing": b"",
    "another type": b"[]",
    "another format": json.dumps({**GOOD, "format": 2}).encode(),
    "no source": json.dumps({**GOOD, "source": None}).encode(),
    "no servers": json.dumps({**GOOD, "servers": {}}).encode(),
    "a bad server": json.dumps({**GOOD, "servers": {"a": {"weight": -1}, "b": {}}}).encode(),
    "no list": json.dumps({**GOOD, "servers": None}).encode(),
    "no date": json.dumps({**GOOD, "saved_at": "soon"}).encode(),
    **{
        f"the date {date}": FILE.render(CachedList((A,), date))
        for date in (math.nan, math.inf, 1e300, -1e300)
    },
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_list_is_refused(name: str) -> None:
    with pytest.raises(StateFileError):
        FILE.parse(DAMAGED[name])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_the_declared_error(data: bytes) -> None:
    with pytest.raises(StateFileError):
        FILE.parse(data)


hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5})?", fullmatch=True)
specs = st.builds(ServerSpec, hosts, st.integers(0, 1000), st.booleans())


@given(st.lists(specs, min_size=1, unique_by=lambda spec: spec.host), st.floats(-6e10, 6e10))
def test_what_was_kept_is_what_comes_back(servers: list[ServerSpec], at: float) -> None:
    cached = CachedList(tuple(servers), at)
    assert FILE.parse(FILE.render(cached)) == cached


@given(st.text(min_size=1), st.text(min_size=1))
def test_each_section_name_has_a_safe_file_name_of_its_own(one: str, other: str) -> None:
    name = file_name(one)
    assert os.sep not in name and "\0" not in name and len(os.fsencode(name)) <= 255
    assert name not in (".", "..") and not name.startswith(".n")
    assert (name == file_name(other)) == (one == other)


def test_very_long_names_stay_apart() -> None:
    names = {file_name("x" * 300 + end) for end in ("a", "b", "")}
    assert len(names) == 3
    assert all(len(name) <= 255 for name in names)


PAST = ListPast(
    500.0,
    (("x", 400.0), ("y", 450.5)),
    ((0.0, 10, 10, 10), (450.0, 9, 9, 8)),
    10,
    (("a", 460.0),),
    ("a", "b"),
    (("a", "192.0.2.7"),),
)


@pytest.mark.parametrize(
    ("saved_in", "read_in", "clock_s", "by_s"),
    [
        ("boot 1", "boot 1", 900.0, 0.0),
        ("boot 1", "boot 2", 30.0, -470.0),
        ("boot 1", "boot 2", 9000.0, 8500.0),
        (None, None, 900.0, 400.0),
        # A clock of the same boot that has not come so far is another one.
        ("boot 1", "boot 1", 100.0, -400.0),
    ],
)
def test_what_lists_took_away_outlives_a_restart_and_the_wall_clock_does_not_matter(
    tmp_path: Path, saved_in: str | None, read_in: str | None, clock_s: float, by_s: float
) -> None:
    """After a boot no time has passed for it."""
    directory = tmp_path / "pool-lists"
    list_file(directory, "svc", URL, saved_in).save(CachedList((A, B), EPOCH + 9e8, PAST))
    bench = SourceBench(tmp_path)
    bench.environment = bench.environment._replace(boot=read_in)
    bench.clock.advance(clock_s)
    bench.start(SOURCE)
    answer(bench, TWO)
    (found,) = bench.lists
    assert found.past == PAST.moved(by_s)


def test_what_lists_took_away_is_kept_even_if_the_list_stays_as_it_was(tmp_path: Path) -> None:
    bench = SourceBench(tmp_path)
    source = bench.start(SOURCE)
    answer(bench, TWO)
    source.in_force((A, B), PAST)
    file = list_file(tmp_path / "pool-lists", "svc", URL)
    on_disk = file.load()
    assert on_disk is not None
    assert on_disk.past == PAST
    written = file.path.stat().st_mtime_ns
    source.in_force((A, B), PAST.moved(0.0))
    assert file.path.stat().st_mtime_ns == written


def test_who_is_down_is_kept_while_the_list_is_that_of_the_disk(tmp_path: Path) -> None:
    kept(tmp_path)
    bench = SourceBench(tmp_path)
    source = bench.start(SOURCE)
    bench.http.under_way[0].fail("config.example:80: refused")
    assert [found.from_disk for found in bench.lists] == [True]
    source.in_force((A, B), PAST)
    on_disk = list_file(tmp_path / "pool-lists", "svc", URL).load()
    assert on_disk is not None
    assert (on_disk.past, on_disk.saved_at) == (PAST, EPOCH - 7200)


@pytest.mark.parametrize(
    "past",
    [
        None,
        7,
        "x",
        {},
        {**asdict(PAST), "at_s": math.inf},
        {**asdict(PAST), "at_s": "soon"},
        {**asdict(PAST), "taken": [["x", 501.0]]},
        {**asdict(PAST), "taken": [["x"]]},
        {**asdict(PAST), "counts": [[1, 2, 3]]},
        {**asdict(PAST), "counts": 5},
        {**asdict(PAST), "kept": [["x", 501.0]]},
        {**asdict(PAST), "kept": 3},
        {**asdict(PAST), "unproven": 3},
        {**asdict(PAST), "moving": [["a"]]},
        {**asdict(PAST), "reference": []},
        {**asdict(PAST), "reference": math.inf},
    ],
)
def test_a_damaged_past_leaves_the_list_usable(tmp_path: Path, past: object) -> None:
    file = list_file(tmp_path, "svc", URL)
    file.save(CachedList((A, B), EPOCH, PAST))
    document = json.loads(file.path.read_bytes())
    file.path.write_text(json.dumps({**document, "past": past}))
    assert file.load() == CachedList((A, B), EPOCH)
