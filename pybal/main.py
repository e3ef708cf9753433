"""The command line, and the composition root: the only place that knows the global reactor."""

from __future__ import annotations

import argparse
import atexit
import errno
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

import pybal
from pybal.bgp.descriptor_names import are_of_bgp
from pybal.config.loader import load
from pybal.config.problems import LoadResult, Severity
from pybal.config.settings import Settings
from pybal.daemon.daemon import Daemon
from pybal.daemon.on_demand import CodeOnDemand
from pybal.daemon.ports import DaemonPorts
from pybal.errors import KernelError, said_by
from pybal.handover.inherited import take_descriptors
from pybal.handover.legacy import Legacy
from pybal.handover.listeners import KeptListeners
from pybal.handover.successor import Successor, who_keeps
from pybal.http.client import BoundedHTTPClient
from pybal.ipvs.dry_run import DryRunKernel
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.modules import KernelModules, scheduler_notes
from pybal.ipvs.ownership import Place, this_place
from pybal.monitors.installed import GROUP, PluginError, installed_monitors
from pybal.monitors.leftovers import as_subreaper
from pybal.monitors.memory import MonitorMemory
from pybal.monitors.processes import ReactorProcesses
from pybal.monitors.registry import MonitorTypes, kinds_of
from pybal.names.last_known import AddressBook
from pybal.names.resolver import Resolver
from pybal.names.stub_resolver import SystemNames
from pybal.net.local_address import is_local
from pybal.net.sockets import SocketNetwork
from pybal.net.source_address import kernel_source_address
from pybal.pool.desired import all_modules_needed
from pybal.reload.at_start import configuration_at_start
from pybal.reload.running import Running
from pybal.runtime.command_line import command_line
from pybal.runtime.descriptors import descriptor_limit, raise_descriptor_limit
from pybal.runtime.ending import (
    end_at_once,
    end_without_threads,
    stop_threads,
    unawaited_threads,
)
from pybal.runtime.entry_points import entry_points_of
from pybal.runtime.gc_tuning import tune_garbage_collection
from pybal.runtime.held_signals import BETWEEN_PROGRAMS, hold_signals
from pybal.runtime.instance_lock import AlreadyRunningError, claim
from pybal.runtime.lean_imports import import_when_used, import_without_programs
from pybal.runtime.log import Logging, begin_logging
from pybal.runtime.log_limit import SUM_EVERY_S
from pybal.runtime.service_manager import ServiceManager, watchdog_s
from pybal.runtime.signals import SignalHandling
from pybal.runtime.stdout import printing, say
from pybal.runtime.threads import in_pool, own_thread
from pybal.runtime.time_slices import TimeSlices
from pybal.runtime.turn_clock import TurnClock, drive
from pybal.sources.inotify import Inotify
from pybal.state.changing_files import ChangingFiles
from pybal.state.file_access import BoundedAccess
from pybal.state.state_writing import StateWriting

if TYPE_CHECKING:
    from pybal.bgp.ports import BGPOutside

LEFT_DESCRIPTORS = 64
"""Monitors leave these to all others: pool lists, names, requests."""

EXIT_OK = 0
EXIT_CONFIG = 1
EXIT_KERNEL = 3
EXIT_FORBIDDEN = 4
EXIT_ANOTHER = 5
"""2 is argparse's, for a wrong command line."""

_SWITCH_S = 0.001
_READERS = 10
_LOCK = "lock"
"""How the descriptor is called that has the claim on the IPVS table."""

# Twisted types it as a module.
reactor = cast(Any, global_reactor)

_log = Logger(namespace="pybal")


