"""What only a daemon that speaks BGP has: with all that it imports it is loaded with the first
configuration that wants BGP (on_demand.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from pybal.announce.bfd_numbers import BFDNumbers
from pybal.announce.dry_run import DryRunFailover
from pybal.announce.failover import BGPFailover
from pybal.announce.maintenance import Maintenance
from pybal.announce.settings import failover_settings
from pybal.bgp.bfd.sockets import SocketBFDNetwork
from pybal.bgp.network import TwistedNetwork
from pybal.bgp.ports import BGPOutside, BGPPorts
from pybal.bgp.recorder import RecordPorts
from pybal.bgp.settings import FailoverSettings
from pybal.bgp.takeover import SessionKeeper
from pybal.config.settings import BGPSettings
from pybal.daemon.ports import DaemonPorts
from pybal.handover.legacy import Legacy
from pybal.handover.listeners import KeptListeners


def real_outside(reactor: Any, listeners: KeptListeners, legacy: Legacy) -> BGPOutside:
    """The real one."""
    log, ports = Logger(namespace="bgp"), None
    if legacy.store is not None:
        ports = RecordPorts(legacy.store, reactor, legacy.place, log)
    return BGPOutside(
        network=TwistedNetwork(reactor, listeners),
        bfd_network=SocketBFDNetwork(reactor),
        records=SessionKeeper(ports, legacy.left, log, wanted=legacy.wanted),
    )


def new_failover(
    settings: BGPSettings,
    ports: DaemonPorts,
    outside: BGPOutside,
    state_directory: Path | None,
    session_changed: Callable[[str, bool, str], None],
    maintenance: Maintenance,
    keep_maintenance: Callable[[Maintenance], object],
) -> BGPFailover:
    """One that is not started yet. The numbers of BFD's packets are those in `state_directory`, and
    kept there; None: they begin anew, and are not kept. `keep_maintenance` is told whenever
    maintenance changes."""
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
        maintenance,
        keep_maintenance,
    )


def new_dry_run() -> DryRunFailover:
    """What stands in its place where no router may be told."""
    return DryRunFailover(Logger(namespace="bgp"))


def speaker_settings(settings: BGPSettings, ports: DaemonPorts) -> FailoverSettings:
    """Those of pybal.conf as the failover's."""
    return failover_settings(settings, ports.source_address)


def _bfd_numbers(state_directory: Path | None) -> BFDNumbers | None:
    return None if state_directory is None else BFDNumbers(state_directory, Logger(namespace="bgp"))
