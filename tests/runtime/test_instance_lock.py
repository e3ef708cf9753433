"""A second daemon on the same IPVS table is told so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pybal.runtime.instance_lock import AlreadyRunningError, claim


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table"
    path.write_text("")
    return path


def test_the_second_claim_fails_and_names_the_first(table: Path) -> None:
    first = claim(table)
    with pytest.raises(AlreadyRunningError, match=rf"^process {os.getpid()}$"):
        claim(table)
    os.close(first)
    os.close(claim(table))


def test_it_does_without_knowing_who(table: Path, tmp_path: Path) -> None:
    first = claim(table)
    with pytest.raises(AlreadyRunningError, match=r"^process unknown$"):
        claim(table, locks=tmp_path / "none")
    os.close(first)


def test_what_cannot_be_claimed_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        claim(tmp_path / "none")
