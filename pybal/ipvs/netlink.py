"""The kernel's IPVS table over netlink, synchronously: see pybal.ipvs.connection."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

from pybal.errors import KernelError
from pybal.ipvs import codec, kernel_wide_codec, statistics_codec, wire
from pybal.ipvs.connection import Connection, Request, connect
from pybal.ipvs.kernel import (
    Kernel,
    Listing,
    OperationResult,
    read_refusal,
    refusal,
    sync_refusal,
    timeouts_refusal,
)
from pybal.ipvs.messages import Command
from pybal.ipvs.model import ServiceEntry, ServiceKey, SyncDaemon, SyncRole, Timeouts
from pybal.ipvs.operations import Operation
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import ServiceStatistics
from pybal.ipvs.wire import MalformedMessageError
from pybal.runtime.pieces import in_one_go

BATCH = 100
"""Operations in one exchange. The kernel charges up to 1,280 bytes for each refusal that it
queues: even if it refuses all, none is lost from a receive buffer of the default size
(212,992 bytes)."""

_EXCHANGE_COSTS = 5
"""The least that a datagram of answers counts for, in servers that are read."""

_NOT_THERE = "the kernel's answer holds no such service"

_T = TypeVar("_T")
_D = TypeVar("_D")


class NetlinkKernel(Kernel):
    """The IPVS table of the network namespace in which it is opened.

    Each exchange has a connection to itself as long as it lasts, be it over several turns of the
    reactor. After a failed or an abandoned one the connection is closed.
    """

    def __init__(self) -> None:
        self._idle: list[Connection] = []

    def open(self) -> None:
        """See Kernel."""
        if not self._idle:
            self._idle.append(self._connect())

    def close(self) -> None:
        """See Kernel."""
        while self._idle:
            self._idle.pop().close()

    def listing(self) -> Slices[Listing]:
        """See Kernel."""
        request = Request(Command.GET_SERVICE, b"", wire.NLM_F_DUMP)
        try:
            found = yield from self._get("read the IPVS services", request, codec.read_service)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            found = []  # Where IPVS has gone since open(), nothing stands.
        services = tuple(service for service in found if not isinstance(service, str))
        return Listing(services, tuple(words for words in found if isinstance(words, str)))

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        """See Kernel."""
        found = yield from self._get_whole(
            f"read service {key}", key, codec.read_service, codec.read_destination
        )
        if found is None:
            return None
        service, destinations = found
        if isinstance(service, str):
            raise KernelError(f"read service {key}", errno.EBADMSG, _NOT_THERE)
        return ServiceEntry(service, {each.key: each for each in destinations})

    def absent(self, keys: Sequence[ServiceKey]) -> Collection[ServiceKey]:
        """See Kernel."""
        found: set[ServiceKey] = set()
        requests = [Request(Command.GET_SERVICE, codec.service_identity(key)) for key in keys]
        what = "look at the IPVS services"
        try:
            with self._connection(what) as connection:
                for answers in connection.exchange(requests):
                    for index, message in answers:
                        number = wire.status(message) if message.type in wire.FINAL else 0
                        self._expect_family(what, number)
                        if number == errno.ESRCH:
                            found.add(keys[index])
        except KernelError as error:
            if error.errno == errno.ENOENT:
                return keys
            raise
        return found

    def counting(self, key: ServiceKey) -> Slices[ServiceStatistics | None]:
        """See Kernel."""
        found = yield from self._get_whole(
            f"read the statistics of service {key}",
            key,
            statistics_codec.read_service,
            statistics_codec.read_destination,
        )
        if found is None:
            return None
        traffic, destinations = found
        return ServiceStatistics(str(key), traffic, tuple(destinations))

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        """See Kernel."""
        results: list[OperationResult] = []
        for start in range(0, len(operations), BATCH):
            results += self._apply_batch(operations[start : start + BATCH])
        return tuple(results)

    def timeouts(self) -> Timeouts:
        """See Kernel."""
        what = "read the IPVS timeouts"
        request = Request(Command.GET_CONFIG, b"", wire.NLM_F_ACK)
        for found in in_one_go(self._get(what, request, kernel_wide_codec.read_timeouts)):
            return found
        raise KernelError(what, errno.EBADMSG, "the kernel's answer is empty")

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """See Kernel."""
        attributes = kernel_wide_codec.timeouts(timeouts)
        self._do("set the IPVS timeouts", Command.SET_CONFIG, attributes, timeouts_refusal)

    def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        """See Kernel."""
        request = Request(Command.GET_DAEMON, b"", wire.NLM_F_DUMP)
        what = "read the IPVS sync daemons"
        return tuple(in_one_go(self._get(what, request, kernel_wide_codec.read_daemon)))

    def start_sync(self, daemon: SyncDaemon) -> None:
        """See Kernel."""
        attributes = kernel_wide_codec.daemon(daemon)
        self._do(f"start {daemon}", Command.NEW_DAEMON, attributes, sync_refusal)

    def stop_sync(self, role: SyncRole) -> None:
        """See Kernel."""
        attributes = kernel_wide_codec.role(role)
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
        number = 0
        with self._connection(what) as connection:
            for answers in connection.exchange([request]):
                for _, message in answers:
                    number = wire.status(message)
        if number:
            raise error(what, number)

    def _apply_batch(self, operations: Sequence[Operation]) -> list[OperationResult]:
        """One exchange. The kernel works through the requests in order and always answers one
        that it refuses; the last asks for an answer in any case, and once that is here every
        request without an answer has been done."""
        errors: dict[int, KernelError] = {}
        requests = [Request(*codec.request(operation)) for operation in operations]
        requests[-1] = requests[-1]._replace(flags=wire.NLM_F_ACK)
        try:
            with self._connection("change the IPVS table") as connection:
                for answers in connection.exchange(requests):
                    for index, message in answers:
                        if number := wire.status(message):
                            errors[index] = refusal(operations[index], number)
        except KernelError as error:
            for index, operation in enumerate(operations):
                lost = KernelError(operation.words, error.errno, error.hint)
                errors.setdefault(index, lost)
        return [OperationResult(operation, errors.get(i)) for i, operation in enumerate(operations)]

    def _get_whole(
        self,
        what: str,
        key: ServiceKey,
        decode: Callable[[bytes], _T],
        decode_destination: Callable[[bytes, ServiceKey], _D],
    ) -> Slices[tuple[_T, list[_D]] | None]:
        """A service and its destinations; None if there is no such service, or no IPVS any more."""
        identity = codec.service_identity(key)
        get_service = Request(Command.GET_SERVICE, identity)
        get_destinations = Request(Command.GET_DEST, identity, wire.NLM_F_DUMP)
        try:
            services = yield from self._get(what, get_service, decode)
        except KernelError as error:
            if error.errno in (errno.ESRCH, errno.ENOENT):
                return None
            raise
        destinations = yield from self._get(
            what, get_destinations, lambda body: decode_destination(body, key)
        )
        if not services:
            raise KernelError(what, errno.EBADMSG, _NOT_THERE)
        return services[0], destinations

    def _get(self, what: str, request: Request, decode: Callable[[bytes], _T]) -> Slices[list[_T]]:
        """The decoded answers to one request, a datagram of them at a time."""
        found: list[_T] = []
        number = 0
        with self._connection(what) as connection:
            for answers in connection.exchange([request]):
                before = len(found)
                for _, message in answers:
                    if message.type not in wire.FINAL:
                        found.append(decode(wire.body(message)))
                    else:
                        number = wire.status(message)
                        self._expect_family(what, number)
                yield max(_EXCHANGE_COSTS, len(found) - before)
        if number:
            raise read_refusal(what, number)
        return found

    def _expect_family(self, what: str, number: int) -> None:
        """IPVS itself never answers who reads with ENOENT: its module has gone, and with it the
        number of the family that our connections know. Who connects has the kernel load it."""
        if number == errno.ENOENT:
            self.close()
            raise read_refusal(what, number)

    @contextlib.contextmanager
    def _connection(self, what: str) -> Iterator[Connection]:
        """A connection for one exchange; a failure within becomes KernelError."""
        connection = self._idle.pop() if self._idle else self._connect()
        complete = False
        try:
            yield connection
            complete = True
        except MalformedMessageError as error:
            raise KernelError(what, errno.EBADMSG, f"the kernel sent {error}") from error
        except OSError as error:
            hint = "whether it was done is not known"
            raise KernelError(what, error.errno or errno.EIO, hint) from error
        finally:
            if complete:
                self._idle.append(connection)
            else:
                connection.close()

    def _connect(self) -> Connection:
        return connect()