class _Begun(NamedTuple):
    """What a start has before the daemon is built. `with_options` is what the command line makes
    of a file's settings."""

    with_options: Callable[[Settings], Settings]
    code: CodeOnDemand
    monitors: MonitorTypes
    logging: Logging


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pybal` with these arguments (default: the process's). Returns the exit status."""
    options = _options(arguments)
    try:
        monitors = installed_monitors(entry_points_of(GROUP))
    except PluginError as error:
        return _refuse(error, options)
    result = load(options.config, kinds_of(monitors))
    if options.check_config:
        return _check_config(options, result, monitors)
    if options.diff:
        return _diff(options.config, result)
    return _start(options, result, monitors)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command_line(pybal.__version__)
    with printing(parser.prog):
        options = parser.parse_args(arguments)
    if options.json and not options.check_config:
        parser.error("--json belongs to --check-config")
    if options.strict and options.diff:
        parser.error("--strict belongs to a start, and to --check-config")
    if (options.dryrun or options.debug) and options.diff:
        parser.error("-n and -d belong to a start, and -n to --check-config")
    return options


def _start(options: argparse.Namespace, result: LoadResult, monitors: MonitorTypes) -> int:
    """With this configuration, or the last good one."""
    raise_descriptor_limit()
    logging = begin_logging(debug=options.debug)
    atexit.register(logging.flush)
    slices = TimeSlices(reactor)
    summing_up = LoopingCall(lambda: Deferred.fromCoroutine(slices.finish(logging.sum_up())))
    reactor.callWhenRunning(summing_up.start, SUM_EVERY_S, now=False)
    for problem in (*result.errors, *result.warnings):
        emit = _log.error if problem.severity is Severity.ERROR else _log.warn
        emit("{problem}", problem=str(problem))
    strict = options.strict or options.dryrun
    host = os.uname().nodename
    kinds, now = kinds_of(monitors), time.time()
    running = configuration_at_start(result, kinds, now, _log, host=host, strict=strict)
    if running is None:
        _log.critical(
            "{path} has errors (see above): not started; `pybal --check-config -c {path}` "
            "checks it",
            path=str(options.config),
        )
        return EXIT_CONFIG
    if running.is_last_good:
        _log.critical(
            "{path} has errors (see above): running the last configuration that was good, of"
            " {when}; mend the file, then `systemctl reload pybal`",
            path=str(options.config),
            when=_local_time(running.modified_at or 0.0),
        )
    with_options = partial(_with_options, options)
    running = replace(running, settings=with_options(running.settings))
    logging.set_level(running.settings.log_level)
    code = CodeOnDemand()
    if obstacle := code.load(running.settings):
        _log.critical("{error}", error=obstacle)
        return EXIT_CONFIG
    return _run(running, _Begun(with_options, code, monitors, logging))


def _with_options(options: argparse.Namespace, settings: Settings) -> Settings:
    """What the command line makes of a file's settings."""
    level = "debug" if options.debug else settings.log_level
    return replace(settings, dry_run=settings.dry_run or options.dryrun, log_level=level)


def _local_time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _refuse(error: PluginError, options: argparse.Namespace) -> int:
    if options.check_config or options.diff:
        say([f"ERROR: {error}"])
    else:
        atexit.register(begin_logging(debug=options.debug).flush)
        _log.critical("{error}: not started", error=str(error))
    return EXIT_CONFIG


def _diff(path: Path, result: LoadResult) -> int:
    """What a reload with this file would do, as the daemon says, or what is wrong with it."""
    from pybal.ctl.main import main as pybalctl
    from pybal.ctl.place import place_of_running

    if result.settings is None:
        say([f"ERROR: {problem}" for problem in result.errors])
        return EXIT_CONFIG
    control = result.settings.control
    place = place_of_running(None if control is None else control.path)
    return pybalctl([f"--socket={place}", "config", "diff", f"--config={path}"])


def _check_config(options: argparse.Namespace, result: LoadResult, monitors: MonitorTypes) -> int:
    from pybal.daemon.config_check import check_config

    if result.settings is not None:
        result = replace(result, settings=_with_options(options, result.settings))
    lines, is_good = check_config(result, monitors, as_json=options.json, strict=options.strict)
    say(lines)
    return EXIT_OK if is_good else EXIT_CONFIG


def _run(running: Running, begun: _Begun) -> int:
    settings = running.settings
    left = take_descriptors(os.environ, os.getpid())
    held = left.pop(_LOCK, [])
    lock = None
    if not settings.dry_run:
        try:
            lock = claim(held=held)
        except AlreadyRunningError as error:
            _log.critical("Another PyBal manages this IPVS table: {error}", error=str(error))
            return EXIT_ANOTHER
        except OSError as error:
            text = "Whether another PyBal runs cannot be known: {file}: {error}"
            _log.warn(text, file=error.filename, error=said_by(error))
    now = _steady_clock(begun.logging)
    place = _place()
    store, successor = None, None
    if place is not None:
        store, successor = who_keeps(
            left, wanted=settings.handover, dry_run=settings.dry_run, flush=begun.logging.flush
        )
        if successor is not None and lock is not None:
            successor.store.keep(_LOCK, [lock])
    here = "" if place is None else f"{place.boot} {place.namespace}"
    legacy = Legacy(store, here, left, settings.handover)
    ports = _daemon_ports(settings, begun, place, legacy, now)
    daemon = Daemon(running, ports)
    # In a thread that an end meanwhile does not wait for.
    ask = None if successor is None else partial(ports.read_in_thread, successor.objections)
    signals = SignalHandling(
        reactor,
        daemon=daemon,
        log=_log,
        take_signal=signal.signal,
        objections=ask,
        ended=lambda: _end(signals, successor, begun.logging.flush),
    )
    signals.arrange()
    try:
        daemon.start()
    except KernelError as error:
        _log.critical("{error}", error=str(error))
        forbidden = error.errno in (errno.EPERM, errno.EACCES)
        return EXIT_FORBIDDEN if forbidden else EXIT_KERNEL
    if not settings.dry_run:
        modules = KernelModules(Path("/"), os.uname().release)
        for note in scheduler_notes(modules, all_modules_needed(settings.services)):
            _log.error("{note}", note=note)
    tune_garbage_collection(reactor, daemon.stand_still)
    # At each system call the reactor's thread may have to wait so long for a thread that computes.
    sys.setswitchinterval(_SWITCH_S)

    reactor.run()
    begun.logging.release()
    return EXIT_OK


def _end(
    signals: SignalHandling, successor: Successor | None, flush: Callable[[], object]
) -> NoReturn:
    """The daemon has stopped in order, so the process ends; or the next program takes its place, if
    that is wanted. The reactor would first take leave of each connection that there is."""

    def end(status: int) -> NoReturn:
        if successor is not None and signals.for_restart:
            successor.take_place(lambda: signals.left_to_the_next)
        end_at_once(status, flush)

    if successor is not None and signals.for_restart:
        hold_signals(BETWEEN_PROGRAMS)
    # Threads that hang in a disk do not keep the process.
    end_without_threads(EXIT_OK, end=end)
    stop_threads(reactor.getThreadPool())
    end(EXIT_OK)


def _daemon_ports(
    settings: Settings,
    begun: _Begun,
    place: Place | None,
    legacy: Legacy,
    now: Callable[[], float],
) -> DaemonPorts:
    """The real ones."""
    network = SocketNetwork(reactor, LEFT_DESCRIPTORS)
    writing = StateWriting(reactor, _in_thread)
    reactor.addSystemEventTrigger("before", "shutdown", writing.hurry)
    resolver = _resolver(settings.state_directory, writing, read_only=settings.dry_run)
    listeners = KeptListeners(legacy)
    # A long list may take a second.
    reading = unawaited_threads(_READERS, "reading")
    # One after another: each thread that computes may have the interpreter while the reactor waits
    # for it, and services that share a list parse it once.
    parsing = unawaited_threads(1, "parsing")
    files = BoundedAccess(reactor, own_thread)
    certificates = ChangingFiles(reactor, files)
    processes = ReactorProcesses(reactor, settings.runcommand_user, as_subreaper())
    return DaemonPorts(
        reactor=reactor,
        now=now,
        random=random.Random(),
        in_thread=_in_thread,
        read_in_thread=partial(in_pool, reactor, reading),
        parse_in_thread=partial(in_pool, reactor, parsing),
        state_writing=writing,
        own_thread=own_thread,
        files=files,
        certificates=certificates,
        http=BoundedHTTPClient(reactor, network, resolver, post_quantum=False, files=certificates),
        names=resolver,
        source_http=BoundedHTTPClient(
            reactor, SocketNetwork(reactor), resolver, files=certificates
        ),
        addresses=resolver,
        network=network,
        probing=network.beside(),
        descriptor_limit=descriptor_limit(),
        processes=processes,
        kernel=_kernel(settings),
        place=place,
        new_bgp=lambda: _bgp_outside(listeners, legacy),
        bgp_left=are_of_bgp(legacy.left),
        memory=MonitorMemory(legacy, reactor, Logger(namespace="monitors"), own_thread),
        listeners=listeners,
        source_address=kernel_source_address,
        is_local=is_local,
        host_name=os.uname().nodename,
        monitors=begun.monitors,
        service_manager=ServiceManager(
            os.environ.get("NOTIFY_SOCKET", ""), watchdog_s(os.environ, os.getpid())
        ),
        new_inotify=Inotify,
        cpu_s=time.thread_time,
        monotonic_s=time.monotonic,
        set_log_level=begun.logging.set_level,
        with_options=begun.with_options,
        load_code=begun.code.load,
        load_answers=begun.code.load_answers,
    )


def _bgp_outside(listeners: KeptListeners, legacy: Legacy) -> BGPOutside:
    # For those who speak BGP: see CodeOnDemand.
    from pybal.daemon.bgp_speaking import real_outside

    return real_outside(reactor, listeners, legacy)


def _in_thread(function: Callable[[], Any]) -> Deferred[Any]:
    return in_pool(reactor, reactor.getThreadPool(), function)


def _resolver(state_directory: Path | None, writing: StateWriting, *, read_only: bool) -> Resolver:
    log = Logger(namespace="resolver")
    book = None
    if state_directory is not None:
        book = AddressBook(state_directory, writing, log, read_only=read_only)
        book.load()
        reactor.addSystemEventTrigger("before", "shutdown", book.hurry)
    client = SystemNames(reactor, Path("/etc/hosts"), Path("/etc/resolv.conf"))
    return Resolver(reactor, random.Random(), client, log, book)


def _place() -> Place | None:
    try:
        return this_place()
    except OSError as error:
        text = "It cannot be known which IPVS services are PyBal's: {file}: {error}"
        _log.warn(text, file=error.filename, error=said_by(error))
        return None


def _kernel(settings: Settings) -> Kernel:
    # Here, as the commands that check do without. The whole of pyroute2 is 170 modules more.
    import_when_used("pyroute2")
    import_without_programs("pyroute2.config")
    from pybal.ipvs.netlink import NetlinkKernel

    if settings.dry_run:
        interfaces = [name for _, name in socket.if_nameindex()]
        log = Logger(namespace="ipvs")
        return DryRunKernel(log, real=NetlinkKernel(), interfaces=interfaces)
    return NetlinkKernel()


def _steady_clock(log: Logging) -> Callable[[], float]:
    """Twisted's clock is the wall clock: when that jumps, timers fire early or late and each
    duration is wrong. It is replaced before anything is scheduled. CLOCK_BOOTTIME also counts the
    time of a suspended machine. Returns what tells Unix seconds."""
    clock = TurnClock(partial(time.clock_gettime, time.CLOCK_BOOTTIME), time.time)
    drive(reactor, clock, log.turn_ends)
    reactor.callWhenRunning(log.hold)
    return clock.now
