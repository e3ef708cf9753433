"""Inputs that once broke something, and seeds worth keeping, through both fuzz targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bgp.fuzz import TARGETS

INPUTS = sorted((Path(__file__).parent / "crashes").glob("*.bin"))


def test_there_are_inputs() -> None:
    assert len(INPUTS) >= 5


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_the_input_breaks_nothing(path: Path, target: Callable[[bytes], None]) -> None:
    target(path.read_bytes())
