"""A stop ends what must not outlive the process, whatever else goes wrong or takes too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pybal import __main__
from pybal.announce.announcer import Announcer
from pybal.announce.failover import BGPFailover
from pybal.bgp.bfd.peers import BFD
from pybal.bgp.peering import Peering
from pybal.bgp.speaker import Speaker
from pybal.config.snapshot import ReloadOutcome
from pybal.daemon.acknowledgements_part import AcknowledgementsPart
from pybal.daemon.bgp_part import BGPPart
from pybal.daemon.history_part import HistoryPart, HistoryPorts
from pybal.daemon.http_part import HTTPPart
from pybal.daemon.overrides_part import OverridesPart
from pybal.health.director_health import DirectorHealth
from pybal.history.database import find_events
from pybal.history.disk import FILE_NAME
from pybal.history.event import Kind
from pybal.history.ledger import Ledger
from pybal.history.query import EventQuery
from pybal.history.settings import HistorySettings
from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.control_server import ControlServer
from pybal.instrumentation.server import InstrumentationServer
from pybal.ipvs.controller import IPVSController
from pybal.ipvs.drainer import Drainer
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.quick_look import QuickLook
from pybal.monitors.installed import GROUP
from pybal.monitors.memory import MonitorMemory
from pybal.net.descriptor_reserve import DescriptorReserve
from pybal.pool.coordinator import Coordinator
from pybal.pool.damped_reports import DampedReports
from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_record import ListRecord
from pybal.pool.list_steps import ListSteps
from pybal.pool.policy_steps import PolicySteps
from pybal.pool.refusals import Refusals
from pybal.pool.server import Server
from pybal.pool.service import LVSService
from pybal.reload.reloader import Reloader
from pybal.reload.service_set import ServiceSet
from pybal.runtime.readiness import Readiness
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.polling_source import PollingSource
from tests.fakes.daemon import DaemonBench
from tests.fakes.deferreds import result_of
from tests.fakes.processes import FakeProcesses

CONFIG = """
[global]
state-directory = none
control-socket = {folder}/control
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = ['192.0.2.1', '192.0.2.2']
bgp-nexthop-ipv4 = 192.0.2.254

[web]
protocol = tcp
ip = 198.51.100.1
port = 80
scheduler = rr
config = file://{folder}/pool
monitors = ['IdleConnection']
"""

PARTS: list[tuple[type, str]] = [
    (Readiness, "stop"),
    (Reloader, "stop"),
    (BGPPart, "stop"),
    (Announcer, "stop"),
    (BGPFailover, "_shut_down_gracefully"),
    (Speaker, "withdraw"),
    (Speaker, "stop"),
    (Peering, "stop"),
    (BFD, "stop"),
    (ServiceSet, "stop"),
    (LVSService, "stop"),
    (PollingSource, "stop"),
    (DampedReports, "stop"),
    (Coordinator, "stop"),
    (ListRecord, "stop"),
    (PolicySteps, "stop"),
    (GuardedList, "stop"),
    (Refusals, "stop"),
    (ListSteps, "stop"),
    (Server, "stop"),
    (DirectorHealth, "stop"),
    (OverridesPart, "stop"),
    (AcknowledgementsPart, "stop"),
    (MonitorMemory, "end"),
    (IPVSController, "settle"),
    (IPVSController, "stop"),
    (QuickLook, "stop"),
    (Drainer, "stop"),
    (IPVSManager, "stop"),
    (HistoryPart, "stop"),
    (Ledger, "stop"),
    (HTTPPart, "stop"),
    (AlertWatch, "stop"),
    (ControlServer, "stop"),
    (DescriptorReserve, "close"),
    (FakeProcesses, "end"),
]
"""What ends by itself and what is made of such parts."""


def failing(stop: Callable[..., Any], ended: Callable[[], None], *, fails: bool) -> Any:
    """As this one, which is told of; at its end it may fail."""

    def end() -> None:
        if fails:
            raise ValueError("a mistake")

    async def stopped_later(*arguments: Any, **options: Any) -> Any:
        ended()
        result = await stop(*arguments, **options)
        end()
        return result

    def stopped(*arguments: Any, **options: Any) -> Any:
        ended()
        result = stop(*arguments, **options)
        end()
        return result

    return stopped_later if iscoroutinefunction(stop) else stopped


@pytest.mark.parametrize(
    "broken", PARTS[:-1], ids=[f"{part.__name__}.{stop}" for part, stop in PARTS[:-1]]
)
def test_all_parts_end_though_one_cannot_be_stopped_and_that_is_said(
    broken: tuple[type, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.12'}\n")
    bench = DaemonBench(tmp_path, CONFIG.format(folder=tmp_path), running_s=0.5)
    ended: Counter[tuple[type, str]] = Counter()
    for part in PARTS:
        wrapped = failing(getattr(*part), partial(ended.update, [part]), fails=part == broken)
        monkeypatch.setattr(*part, wrapped)
    with capturedLogs() as logged:
        bench.stop()
    assert {part: ended[part] for part in PARTS if not ended[part]} == {}
    faults = [event["log_failure"] for event in logged if "log_failure" in event]
    assert {str(fault.value) for fault in faults} == {"a mistake"}
    assert {event["log_format"] for event in logged if "log_failure" in event} == {
        "Not stopped in order: {what}"
    }
    bench.clock.advance(0)  # the slice of the last turn ends
    assert bench.clock.getDelayedCalls() == []


def test_a_reload_that_waits_for_a_port_to_close_goes_on_no_further_in_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n")
    text = CONFIG.format(folder=tmp_path)
    listening = "[global]\ninstrumentation = yes"
    monkeypatch.setattr(InstrumentationServer, "start", lambda _: None)
    bench = DaemonBench(tmp_path, text.replace("[global]", listening), running_s=0.5)
    waiting: list[Deferred[None]] = []

    def never(_: InstrumentationServer) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    gone_over: list[object] = []

    async def go_over(_: object, *settings: object) -> None:
        gone_over.append(settings)

    monkeypatch.setattr(InstrumentationServer, "stop", never)
    monkeypatch.setattr(BGPPart, "go_over_to", go_over)
    monkeypatch.setattr(ServiceSet, "go_over", go_over)
    bench.path.write_text(text.replace("[web]", "[text]"))
    reloading = bench.daemon.reload()
    bench.run(1)
    assert len(waiting) == 1
    assert not reloading.called
    bench.stop()
    assert result_of(reloading).outcome is ReloadOutcome.CUT_SHORT
    assert gone_over == []


def test_threads_that_are_all_busy_do_not_hold_up_the_end_of_the_history(tmp_path: Path) -> None:
    clock = Clock()
    slices = TimeSlices(clock)
    never: Deferred[Any] = Deferred()
    writers: list[Thread] = []

    def own_thread(write: Callable[[], None]) -> None:
        writers.append(Thread(target=write, daemon=True))
        writers[-1].start()

    ports = HistoryPorts(
        clock=clock,
        now=lambda: 1e9,
        time_slices=slices,
        in_thread=lambda _: never,
        own_thread=own_thread,
        directory=tmp_path,
    )
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
