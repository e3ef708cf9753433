"""A stop ends what must not outlive the process, whatever else goes wrong or takes too long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal import __main__
from pybal.daemon.history_part import HistoryPart, HistoryPorts
from pybal.history.database import find_events
from pybal.history.disk import FILE_NAME
from pybal.history.event import Kind
from pybal.history.query import EventQuery
from pybal.history.settings import HistorySettings
from pybal.ipvs.controller import IPVSController
from pybal.monitors.installed import GROUP
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.daemon import DaemonBench
from tests.fakes.processes import FakeProcesses

CONFIG = """
[global]
state-directory = none
control-socket = no
"""


@pytest.mark.parametrize("part", [IPVSController, HistoryPart])
def test_commands_end_though_a_part_cannot_be_stopped(
    part: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = DaemonBench(tmp_path, CONFIG)

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("a mistake")

    ended: list[FakeProcesses] = []
    monkeypatch.setattr(part, "stop", fails)
    monkeypatch.setattr(FakeProcesses, "end", lambda self: ended.append(self))
    with pytest.raises(ValueError, match="a mistake"):
        bench.stop()
    assert len(ended) == 1
    monkeypatch.undo()
    bench.stop()


def test_threads_that_are_all_busy_do_not_hold_up_the_end_of_the_history(tmp_path: Path) -> None:
    clock = Clock()
    slices = TimeSlices(clock)
    never: Deferred[Any] = Deferred()
    writers: list[Thread] = []

    def own_thread(write: Callable[[], None]) -> None:
        writers.append(Thread(target=write, daemon=True))
        writers[-1].start()

    ports = HistoryPorts(clock, lambda: 1e9, slices, lambda _: never, own_thread, tmp_path)
    history = HistoryPart(ports, lambda _: None)
    history.start(HistorySettings(), dry_run=False)
    ended: list[None] = []
    Deferred.fromCoroutine(history.stop(1.0, for_restart=False)).addCallback(ended.append)
    clock.advance(0.9)
    assert ended == []
    clock.advance(0.2)
    assert ended == [None]
    writers[0].join(30)
    assert not writers[0].is_alive(), "it ends by itself"
    kinds = [event.kind for event in find_events(tmp_path / FILE_NAME, EventQuery())]
    assert set(kinds) == {Kind.START, Kind.STOP}


def test_whether_there_are_plug_ins_is_asked_by_their_group() -> None:
    assert __main__._PLUGINS == GROUP
