"""What each part of the daemon touches outside of itself, out of all that the daemon is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pybal.config.settings import Settings
from pybal.config.snapshot import ReloadSnapshot
from pybal.daemon.history_part import HistoryPorts
from pybal.daemon.ports import DaemonPorts
from pybal.health.director_health import DirectorHealth
from pybal.ipvs.controller import IPVSPorts
from pybal.ipvs.ownership import record_file
from pybal.monitors.target import MonitorPorts
from pybal.reload.reloader import ReloadPorts
from pybal.runtime.readiness import Readiness
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.file_watches import FileWatches
from pybal.sources.ports import SourcePorts


def kept_in(settings: Settings) -> Path | None:
    """The state directory, if anything is written there; a dry run keeps nothing."""
    return None if settings.dry_run else settings.state_directory


def history_ports(ports: DaemonPorts, settings: Settings, slices: TimeSlices) -> HistoryPorts:
    """Of what has happened."""
    return HistoryPorts(
        clock=ports.reactor,
        now=ports.now,
        time_slices=slices,
        in_thread=ports.read_in_thread,
        own_thread=ports.own_thread,
        directory=kept_in(settings),
    )


def ipvs_ports(ports: DaemonPorts, settings: Settings) -> IPVSPorts:
    """Of the kernel's table. A dry run reads whose it is, too."""
    record, directory = None, settings.state_directory
    if directory is not None and ports.place is not None:
        record = record_file(directory, ports.place)
    return IPVSPorts(
        clock=ports.reactor,
        kernel=ports.kernel,
        now=ports.now,
        in_thread=ports.in_thread,
        record=record,
    )


def monitor_ports(ports: DaemonPorts, settings: Settings, health: DirectorHealth) -> MonitorPorts:
    """Of all monitors."""
    return MonitorPorts(
        reactor=ports.reactor,
        now=ports.now,
        random=ports.random,
        network=ports.network,
        processes=ports.processes,
        http=ports.http,
        stall_meter=health.stall_detector,
        recoveries=health.recoveries,
        faults=health.faults,
        memory=ports.memory if ports.memory.is_wanted else None,
        commands_at_once=settings.runcommand_concurrency,
        files=ports.files,
        cpu_s=ports.cpu_s,
    )


def source_ports(ports: DaemonPorts, settings: Settings, time_slices: TimeSlices) -> SourcePorts:
    """Of all sources of pool lists."""
    return SourcePorts(
        reactor=ports.reactor,
        time_slices=time_slices,
        now=ports.now,
        random=ports.random,
        http=ports.source_http,
        names=ports.names,
        in_thread=ports.parse_in_thread,
        state_directory=settings.state_directory,
        writing=ports.state_writing,
        read_only=settings.dry_run,
        boot=None if ports.place is None else ports.place.boot,
        files=ports.files,
        watches=FileWatches(
            ports.reactor, ports.files.is_local, ports.own_thread, ports.new_inotify
        ),
    )


def reload_ports(
    ports: DaemonPorts, readiness: Readiness, ended: Callable[[ReloadSnapshot], None]
) -> ReloadPorts:
    """Of reloads; `ended` is told of the outcome of each."""
    return ReloadPorts(
        clock=ports.reactor,
        now=ports.now,
        monotonic_s=ports.monotonic_s,
        in_thread=ports.read_in_thread,
        manager=readiness,
        with_options=ports.with_options,
        load_code=ports.load_code,
        ended=ended,
        host=ports.host_name,
    )
