"""Keys of TCP connections, set on sockets before a byte is exchanged: MD5 (RFC 2385) and TCP-AO
(RFC 5925)."""

from __future__ import annotations

import errno
import socket
import struct

from pybal.bgp.advertisement import IPNetwork
from pybal.bgp.settings import AOSettings, PeerSettings

# The socket module does not name these; the numbers are Linux's.
_TCP_MD5SIG, _TCP_MD5SIG_EXT = 14, 32
_TCP_MD5SIG_FLAG_PREFIX = 1
_TCP_AO_ADD_KEY = 38


def set_key(handle: socket.socket, peers: IPNetwork, peer: PeerSettings) -> None:
    """The key that `peer` has for connections with any of `peers`, if it has one. Raises OSError,
    which says so where the kernel has no TCP-AO."""
    if peer.password is None:
        return
    if peer.ao is None:
        set_md5_key(handle, peers, peer.password)
        return
    try:
        handle.setsockopt(
            socket.IPPROTO_TCP, _TCP_AO_ADD_KEY, ao_key(peers, peer.password, peer.ao)
        )
    except OSError as error:
        if error.errno not in (errno.ENOPROTOOPT, errno.EOPNOTSUPP):
            raise
        raise OSError(error.errno, "this kernel has no TCP-AO (Linux 6.7 and later)") from None


def set_md5_key(handle: socket.socket, peers: IPNetwork, password: bytes) -> None:
    """TCP_MD5SIG (struct tcp_md5sig of linux/tcp.h) for one peer, or TCP_MD5SIG_EXT for a network
    of them. Raises OSError."""
    one = peers.num_addresses == 1
    flags, length = (0, 0) if one else (_TCP_MD5SIG_FLAG_PREFIX, peers.prefixlen)
    head = struct.pack("=128sBBHi", _sockaddr(peers), flags, length, len(password), 0)
    option = head + struct.pack("=80s", password)
    handle.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG if one else _TCP_MD5SIG_EXT, option)


def ao_key(peers: IPNetwork, key: bytes, ao: AOSettings) -> bytes:
    """struct tcp_ao_add of linux/tcp.h, the key as the one to send with; the length of the MAC is
    left to the kernel."""
    return struct.pack(
        "=128s64siIHBBBBBB80s",
        _sockaddr(peers), ao.algorithm.encode(), 0, 0, 0,
        peers.prefixlen, ao.send_id, ao.receive_id, 0, 0, len(key), key,
    )  # fmt: skip


def _sockaddr(peers: IPNetwork) -> bytes:
    address = peers.network_address
    if address.version == 4:
        return struct.pack("=H2x4s", socket.AF_INET, address.packed)
    return struct.pack("=H6x16s", socket.AF_INET6, address.packed)
