"""A generic netlink socket to the kernel's IPVS, and exchanges over it.

Requests are sent in batches. The kernel acts on a request and queues its answers before the send
returns, so an exchange never waits.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Protocol

from pybal.errors import KernelError
from pybal.ipvs import messages, wire
from pybal.ipvs.kernel import read_refusal
from pybal.ipvs.wire import MalformedMessageError, NetlinkMessage

_NETLINK_GENERIC = 16  # <linux/netlink.h>; the socket module has no name for it
_RECEIVE_BYTES = 65536  # more than the 32 KiB that a kernel puts into one datagram of a dump
_TIMEOUT_US = 250_000  # no healthy kernel needs any: its answers precede the return of send
_KERNEL_PORT = 0
_SEQUENCE_MASK = 0xFFFFFFFF
_OPENING = "open the IPVS table over netlink"

_write_family = wire.Writer(messages.CONTROL, "FAMILY_NAME")
_read_family = wire.Reader(messages.CONTROL, "FAMILY_ID", "FAMILY_NAME")


class Request(NamedTuple):
    """One netlink request; `flags` are those beyond NLM_F_REQUEST."""

    command: int
    attributes: bytes
    flags: int = 0


class NetlinkSocket(Protocol):
    """The part of a socket that is needed; an address is (port, groups)."""

    def sendto(self, data: bytes, address: tuple[int, int], /) -> int: ...

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]: ...

    def close(self) -> None: ...


class Connection:
    """Exchanges over a bound socket; `family` is the number the kernel gave to IPVS, or that of
    its registry of families."""

    def __init__(self, bound: NetlinkSocket, family: int) -> None:
        self._socket = bound
        self._family = family
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def exchange(self, requests: Sequence[Request]) -> Iterator[list[tuple[int, NetlinkMessage]]]:
        """Send the requests in one datagram; yield the answers, a datagram of them at a time, each
        with the index of its request, up to the final one to the last request, which has no flags
        if it is to be answered by one message. OSError or MalformedMessageError if that does not
        come: then close the connection, as what comes late belongs to nobody. Of a long answer the
        kernel prepares no more than is asked for."""
        first = self._sequence
        self._sequence = (first + len(requests)) & _SEQUENCE_MASK
        datagram = b"".join(
            wire.request(
                self._family,
                request.flags,
                (first + index) & _SEQUENCE_MASK,
                (request.command, messages.VERSION),
                request.attributes,
            )
            for index, request in enumerate(requests)
        )
        self._socket.sendto(datagram, (_KERNEL_PORT, 0))
        last = len(requests) - 1
        # Who asks neither for many answers nor for an acknowledgement gets one message.
        single = not requests[last].flags
        final = False
        while not final:
            answers = []
            for message in self._receive():
                index = (message.sequence - first) & _SEQUENCE_MASK
                if index <= last:
                    answers.append((index, message))
                final = index == last and (single or message.type in wire.FINAL)
                if final:
                    break
            yield answers

    def _receive(self) -> Iterator[NetlinkMessage]:
        data, (port, _) = self._socket.recvfrom(_RECEIVE_BYTES)
        # Any process may send to this socket.
        return wire.split(data) if port == _KERNEL_PORT else iter(())


def connect() -> Connection:
    """A connection in this network namespace; KernelError, with a hint, if there is no IPVS."""
    try:
        with ExitStack() as failing:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
            failing.callback(opened.close)
            opened.bind((0, 0))
            # The kernel's time-out: Python's own costs a poll() for each receive.
            time_limit = struct.pack("@ll", 0, _TIMEOUT_US)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, time_limit)
            connection = Connection(opened, ipvs_family(opened))
            failing.pop_all()
            return connection
    except OSError as error:
        raise read_refusal(_OPENING, error.errno or errno.EIO) from error
    except MalformedMessageError as error:
        raise KernelError(_OPENING, errno.EBADMSG, f"the kernel sent {error}") from error


def ipvs_family(bound: NetlinkSocket) -> int:
    """The number that the kernel has given to IPVS; it loads the module if it must. KernelError
    where there is none, else as Connection.exchange."""
    name = _write_family(messages.FAMILY_NAME.encode("ascii") + b"\0")
    registry = Connection(bound, messages.CONTROL_FAMILY)
    for answers in registry.exchange([Request(messages.GET_FAMILY, name)]):
        for _, message in answers:
            if message.type in wire.FINAL:
                raise read_refusal(_OPENING, wire.status(message))
            number, _ = _read_family(wire.body(message))
            if number is not None:
                return int(number)
    raise MalformedMessageError("a family without its number")
