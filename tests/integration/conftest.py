"""What the tests of BGP against real routers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bgp.pair import Pair
from tests.bgp.rig import Wire
from tests.handover.manager import FakeManager


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made


@pytest.fixture
def pair(wire: Wire, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(wire, tmp_path)
    yield made
    made.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    with FakeManager(tmp_path) as made:
        yield made
