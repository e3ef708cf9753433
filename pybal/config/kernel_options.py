"""Reads the options of [global] that all services of the kernel's IPVS share. Pure."""

from __future__ import annotations

from pybal.config.bad_value import BadValueError
from pybal.config.kinds import INTERFACE, PORT, Kind, choice, integer
from pybal.config.section import SectionReader
from pybal.ipvs.model import SYNC_GROUP, SyncDaemon, SyncRole, Timeouts
from pybal.ipvs.options import KernelOptions
from pybal.model import IPAddress
from pybal.net.addresses import parse_address

MAX_TIMEOUT_S = (2**31 - 1) // 1000
"""The most that a kernel of 1,000 Hz takes."""

_ROLES = {
    "none": (),
    "master": (SyncRole.MASTER,),
    "backup": (SyncRole.BACKUP,),
    "both": (SyncRole.MASTER, SyncRole.BACKUP),
}
_DETAILS = tuple(f"ipvs-sync-{name}" for name in ("interface", "id", "group", "port", "ttl"))


def _group(text: str) -> IPAddress:
    address = parse_address(text)
    if address is None or not address.is_multicast:
        raise BadValueError
    return address


_TIMEOUT = integer(1, MAX_TIMEOUT_S, "seconds")
_ROLE = choice(_ROLES)
_ID = integer(0, 255)
_GROUP = Kind("a multicast address", _group)
_TTL = integer(1, 255)


def read_kernel_options(reader: SectionReader) -> KernelOptions:
    """The keys of [global] about IPVS as a whole; what is wrong is noted in `reader`."""
    timeouts = Timeouts(
        tcp_s=reader.get("ipvs-tcp-timeout", _TIMEOUT, 0),
        tcp_fin_s=reader.get("ipvs-tcpfin-timeout", _TIMEOUT, 0),
        udp_s=reader.get("ipvs-udp-timeout", _TIMEOUT, 0),
    )
    return KernelOptions(timeouts, _read_sync(reader))


def _read_sync(reader: SectionReader) -> tuple[SyncDaemon, ...] | None:
    name = reader.get("ipvs-sync-daemon", _ROLE, "none")
    interface = reader.get("ipvs-sync-interface", INTERFACE, "")
    sync_id = reader.get("ipvs-sync-id", _ID, 0)
    group = reader.get("ipvs-sync-group", _GROUP, SYNC_GROUP)
    port = reader.get("ipvs-sync-port", PORT, 8848)
    ttl = reader.get("ipvs-sync-ttl", _TTL, 1)
    roles = _ROLES[name]
    if roles and not reader.is_set("ipvs-sync-interface"):
        reader.missing("ipvs-sync-interface", f"must be {INTERFACE.wanted}")
    if not roles and not reader.is_bad("ipvs-sync-daemon"):
        for key in _DETAILS:
            if reader.is_set(key) and not reader.is_bad(key):
                reader.error(key, "must not be set without ipvs-sync-daemon")
    if not reader.is_set("ipvs-sync-daemon"):
        return None
    return tuple(SyncDaemon(role, interface, sync_id, group, port, ttl) for role in roles)
