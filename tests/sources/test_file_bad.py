"""Files that are no pool lists, or that cannot be read: the last good list stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pybal.config.settings import FileSource
from pybal.model import ServerSpec
from tests.fakes.sources import SourceBench
from tests.sources.file_texts import ONE_DISABLED, TWO
from tests.sources.test_file import A, B, C


@pytest.fixture
def bench() -> Iterator[SourceBench]:
    made = SourceBench()
    yield made
    made.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "pool"
    file.write_text(TWO)
    return file


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
