"""What pybal.conf asks of the kernel's IPVS. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pybal.ipvs.model import IPIP, Forwarding, Persistence, SyncDaemon, Timeouts, Tunnel


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Of one service, beyond its scheduler.

    `fwmark`: packets with this mark are the service's, whatever their protocol, address and
    port; 0: those of its protocol, address and port. `server_version`: the IP version of the
    real servers' addresses; None: the service's own. The thresholds are those of each server."""

    forwarding: Forwarding = Forwarding.DIRECT
    tunnel: Tunnel = IPIP
    fwmark: int = 0
    scheduler_flags: int = 0
    persistence: Persistence | None = None
    persistence_engine: str = ""
    upper_threshold: int = 0
    lower_threshold: int = 0
    server_version: int | None = None


_UNCHANGED = Timeouts()


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """Of what all services share. `sync`: the sync daemons that are to run; None: as they are."""

    timeouts: Timeouts = _UNCHANGED
    sync: tuple[SyncDaemon, ...] | None = None
