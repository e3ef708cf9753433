"""A generic netlink socket to the kernel's IPVS, and exchanges over it.

pyroute2 opens the socket and resolves the family; then its file descriptor is taken over,
because requests are built far faster, and sent in batches, with this package's own packing.
The kernel acts on a request and queues its answers before the send returns, so an exchange
never waits.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from pyroute2.netlink import genlmsg, nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import GenericNetlinkSocket

from pybal.ipvs import messages, wire
from pybal.ipvs.kernel import read_refusal
from pybal.ipvs.messages import Command
from pybal.ipvs.wire import NetlinkMessage

_RECEIVE_BYTES = 65536  # more than the 32 KiB that a kernel puts into one datagram of a dump
_TIMEOUT_US = 250_000  # no healthy kernel needs any: its answers precede the return of send
_KERNEL_PORT = 0
_SEQUENCE_MASK = 0xFFFFFFFF


class IPVSMessage(genlmsg):  # type: ignore[misc]  # pyroute2 ships no types
    """A message of the family, as pyroute2 sees it."""

    nla_map = messages.MESSAGE

    class service(nla):  # type: ignore[misc]  # noqa: N801 - the map names it
        nla_map = messages.SERVICE

        class flags(nla):  # type: ignore[misc]  # noqa: N801
            fields = messages.FLAGS_FIELDS

    class destination(nla):  # type: ignore[misc]  # noqa: N801
        nla_map = messages.DESTINATION

    class daemon(nla):  # type: ignore[misc]  # noqa: N801
        nla_map = messages.DAEMON


class Request(NamedTuple):
    """One netlink request; `flags` are those beyond NLM_F_REQUEST."""

    command: Command
    attributes: bytes
    flags: int = 0


class NetlinkSocket(Protocol):
    """The part of a socket that is needed; an address is (port, groups)."""

    def sendto(self, data: bytes, address: tuple[int, int], /) -> int: ...

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]: ...

    def close(self) -> None: ...


class Connection:
    """Exchanges over a bound socket; `family` is the number the kernel gave to IPVS."""

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
                request.command,
                messages.VERSION,
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
    what = "open the IPVS table over netlink"
    try:
        opened = GenericNetlinkSocket()
        try:
            # Newer releases log through the root logger what is raised here anyway.
            getattr(opened, "asyncore", opened).module_err_level = "debug"
            opened.bind(messages.FAMILY_NAME, IPVSMessage)
            return Connection(_take_over(opened.fileno()), opened.prid)
        finally:
            opened.close()
    except NetlinkError as error:
        raise read_refusal(what, error.code) from error
    except OSError as error:
        raise read_refusal(what, error.errno or errno.EIO) from error


def _take_over(descriptor: int) -> socket.socket:
    taken = socket.socket(fileno=os.dup(descriptor))
    taken.setblocking(True)
    # The kernel's time-out: Python's own costs a poll() for each receive.
    time_limit = struct.pack("@ll", 0, _TIMEOUT_US)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, time_limit)
    return taken
