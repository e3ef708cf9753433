"""The kernel's IPVS table over netlink, synchronously: see pybal.ipvs.connection."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from pybal.errors import KernelError
from pybal.ipvs import codec, kernelwide_codec, statistics_codec, wire
from pybal.ipvs.connection import Connection, Request, connect
from pybal.ipvs.kernel import (
    Listing,
    Outcome,
    read_refusal,
    refusal,
    sync_refusal,
    timeouts_refusal,
)
from pybal.ipvs.messages import Command
from pybal.ipvs.model import ServiceEntry, ServiceKey, SyncDaemon, SyncRole, Timeouts
from pybal.ipvs.plan import Operation
from pybal.ipvs.wire import MalformedMessageError, NetlinkMessage
from pybal.model import ServiceStatistics

BATCH = 100
"""Operations in one exchange. The kernel charges up to 1,280 bytes for each refusal that it
queues: even if it refuses all, none is lost from a receive buffer of the default size
(212,992 bytes)."""

_T = TypeVar("_T")


class NetlinkKernel:
    """The IPVS table of the network namespace in which it is opened.

    After a failed exchange the connection is closed, and the next call opens another.
    """

    def __init__(self) -> None:
        self._connection: Connection | None = None

    def open(self) -> None:
        self._connected()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def services(self) -> Listing:
        request = Request(Command.GET_SERVICE, b"", wire.NLM_F_DUMP)
        found = self._get("read the IPVS services", request, codec.read_service)
        services = tuple(service for service in found if not isinstance(service, str))
        return Listing(services, tuple(words for words in found if isinstance(words, str)))

    def read(self, key: ServiceKey) -> ServiceEntry | None:
        what = f"read service {key}"
        identity = codec.service_identity(key)
        get_service = Request(Command.GET_SERVICE, identity, wire.NLM_F_ACK)
        get_destinations = Request(Command.GET_DEST, identity, wire.NLM_F_DUMP)
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

    def statistics(self, key: ServiceKey) -> ServiceStatistics | None:
        what = f"read the statistics of service {key}"
        identity = codec.service_identity(key)
        get_service = Request(Command.GET_SERVICE, identity, wire.NLM_F_ACK)
        get_destinations = Request(Command.GET_DEST, identity, wire.NLM_F_DUMP)
        try:
            traffic = self._get(what, get_service, statistics_codec.read_service)
        except KernelError as error:
            if error.errno == errno.ESRCH:
                return None
            raise
        destinations = self._get(
            what, get_destinations, lambda body: statistics_codec.read_destination(body, key)
        )
        if not traffic:
            raise KernelError(what, errno.EBADMSG, "the kernel's answer holds no such service")
        return ServiceStatistics(str(key), traffic[0], tuple(destinations))

    def apply(self, operations: Sequence[Operation]) -> tuple[Outcome, ...]:
        outcomes: list[Outcome] = []
        for start in range(0, len(operations), BATCH):
            outcomes += self._apply_batch(operations[start : start + BATCH])
        return tuple(outcomes)

    def timeouts(self) -> Timeouts:
        what = "read the IPVS timeouts"
        request = Request(Command.GET_CONFIG, b"", wire.NLM_F_ACK)
        for found in self._get(what, request, kernelwide_codec.read_timeouts):
            return found
        raise KernelError(what, errno.EBADMSG, "the kernel's answer is empty")

    def set_timeouts(self, timeouts: Timeouts) -> None:
        attributes = kernelwide_codec.timeouts(timeouts)
        self._do("set the IPVS timeouts", Command.SET_CONFIG, attributes, timeouts_refusal)

    def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        request = Request(Command.GET_DAEMON, b"", wire.NLM_F_DUMP)
        what = "read the IPVS sync daemons"
        return tuple(self._get(what, request, kernelwide_codec.read_daemon))

    def start_sync(self, daemon: SyncDaemon) -> None:
        attributes = kernelwide_codec.daemon(daemon)
        self._do(f"start {daemon}", Command.NEW_DAEMON, attributes, sync_refusal)

    def stop_sync(self, role: SyncRole) -> None:
        attributes = kernelwide_codec.role(role)
        self._do(f"stop {role.words}", Command.DEL_DAEMON, attributes, sync_refusal)

    def _do(
        self,
        what: str,
        command: Command,
        attributes: bytes,
        error: Callable[[str, int], KernelError],
    ) -> None:
        """One change of what all services share."""
        request = Request(command, attributes, wire.NLM_F_ACK)
        with self._exchange(what, [request]) as answers:
            for _, message in answers:
                if number := wire.status(message):
                    raise error(what, number)

    def _apply_batch(self, operations: Sequence[Operation]) -> list[Outcome]:
        """One exchange. The kernel works through the requests in order and always answers one
        that it refuses; the last asks for an answer in any case, and once that is here every
        request without an answer has been done."""
        errors: dict[int, KernelError] = {}
        requests = [Request(*codec.request(operation)) for operation in operations]
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

    def _get(self, what: str, request: Request, decode: Callable[[bytes], _T]) -> list[_T]:
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
        self, what: str, requests: Sequence[Request]
    ) -> Iterator[Iterator[tuple[int, NetlinkMessage]]]:
        """The answers to the requests; a failure within becomes KernelError."""
        connection = self._connected()
        try:
            yield connection.exchange(requests)
        except MalformedMessageError as error:
            self.close()
            raise KernelError(what, errno.EBADMSG, f"the kernel sent {error}") from error
        except OSError as error:
            self.close()
            hint = "whether it was done is not known"
            raise KernelError(what, error.errno or errno.EIO, hint) from error

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection:
        return connect()
