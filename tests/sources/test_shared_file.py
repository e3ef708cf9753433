"""Many services read one pool file: what changes in it is read by them in several turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from pybal.config.settings import FileSource
from pybal.runtime.time_slices import SLICE_S, TimeSlices
from tests.fakes.files import DirectAccess
from tests.fakes.sources import SourceBench
from tests.sources.file_texts import ONE_DISABLED, TWO

SERVICES = 44
READING_S = 0.001
TURN_S = 0.01

T = TypeVar("T")


class Turns(Clock):
    """What is to be done soon is done in the next turn."""

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        return super().callLater(delay or TURN_S / 2, callable, *args, **kw)


class SlowDisk(DirectAccess):
    """To read a file takes a while, to look at it takes none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.read = 0

    async def run(self, path: Path, function: Callable[[], T]) -> T:
        found = await super().run(path, function)
        if hasattr(found, "data"):
            self.read += 1
            self._clock.rightNow += READING_S
        return found


def test_a_turn_reads_for_no_longer_than_its_slice(tmp_path: Path) -> None:
    path = tmp_path / "pool"
    path.write_text(TWO)
    bench: Any = SourceBench(watches_files=False)
    clock = Turns()
    disk = SlowDisk(clock)
    bench.clock = clock
    bench.environment = bench.environment._replace(
        reactor=clock, time_slices=TimeSlices(clock), files=disk
    )
    for number in range(SERVICES):
        bench.start(FileSource(path), f"web{number}")

    def reads_by_turn() -> list[int]:
        reads = []
        for _ in range(300):
            before = disk.read
            clock.advance(TURN_S)
            reads.append(disk.read - before)
        return reads

    reads_by_turn()
    assert len(bench.take()) == SERVICES
    disk.read = 0
    path.write_text(ONE_DISABLED)
    assert 0 < max(reads_by_turn()) <= SLICE_S / READING_S + 1
    assert len(bench.take()) == SERVICES
