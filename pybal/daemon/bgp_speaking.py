"""What only a daemon that speaks BGP has: with all that it imports it is loaded with the first
configuration that wants BGP (on_demand.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from pybal.announce.bfd_numbers import BFDNumbers
from pybal.announce.failover import BGPFailover
from pybal.announce.maintenance import Maintenance
from pybal.announce.maintenance_file import maintenance_file
from pybal.announce.settings import failover_settings
from pybal.bgp.bfd.sockets import SocketBFDNetwork
from pybal.bgp.network import TwistedNetwork
from pybal.bgp.ports import BGPOutside, BGPPorts
from pybal.bgp.recorder import RecordPorts
from pybal.bgp.settings import FailoverSettings
from pybal.bgp.takeover import SessionKeeper
from pybal.config.settings import BGPSettings
from pybal.daemon.ports import DaemonPorts
from pybal.handover.listeners import KeptListeners
from pybal.handover.store import DescriptorStore
from pybal.runtime.threads import InThread
from pybal.state.keeper import Keeper


def real_outside(
    reactor: Any,
    listeners: KeptListeners,
    store: DescriptorStore | None,
    here: str,
    left: Mapping[str, list[int]],
    *,
    wanted: bool,
) -> BGPOutside:
    """The real one. `store` None: nobody would keep sessions for the next process; not `wanted`:
    nor are those that are `left` to go on. `here` is this boot and network namespace."""
    log = Logger(namespace="bgp")
    ports = None if store is None else RecordPorts(store, reactor, here, log)
    return BGPOutside(
        network=TwistedNetwork(reactor, listeners),
        bfd_network=SocketBFDNetwork(reactor),
        records=SessionKeeper(ports, left, log, wanted=wanted),
    )


def new_failover(
    settings: BGPSettings,
    ports: DaemonPorts,
    outside: BGPOutside,
    state_directory: Path | None,
    session_changed: Callable[[str, bool, str], None],
    renames: Iterable[tuple[str, str]] = (),
) -> BGPFailover:
    """One that is not started yet. Maintenance and the numbers of BFD's packets are those in
    `state_directory`, and kept there; None: they begin anew, and are not kept. `renames`: the
    services that go on from that under another name, former and present one."""
    return BGPFailover(
        speaker_settings(settings, ports),
        BGPPorts(
            clock=ports.reactor,
            network=outside.network,
            random=ports.random,
            now=ports.now,
            log=Logger(namespace="bgp"),
            bfd_network=outside.bfd_network,
            session_changed=session_changed,
            records=outside.records,
            bfd_numbers=_bfd_numbers(state_directory),
        ),
        *_maintenance(state_directory, ports.in_thread, renames),
    )


def speaker_settings(settings: BGPSettings, ports: DaemonPorts) -> FailoverSettings:
    """Those of pybal.conf as the failover's."""
    return failover_settings(settings, ports.source_address)


def _bfd_numbers(state_directory: Path | None) -> BFDNumbers | None:
    return None if state_directory is None else BFDNumbers(state_directory, Logger(namespace="bgp"))


def _maintenance(
    state_directory: Path | None, in_thread: InThread, renames: Iterable[tuple[str, str]]
) -> tuple[Maintenance, Callable[[Maintenance], object]]:
    """That of our former life, and who keeps it for the next."""
    if state_directory is None:
        return Maintenance(), lambda _: None
    log = Logger(namespace="bgp")
    file = maintenance_file(state_directory)
    keeper = Keeper(file, "The maintenance", Maintenance(), in_thread, log)
    kept = keeper.load().renamed(renames)
    keeper.save(kept)
    return kept, keeper.save
