"""A second daemon on the same IPVS table is told so, and nobody else can stand in its way."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pybal.runtime.instance_lock import AlreadyRunningError, claim


@pytest.fixture
def namespace(tmp_path: Path) -> Path:
    path = tmp_path / "net"
    path.write_text("")
    return path


def test_the_second_claim_fails_and_names_the_first(
    namespace: Path, tmp_path: Path, descriptors: Callable[[], int]
) -> None:
    first = claim(namespace, tmp_path / "run")
    before = descriptors()
    with pytest.raises(AlreadyRunningError, match=rf"^process {os.getpid()}$"):
        claim(namespace, tmp_path / "run")
    assert descriptors() == before
    os.close(first)
    os.close(claim(namespace, tmp_path / "run"))


@pytest.mark.parametrize("lock_is_first", [False, True])
def test_the_next_program_of_a_process_goes_on_having_it(
    namespace: Path, tmp_path: Path, lock_is_first: bool, descriptors: Callable[[], int]
) -> None:
    before = descriptors()
    first = claim(namespace, tmp_path / "run")
    kept, unrelated = os.dup(first), os.open(os.devnull, os.O_RDONLY)
    os.close(first)
    with pytest.raises(AlreadyRunningError):
        claim(namespace, tmp_path / "run")
    held = [kept, unrelated] if lock_is_first else [unrelated, kept]
    assert claim(namespace, tmp_path / "run", held) == kept
    assert descriptors() == before + 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(unrelated)
    os.close(kept)
    os.close(claim(namespace, tmp_path / "run"))


def test_what_a_process_before_has_written_is_gone(namespace: Path, tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        os.close(claim(namespace, tmp_path / "deep" / "run"))
    finally:
        os.umask(mask)
    (path,) = (tmp_path / "deep" / "run").iterdir()
    path.write_text("1234567890" * 3)
    os.close(claim(namespace, tmp_path / "deep" / "run"))
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755, "nobody else may write there"


def test_another_namespace_is_another_table(namespace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")
    first, second = (claim(each, tmp_path / "run") for each in (namespace, other))
    os.close(first)
    os.close(second)


def test_a_lock_on_the_namespace_itself_keeps_nobody_away(namespace: Path, tmp_path: Path) -> None:
    with namespace.open("rb") as anybody:
        fcntl.flock(anybody, fcntl.LOCK_EX)
        os.close(claim(namespace, tmp_path / "run"))


def test_nobody_else_can_open_the_lock(namespace: Path, tmp_path: Path) -> None:
    os.close(claim(namespace, tmp_path / "run"))
    (path,) = (tmp_path / "run").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lock_that_others_can_open_or_a_link_proves_nothing(
    namespace: Path, tmp_path: Path
) -> None:
    os.close(claim(namespace, tmp_path / "run"))
    (path,) = (tmp_path / "run").iterdir()
    path.chmod(0o644)
    with pytest.raises(PermissionError, match="can be opened by others") as raised:
        claim(namespace, tmp_path / "run")
    assert raised.value.filename == str(path), "the log names it"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        claim(namespace, tmp_path / "run")
    assert not (tmp_path / "elsewhere").exists()


def test_without_a_namespace_it_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        claim(tmp_path / "none", tmp_path / "run")


def test_a_fifo_in_its_place_does_not_hang(
    namespace: Path, tmp_path: Path, descriptors: Callable[[], int]
) -> None:
    os.close(claim(namespace, tmp_path / "run"))
    (path,) = (tmp_path / "run").iterdir()
    path.unlink()
    os.mkfifo(path, 0o600)
    before = descriptors()
    with pytest.raises(OSError, match=r"Illegal seek|Invalid argument"):
        claim(namespace, tmp_path / "run")
    assert descriptors() == before
