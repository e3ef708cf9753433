"""A whole daemon in memory: kernel, network, names and routers are the test's, time is a Clock."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any, cast

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.bgp.ports import BGPOutside
from pybal.daemon.daemon import Daemon
from pybal.daemon.ports import DaemonPorts
from pybal.handover.legacy import NO_LEGACY
from pybal.handover.listeners import KeptListeners
from pybal.ipvs.memory import MemoryKernel
from pybal.model import IPAddress
from pybal.monitors.memory import MonitorMemory
from pybal.monitors.registry import BUILT_IN
from pybal.net.port import Keepalive, TCPEvents
from pybal.reload.running import started
from pybal.runtime.service_manager import ServiceManager
from pybal.sources.inotify import Inotify
from pybal.state.file_access import BoundedAccess
from pybal.state.state_writing import StateWriting
from tests.bgp.memory import MemoryNetwork
from tests.config.texts import load
from tests.fakes.deferreds import at_once, result_of
from tests.fakes.files import FilesHere
from tests.fakes.http import FakeHTTPClient
from tests.fakes.keeper import no_keeper
from tests.fakes.names import FakeHostLookUp
from tests.fakes.processes import FakeProcesses

STEP_S = 0.1


class Literals:
    """An AddressWatcher for servers that are called by their addresses."""

    def watch(
        self,
        host: str,
        family: int,
        on_change: Callable[[IPAddress | None], None],
        service: str,
    ) -> Literals:
        address = ip_address(host)
        on_change(address if address.version == family else None)
        return self

    def remembered(self, host: str, family: int) -> IPAddress | None:
        """There is nothing to remember."""

    def stop(self) -> None:
        """There is nothing to end."""


class Answering:
    """A Network in which all but `refusing` take connections at once, and keep them."""

    def __init__(self, clock: Clock, refusing: set[str]) -> None:
        self.clock = clock
        self.refusing = refusing
        self.silent = False
        self.connections = 0

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,
        events: TCPEvents,
        *,
        source: IPAddress | None = None,
        keepalive: Keepalive | None = None,
    ) -> Answering:
        self.connections += 1
        if self.silent:
            return self
        if str(address) in self.refusing:
            self.clock.callLater(0.001, events.closed, ConnectionRefusedError(111, "refused"))
        else:
            self.clock.callLater(0.001, events.connected)
        return self

    def send(self, data: bytes) -> None:
        """To nobody."""

    def catch_up(self) -> None:
        """Nothing waits."""

    def waited_s(self) -> float:
        """Nothing has waited."""
        return 0.0

    def waited_in_all_s(self) -> float:
        return 0.0

    def close(self) -> None:
        """At once."""


class Reactor(Clock):
    """A Clock with IReactorFDSet: what listens is never told of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[object] = set()

    def _sortCalls(self) -> None:  # noqa: N802
        """As Twisted's, which calls two functions for each: a tenth of a whole daemon's time."""
        self.calls.sort(key=DelayedCall.getTime)

    def addReader(self, reader: object) -> None:  # noqa: N802
        """Nothing comes."""
        self.readers.add(reader)

    def removeReader(self, reader: object) -> None:  # noqa: N802
        """Nothing came."""
        self.readers.discard(reader)


