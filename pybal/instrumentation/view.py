"""The port through which the instrumentation sees the daemon. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from pybal.bgp.snapshot import BGPSnapshot
from pybal.config.snapshot import ConfigSnapshot
from pybal.history.port import History
from pybal.ipvs.snapshot import IPVSSnapshot, MissingSnapshot
from pybal.model import DaemonSnapshot, ServiceSnapshot
from pybal.override import Override
from pybal.runtime.pieces import Pieces


class StatusView(Protocol):
    """Everything that can be told about the daemon, as frozen snapshots.

    Called in the reactor's thread; what it returns may be read in any other.
    """

    def preparing(self, name: str | None = None) -> Pieces[None]:
        """Makes in pieces what `services` shows, or `service` of one name, so that these are cheap:
        in a storm thousands of servers are other ones than at the last look."""
        ...

    def services(self) -> Iterable[ServiceSnapshot]:
        """All LVS services, in the order of pybal.conf; names are unique. Each is of the moment in
        which the iteration comes to it."""
        ...

    def service_names(self) -> Sequence[str]:
        """Their names alone, in the same order: they cost nothing."""
        ...

    def service(self, name: str) -> ServiceSnapshot | None:
        """The service of that name, if there is one."""
        ...

    def bgp(self) -> BGPSnapshot:
        """The BGP speaker and its peers."""
        ...

    def ipvs(self) -> IPVSSnapshot:
        """The IPVS table and what is done to it; statistics are as old as the last `refresh`."""
        ...

    def missing(self, name: str) -> MissingSnapshot | None:
        """What the kernel, having been asked for it, does not hold of that service: at the cost of
        one, not of the whole table."""
        ...

    def refresh(self) -> Awaitable[None]:
        """Have what is read on demand read, so that the next snapshots show it. Never fails."""
        ...

    def overrides(self) -> tuple[Override, ...]:
        """What operators want of servers for a time, those of no listed server included."""
        ...

    def daemon(self) -> DaemonSnapshot:
        """The process."""
        ...

    def config(self) -> ConfigSnapshot:
        """Which configuration runs, and how the last reload went."""
        ...

    def config_text(self) -> str:
        """Its text, without secrets."""
        ...

    def history(self) -> History:
        """What has happened; it is asked in the reactor's thread alone."""
        ...
