"""The IPVS table as it is shown. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pybal.model import IPAddress


class KernelErrorSnapshot(NamedTuple):
    """The last kernel error that the IPVS manager met."""

    at: float
    text: str


class Traffic(NamedTuple):
    """What the kernel counts of a service or a server: totals since it was added there, and
    rates that it averages over some seconds."""

    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections_per_s: int = 0
    packets_in_per_s: int = 0
    packets_out_per_s: int = 0
    bytes_in_per_s: int = 0
    bytes_out_per_s: int = 0


class DestinationStatistics(NamedTuple):
    """A real server in one service; `server` is `address:port`. Of the connections that there are
    now, `active` are established, `persistent` the clients that are to come back to it. `weight` is
    the kernel's."""

    server: str
    address: IPAddress
    active: int
    inactive: int
    persistent: int
    traffic: Traffic
    weight: int = 0


class ServiceStatistics(NamedTuple):
    """A service of the kernel, named as in `tcp 192.0.2.1:80`; its servers' traffic is also in
    its own."""

    service: str
    traffic: Traffic
    destinations: tuple[DestinationStatistics, ...]


class DriftSnapshot(NamedTuple):
    """How a service was found other than it had been left in the kernel. Once it is `repaired`, it
    stays here until an audit has found it well."""

    service: str
    since: float
    differences: tuple[str, ...]
    repaired: bool


class DrainSnapshot(NamedTuple):
    """A depooled server that keeps its connections until they end, or for `seconds_left`.
    `connections` is None until they have been counted."""

    service: str
    server: str
    seconds_left: float
    connections: int | None


class AuditSnapshot(NamedTuple):
    """Audits of the whole table. `finished_at` dates the last one; `drift` is open, `drift_total`
    has (kind, count)."""

    audits_total: int = 0
    finished_at: float | None = None
    drift: tuple[DriftSnapshot, ...] = ()
    drift_total: tuple[tuple[str, int], ...] = ()
    repairs_total: int = 0


class MissingSnapshot(NamedTuple):
    """A service, or `servers` of it, that the kernel does not take though it should hold them;
    `others` are there. `otherwise`: all are there, but not as they should be, or with some that
    should have gone. `error` is what the kernel said, if it was asked."""

    service: str
    servers: tuple[str, ...] = ()
    others: int = 0
    error: str = ""
    otherwise: bool = False


class IPVSSnapshot(NamedTuple):
    """The IPVS manager as it stands: `in_sync` once the kernel holds what is wanted.

    `unmanaged` stand in the kernel, are not configured and are left alone; `ownership_error` is
    why it cannot be kept on record which services are PyBal's. `statistics` is None if they are
    not read; they were read at `statistics_at`. `names` are (service as in `tcp 192.0.2.1:80`,
    name in pybal.conf). `missing` is what the kernel refuses to hold.
    """

    in_sync: bool
    dry_run: bool
    services: int
    destinations: int
    changes_total: int
    errors_total: int
    last_error: KernelErrorSnapshot | None
    audit: AuditSnapshot = AuditSnapshot()
    unmanaged: tuple[str, ...] = ()
    ownership_error: str = ""
    draining: tuple[DrainSnapshot, ...] = ()
    statistics: tuple[ServiceStatistics, ...] | None = None
    statistics_at: float | None = None
    names: tuple[tuple[str, str], ...] = ()
    missing: tuple[MissingSnapshot, ...] = ()