class QuietBFD:
    """Datagrams that nobody answers."""

    def open(
        self, *_: object, multihop: bool
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        return (lambda _: None), (lambda: None)

    def listen(self, *_: object, multihop: bool) -> Callable[[], None]:
        return lambda: None


def no_inotify() -> Inotify:
    """As where the kernel gives none: files are looked at every second. To close one takes the
    kernel up to ten milliseconds, in which nothing runs."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def memory_ports(
    clock: Any,
    in_thread: Callable[[Callable[[], Any]], Deferred[Any]],
    network: Answering,
    kernel: MemoryKernel,
    routers: MemoryNetwork,
    own_thread: Callable[[Callable[[], None]], None],
) -> DaemonPorts:
    """The outside of a daemon in memory."""
    return DaemonPorts(
        reactor=clock,
        now=lambda: 1e9 + clock.seconds(),
        random=Random(1),
        in_thread=in_thread,
        read_in_thread=in_thread,
        parse_in_thread=in_thread,
        state_writing=StateWriting(clock, in_thread),
        own_thread=own_thread,
        files=BoundedAccess(clock, own_thread),
        certificates=FilesHere(),
        http=FakeHTTPClient(),
        source_http=FakeHTTPClient(),
        names=FakeHostLookUp(),
        addresses=Literals(),
        network=cast(Any, network),
        probing=cast(Any, network),
        descriptor_limit=20_000,
        processes=FakeProcesses(),
        kernel=kernel,
        place=None,
        new_bgp=lambda: BGPOutside(routers.at("192.0.2.254"), QuietBFD(), no_keeper(None)),
        bgp_left=False,
        listeners=KeptListeners(NO_LEGACY),
        memory=MonitorMemory(NO_LEGACY, clock, None, own_thread),
        source_address=lambda _: None,
        is_local=lambda _: True,
        host_name="lvs1",
        monitors=BUILT_IN,
        service_manager=ServiceManager(),
        monotonic_s=clock.seconds,
        set_log_level=lambda _: None,
        with_options=lambda settings: settings,
        load_code=lambda _: None,
        load_answers=lambda: None,
        new_inotify=no_inotify,
        cpu_s=lambda: 0.0,
    )


def daemon_in_memory(
    path: Path, reactor: Any, in_thread: Callable[[Callable[[], Any]], Deferred[Any]]
) -> Daemon:
    """A daemon with this pybal.conf, not yet started, for a reactor that may be a real one."""
    result = load(path)
    assert result.settings is not None, [str(p) for p in result.problems]
    network, routers = Answering(reactor, set()), MemoryNetwork(reactor)
    ports = memory_ports(reactor, in_thread, network, MemoryKernel(), routers, lambda _: None)
    return Daemon(started(result, result.settings, 1e9), ports)


class DaemonBench:
    """A daemon with this pybal.conf in a folder, started and run until all is quiet."""

    def __init__(
        self,
        folder: Path,
        text: str,
        refusing: set[str] | None = None,
        *,
        running_s: float = 20.0,
        kernel: MemoryKernel | None = None,
        addresses: Callable[[Clock], Any] | None = None,
        new_inotify: Callable[[], Inotify] = no_inotify,
        clock: Reactor | None = None,
    ) -> None:
        self.path = folder / "pybal.conf"
        self.path.write_text(text)
        self.clock = clock or Reactor()
        self.threads: list[Callable[[], None]] = []
        """What would run in a thread of its own."""
        self.kernel = kernel or MemoryKernel()
        self.network = Answering(self.clock, refusing or set())
        self.routers = MemoryNetwork(self.clock)
        result = load(self.path)
        assert result.settings is not None, [str(p) for p in result.problems]
        ports = memory_ports(
            self.clock, at_once, self.network, self.kernel, self.routers, self.threads.append
        )
        self.log_levels: list[str] = []
        self.set_log_level: Callable[[str], None] = self.log_levels.append
        ports = ports._replace(
            set_log_level=lambda level: self.set_log_level(level), new_inotify=new_inotify
        )
        if addresses is not None:
            ports = ports._replace(addresses=addresses(self.clock))
        self.daemon = Daemon(started(result, result.settings, 1e9), ports)
        self.daemon.start()
        self.run(running_s)

    def run(self, seconds: float = 20.0) -> None:
        """Let time pass."""
        self.clock.pump([STEP_S] * round(seconds / STEP_S))

    def reload(self, text: str) -> tuple[str, ...]:
        """With another text; the steps."""
        self.path.write_text(text)
        done = self.daemon.reload()
        while not done.called:
            self.clock.advance(STEP_S)
        outcome = result_of(done)
        assert outcome.successful, outcome.errors
        self.run()
        return outcome.steps

    def stop(self) -> None:
        """Stop it; all of it ends."""
        done = Deferred.fromCoroutine(self.daemon.stop())
        while not done.called:
            self.clock.advance(STEP_S)
        result_of(done)

    def state(self) -> dict[str, Any]:
        """What can be seen of it: the kernel's table, routes, monitors, answers."""
        services = list(self.daemon.view.services())
        table = {
            str(service.key): self.kernel.read(service.key)
            for service in self.kernel.services().services
        }
        bgp = self.daemon.view.bgp()
        return {
            "table": table,
            "routes": {each.prefix: (each.med, each.services) for each in bgp.announced},
            "peers": [peer.address for peer in bgp.peers],
            "services": [
                (s.name, s.scheduler, s.depool_threshold, s.source.url) for s in services
            ],
            "servers": {
                (service.name, server.host): (
                    server.pooled, server.up, server.weight,
                    [(m.name, m.up) for m in server.monitors],
                )
                for service in services
                for server in service.servers
            },
        }  # fmt: skip
