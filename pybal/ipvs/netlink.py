"""The kernel's IPVS table over generic netlink.

pyroute2 opens the socket and resolves the family; then its file descriptor is taken over,
because an exchange with this package's own packing costs a hundredth of one with pyroute2's.
The kernel acts on a request and queues its answers before the send returns: nothing here
waits, so all of it runs in the reactor's own thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from pyroute2.netlink import genlmsg, nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import GenericNetlinkSocket

from pybal.errors import KernelError
from pybal.ipvs import codec, messages, wire
from pybal.ipvs.kernel import Listing, Outcome, read_refusal, refusal
from pybal.ipvs.messages import FAMILY_NAME, VERSION, Command
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.plan import Operation
from pybal.ipvs.wire import MalformedMessageError, NetlinkMessage

BATCH = 100
"""Operations in one exchange. The kernel charges up to 1,280 bytes for each refusal that it
queues: even if it refuses all, none is lost from a receive buffer of the default size
(212,992 bytes)."""

_RECEIVE_BYTES = 65536  # more than the 32 KiB that a kernel puts into one datagram of a dump
_TIMEOUT_S = 5
_KERNEL_PORT = 0
_SEQUENCE_MASK = 0xFFFFFFFF

_T = TypeVar("_T")


class IPVSMessage(genlmsg):  # type: ignore[misc]  # pyroute2 ships no types
    """A message of the family, as pyroute2 sees it."""

    nla_map = messages.MESSAGE

    class service(nla):  # type: ignore[misc]  # noqa: N801 - the map names it
        nla_map = messages.SERVICE

        class flags(nla):  # type: ignore[misc]  # noqa: N801
            fields = messages.FLAGS_FIELDS

    class destination(nla):  # type: ignore[misc]  # noqa: N801
        nla_map = messages.DESTINATION


class _Request(NamedTuple):
    """One netlink request; `flags` beyond NLM_F_REQUEST."""

    command: Command
    attributes: bytes
    flags: int = 0


_DUMP_SERVICES = _Request(Command.GET_SERVICE, b"", wire.NLM_F_DUMP)


class NetlinkKernel:
    """The IPVS table of the network namespace in which it is opened.

    After a failed exchange the socket is closed, and the next call opens another: answers
    that come late belong to nobody.
    """

    def __init__(self) -> None:
        self._connection: _Connection | None = None

    def open(self) -> None:
        self._connected()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def services(self) -> Listing:
        found = self._get("read the IPVS services", _DUMP_SERVICES, codec.read_service)
        services = tuple(service for service in found if not isinstance(service, str))
        return Listing(services, tuple(words for words in found if isinstance(words, str)))

    def read(self, key: ServiceKey) -> ServiceEntry | None:
        what = f"read service {key}"
        identity = codec.service_identity(key)
        get_service = _Request(Command.GET_SERVICE, identity, wire.NLM_F_ACK)
        get_destinations = _Request(Command.GET_DEST, identity, wire.NLM_F_DUMP)
        try:
            services = self._get(what, get_service, codec.read_service)
        except KernelError as error:
            if error.errno == errno.ESRCH:
                return None
            raise
        destinations = self._get(
            what, get_destinations, lambda body: codec.read_destination(body, key)
        )
        for service in services:
            if not isinstance(service, str):
                return ServiceEntry(service, {each.key: each for each in destinations})
        raise KernelError(what, errno.EBADMSG, "the kernel's answer holds no such service")

    def apply(self, operations: Sequence[Operation]) -> tuple[Outcome, ...]:
        outcomes: list[Outcome] = []
        for start in range(0, len(operations), BATCH):
            outcomes += self._apply_batch(operations[start : start + BATCH])
        return tuple(outcomes)

    def _apply_batch(self, operations: Sequence[Operation]) -> list[Outcome]:
        """One exchange. The kernel works through the requests in order and always answers one
        that it refuses; the last asks for an answer in any case, and once that is here every
        request without an answer has been done."""
        errors: dict[int, KernelError] = {}
        requests = [_Request(*codec.request(operation)) for operation in operations]
        requests[-1] = requests[-1]._replace(flags=wire.NLM_F_ACK)
        try:
            with self._exchange("change the IPVS table", requests) as answers:
                for index, message in answers:
                    number = wire.status(message)
                    if number:
                        errors[index] = refusal(operations[index], number)
        except KernelError as error:
            for index, operation in enumerate(operations):
                lost = KernelError(operation.words, error.errno, error.hint)
                errors.setdefault(index, lost)
        return [Outcome(operation, errors.get(i)) for i, operation in enumerate(operations)]

    def _get(self, what: str, request: _Request, decode: Callable[[bytes], _T]) -> list[_T]:
        """The decoded answers to one request."""
        found = []
        with self._exchange(what, [request]) as answers:
            for _, message in answers:
                if message.type not in wire.FINAL:
                    found.append(decode(wire.body(message)))
                elif number := wire.status(message):
                    raise read_refusal(what, number)
        return found

    @contextlib.contextmanager
    def _exchange(
        self, what: str, requests: Sequence[_Request]
    ) -> Iterator[Iterator[tuple[int, NetlinkMessage]]]:
        """The answers to the requests; a failure within becomes KernelError."""
        try:
            yield self._connected().exchange(requests)
        except MalformedMessageError as error:
            self.close()
            raise KernelError(what, errno.EBADMSG, f"the kernel sent {error}") from error
        except OSError as error:
            self.close()
            raise KernelError(what, error.errno or errno.EIO, "the outcome is not known") from error

    def _connected(self) -> _Connection:
        if self._connection is None:
            self._connection = _connect()
        return self._connection


class _Connection:
    """A generic netlink socket and the number that the kernel has given to the IPVS family."""

    def __init__(self, descriptor: int, family: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        # The time-out is the kernel's: Python's own would cost a poll() for each receive.
        self._socket.setblocking(True)
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _TIMEOUT_S, 0)
        )
        self._family = family
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def exchange(self, requests: Sequence[_Request]) -> Iterator[tuple[int, NetlinkMessage]]:
        """Send the requests in one datagram; yield each answer with the index of its request, up
        to the final one to the last request."""
        first = self._sequence
        self._sequence = (first + len(requests)) & _SEQUENCE_MASK
        datagram = b"".join(
            wire.request(
                self._family,
                request.flags,
                (first + index) & _SEQUENCE_MASK,
                (request.command, VERSION),
                request.attributes,
            )
            for index, request in enumerate(requests)
        )
        self._socket.sendto(datagram, (_KERNEL_PORT, 0))
        while True:
            for message in self._receive():
                index = (message.sequence - first) & _SEQUENCE_MASK
                if index < len(requests):
                    yield index, message
                if index == len(requests) - 1 and message.type in wire.FINAL:
                    return

    def _receive(self) -> Iterator[NetlinkMessage]:
        data, (port, _) = self._socket.recvfrom(_RECEIVE_BYTES)
        # Any process may send to this socket.
        return wire.split(data) if port == _KERNEL_PORT else iter(())


def _connect() -> _Connection:
    what = "open the IPVS table over netlink"
    try:
        opened = GenericNetlinkSocket()
        try:
            # Newer releases log through the root logger what is raised here anyway.
            getattr(opened, "asyncore", opened).module_err_level = "debug"
            opened.bind(FAMILY_NAME, IPVSMessage)
            return _Connection(os.dup(opened.fileno()), opened.prid)
        finally:
            opened.close()
    except NetlinkError as error:
        raise read_refusal(what, error.code) from error
    except OSError as error:
        raise read_refusal(what, error.errno or errno.EIO) from error
