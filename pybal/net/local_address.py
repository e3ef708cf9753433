"""Whether an address is this host's own."""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import ip_address

_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_RTM_NEWROUTE = 24
_RTM_GETROUTE = 26
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_RTA_DST = 1
_RTN_LOCAL = 2
_NETLINK_ROUTE = 0
_ANSWER_BYTES = 8192
_TIMEOUT_S = 1.0
_NOWHERE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES)
"""What the kernel says of an address that it has no route to, or one that leads to nobody."""


def is_local(address: str) -> bool | None:
    """Whether the kernel takes packets for an address as its own, on whatever interface; None if
    that cannot be told, for want of a descriptor say.

    The kernel is asked for its route, as a host may have more addresses than anyone wants to list.
    To bind a socket to it would not tell where net.ipv4.ip_nonlocal_bind is set.
    """
    try:
        return _route_type(address) == _RTN_LOCAL
    except OSError as error:
        return False if error.errno in _NOWHERE else None


def is_interface(name: str) -> bool:
    """Whether this host has a network interface of that name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _route_type(address: str) -> int:
    """Raises OSError."""
    packed = ip_address(address).packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    route = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
    length = _HEADER.size + len(route) + len(attribute)
    header = _HEADER.pack(length, _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.send(header + route + attribute)
        answer = kernel.recv(_ANSWER_BYTES)
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", answer, _HEADER.size)
        raise OSError(-number, "no route")
    if kind != _RTM_NEWROUTE:
        raise OSError(errno.EBADMSG, "an odd answer")
    return int(_ROUTE.unpack_from(answer, _HEADER.size)[7])
