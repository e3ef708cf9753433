"""What all services share, as netlink attributes: timeouts and sync daemons. Pure.

Any bytes given to a reader end in a value or in MalformedMessageError.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from pybal.ipvs import messages
from pybal.ipvs.model import SyncDaemon, SyncRole, Timeouts
from pybal.ipvs.wire import MalformedMessageError, Reader, Writer

_TIMEOUTS = ("TIMEOUT_TCP", "TIMEOUT_TCP_FIN", "TIMEOUT_UDP")
_DAEMON = ("STATE", "MCAST_IFN", "SYNC_ID", "MCAST_PORT", "MCAST_TTL")

_write_timeouts = Writer(messages.MESSAGE, *_TIMEOUTS)
_read_timeouts = Reader(messages.MESSAGE, *_TIMEOUTS)
_write_message = Writer(messages.MESSAGE, "DAEMON")
_read_message = Reader(messages.MESSAGE, "DAEMON", "SERVICE")
_write_role = Writer(messages.DAEMON, "STATE")
_write_daemon = Writer(messages.DAEMON, *_DAEMON)
_write_group = {
    4: Writer(messages.DAEMON, "MCAST_GROUP"),
    6: Writer(messages.DAEMON, "MCAST_GROUP6"),
}
_read_daemon = Reader(messages.DAEMON, *_DAEMON, "MCAST_GROUP", "MCAST_GROUP6")


def timeouts(wanted: Timeouts) -> bytes:
    """The attributes of SET_CONFIG. A time that is out of range (0 to 2**31 - 1) is sent as one
    that the kernel refuses."""
    seconds = (wanted.tcp_s, wanted.tcp_fin_s, wanted.udp_s)
    return _write_timeouts(*(each if 0 <= each < 2**31 else 2**31 for each in seconds))


def read_timeouts(body: bytes) -> Timeouts:
    """The answer to GET_CONFIG; a time that the kernel does not know is 0."""
    return Timeouts(*(each or 0 for each in _read_timeouts(body)))


def role(stopped: SyncRole) -> bytes:
    """The attributes of DEL_DAEMON."""
    return _write_message(_write_role(stopped.value))


def daemon(started: SyncDaemon) -> bytes:
    """The attributes of NEW_DAEMON."""
    attributes = _write_daemon(
        started.role.value,
        started.interface.encode() + b"\0",
        started.sync_id,
        started.port,
        started.ttl,
    )
    return _write_message(attributes + _write_group[started.group.version](started.group.packed))


def read_daemon(body: bytes) -> SyncDaemon:
    """One answer to GET_DAEMON."""
    attributes, _ = _read_message(body)
    if attributes is None:
        raise MalformedMessageError("a message without a sync daemon")
    state, interface, sync_id, port, ttl, group, group6 = _read_daemon(attributes)
    if None in (state, interface, sync_id, port, ttl):
        raise MalformedMessageError("a sync daemon without role, interface, id, port or TTL")
    if state not in [role.value for role in SyncRole]:
        raise MalformedMessageError(f"a sync daemon of role {state}")
    name = interface.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    if group is not None and len(group) >= 4:
        return SyncDaemon(SyncRole(state), name, sync_id, IPv4Address(group[:4]), port, ttl)
    if group6 is not None and len(group6) >= 16:
        return SyncDaemon(SyncRole(state), name, sync_id, IPv6Address(group6[:16]), port, ttl)
    raise MalformedMessageError("a sync daemon without a multicast group")
