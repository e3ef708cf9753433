"""What the kernel says of a TCP connection: how much was read and written, and which it is."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import termios
from typing import NamedTuple

from pybal.handover.format import HandoverError

_SO_COOKIE = 57  # asm-generic/socket.h: a number that no other socket of this boot has
_SIOCOUTQ = termios.TIOCOUTQ
_ESTABLISHED = 1
_INFO_BYTES = 136
_COUNTS = struct.Struct("=QQ")
_COUNTS_AT = 120  # struct tcp_info of linux/tcp.h: tcpi_bytes_acked, tcpi_bytes_received
_TRIES = 100


class ByteCounts(NamedTuple):
    """Of one connection, since it was made: bytes that a process has given to the kernel, and bytes
    that one has taken from it. The first may begin at 1, as the kernel counts the SYN of one that
    we have opened. `is_open` False: one of the ends has closed it."""

    given: int
    taken: int
    is_open: bool = True


def byte_counts(connection: socket.socket) -> ByteCounts:
    """Exact, if nobody reads or writes meanwhile: what arrives in between is noticed. Raises
    OSError; HandoverError if it never stands still."""
    for _ in range(_TRIES):
        state, acknowledged, received = _info(connection)
        waiting_out = _queue(connection, _SIOCOUTQ)
        waiting_in = _queue(connection, termios.FIONREAD)
        if (state, acknowledged, received) == _info(connection):
            return ByteCounts(
                acknowledged + waiting_out, received - waiting_in, state == _ESTABLISHED
            )
    raise HandoverError("the connection does not stand still")


def _info(connection: socket.socket) -> tuple[int, int, int]:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    if len(info) < _INFO_BYTES:
        raise HandoverError("this kernel does not count the bytes of a connection")
    return info[0], *_COUNTS.unpack_from(info, _COUNTS_AT)


def _queue(connection: socket.socket, request: int) -> int:
    size = array.array("i", [0])
    fcntl.ioctl(connection.fileno(), request, size)
    return size[0]


def cookie(connection: socket.socket) -> int:
    """The number by which the kernel knows this socket alone (SO_COOKIE). Raises OSError."""
    found = connection.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8)
    return int.from_bytes(found, "little")
