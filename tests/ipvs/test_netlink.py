"""What the netlink kernel makes of answers that no healthy kernel gives. The healthy ones are
in the contract, on the real kernel."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

import pytest

from pybal.errors import KernelError
from pybal.ipvs import codec, wire
from pybal.ipvs.connection import Connection
from pybal.ipvs.kernel import read_refusal
from pybal.ipvs.messages import VERSION, Command
from pybal.ipvs.model import Service, ServiceEntry
from pybal.ipvs.netlink import BATCH, NetlinkKernel
from pybal.ipvs.operations import AddDestination, AddService, Operation
from pybal.runtime.pieces import in_one_go
from tests.ipvs.examples import WEB, WEB6, destination, pool

FAMILY = 21
NLMSG_ERROR, NLMSG_DONE = wire.FINAL

Datagram = bytes | OSError
Answer = Callable[[list[wire.NetlinkMessage]], Sequence[Datagram | tuple[int, bytes]]]


class FakeSocket:
    """Answers each datagram of requests with the datagrams that `answer` makes of them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._queue: list[Datagram | tuple[int, bytes]] = []
        self.sent: list[list[wire.NetlinkMessage]] = []
        self.closed = False

    def sendto(self, data: bytes, address: tuple[int, int], /) -> int:
        assert address == (0, 0)
        self.sent.append(list(wire.split(data)))
        self._queue += self._answer(self.sent[-1])
        return len(data)

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]:
        if not self._queue:
            raise BlockingIOError(errno.EAGAIN, "timed out")
        first = self._queue.pop(0)
        if isinstance(first, OSError):
            raise first
        port, data = first if isinstance(first, tuple) else (0, first)
        return data, (port, 0)

    def close(self) -> None:
        self.closed = True


class FakeNetlinkKernel(NetlinkKernel):
    """A netlink kernel on fake sockets, one for each connection."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.sockets: list[FakeSocket] = []
        self._answers = list(answers)

    def _connect(self) -> Connection:
        self.sockets.append(FakeSocket(self._answers.pop(0)))
        return Connection(self.sockets[-1], FAMILY)


class WithoutIPVS(NetlinkKernel):
    """A netlink kernel that nobody can connect to, as the module cannot be loaded."""

    def _connect(self) -> Connection:
        raise read_refusal("open the IPVS table", errno.ENOENT)


def message(sequence: int, kind: int, payload: bytes) -> bytes:
    header = (16 + len(payload)).to_bytes(4, "little") + kind.to_bytes(2, "little") + bytes(2)
    return header + sequence.to_bytes(4, "little") + bytes(4) + payload


def status(sequence: int, number: int = 0, kind: int = NLMSG_ERROR) -> bytes:
    return message(sequence, kind, (-number).to_bytes(4, "little", signed=True))


def all_done(requests: list[wire.NetlinkMessage]) -> Sequence[Datagram]:
    return [status(requests[-1].sequence)]


OPERATIONS = [AddDestination(WEB, destination(number)) for number in range(1, 4)]


def errnos(kernel: NetlinkKernel) -> list[int]:
    results = kernel.apply(OPERATIONS)
    assert [result.operation for result in results] == OPERATIONS
    return [0 if result.error is None else result.error.errno for result in results]


def test_the_last_acknowledgement_tells_that_all_before_it_are_done() -> None:
    kernel = FakeNetlinkKernel(all_done)
    assert errnos(kernel) == [0, 0, 0]
    assert len(kernel.sockets[0].sent) == 1


def test_a_refusal_belongs_to_the_request_that_it_names() -> None:
    kernel = FakeNetlinkKernel(
        lambda requests: [
            status(requests[1].sequence, errno.EEXIST),
            status(requests[2].sequence, errno.ENOENT),
        ]
    )
    assert errnos(kernel) == [0, errno.EEXIST, errno.ENOENT]


def test_many_operations_are_sent_in_batches() -> None:
    kernel = FakeNetlinkKernel(all_done)
    results = kernel.apply([AddDestination(WEB, destination(1))] * (2 * BATCH + 5))
    assert len(results) == 2 * BATCH + 5
    assert [len(requests) for requests in kernel.sockets[0].sent] == [BATCH, BATCH, 5]


def test_without_the_last_acknowledgement_nothing_is_known_but_what_was_refused() -> None:
    for lost in (OSError(errno.ENOBUFS, ""), BlockingIOError(errno.EAGAIN, "")):
        kernel = FakeNetlinkKernel(
            lambda requests, lost=lost: [status(requests[0].sequence, errno.EEXIST), lost]  # type: ignore[misc]
        )
        assert errnos(kernel) == [errno.EEXIST, lost.errno, lost.errno]
        assert kernel.sockets[0].closed


def test_after_a_lost_exchange_the_next_goes_over_a_new_socket() -> None:
    kernel = FakeNetlinkKernel(lambda requests: [OSError(errno.ENOBUFS, "")], all_done)
    assert errnos(kernel) == [errno.ENOBUFS] * 3
    assert errnos(kernel) == [0, 0, 0]
    assert [each.closed for each in kernel.sockets] == [True, False]


def test_answers_to_other_requests_and_from_other_processes_count_for_nothing() -> None:
    kernel = FakeNetlinkKernel(
        lambda requests: [
            status(requests[0].sequence - 1 & 0xFFFFFFFF, errno.EPERM),
            status(requests[2].sequence + 1, errno.EPERM),
            (4711, status(requests[2].sequence, errno.EPERM)),
            status(requests[2].sequence),
        ]
    )
    assert errnos(kernel) == [0, 0, 0]


def test_sequence_numbers_begin_again_after_the_last() -> None:
    kernel = FakeNetlinkKernel(
        lambda requests: [
            status(requests[1].sequence, errno.EEXIST),
            status(requests[-1].sequence),
        ]
    )
    kernel.open()
    (connection,) = kernel._idle
    connection._sequence = 0xFFFFFFFE
    assert errnos(kernel) == [0, errno.EEXIST, 0]
    assert errnos(kernel) == [0, errno.EEXIST, 0]
    assert [m.sequence for m in kernel.sockets[0].sent[0]] == [0xFFFFFFFE, 0xFFFFFFFF, 0]


@pytest.mark.parametrize("junk", [b"\0", bytes(40), b"\xff" * 40, status(0)[:-1]])
def test_junk_ends_the_exchange_with_an_error(junk: bytes) -> None:
    kernel = FakeNetlinkKernel(lambda requests: [junk], lambda requests: [junk])
    assert errnos(kernel) == [errno.EBADMSG] * 3
    with pytest.raises(KernelError) as caught:
        kernel.services()
    assert caught.value.errno == errno.EBADMSG


def _dump(requests: list[wire.NetlinkMessage]) -> Sequence[Datagram]:
    """A service and one destination, whatever is asked for."""
    command = requests[0].payload[0]
    sequence = requests[0].sequence
    operations: dict[int, Operation] = {
        Command.GET_SERVICE: AddService(Service(WEB, "wrr")),
        Command.GET_DEST: AddDestination(WEB, destination(1)),
    }
    body = bytes((command, VERSION, 0, 0)) + codec.request(operations[command])[1]
    return [message(sequence, FAMILY, body) + status(sequence, kind=NLMSG_DONE)]


def test_a_dump_is_read_up_to_its_end() -> None:
    kernel = FakeNetlinkKernel(_dump)
    assert kernel.services().services == (Service(WEB, "wrr"),)
    assert kernel.read(WEB) == pool(WEB, 1)


def test_a_service_that_does_not_exist_is_none() -> None:
    kernel = FakeNetlinkKernel(lambda requests: [status(requests[0].sequence, errno.ESRCH)])
    assert kernel.read(WEB) is None


def test_a_refused_read_says_what_to_do() -> None:
    kernel = FakeNetlinkKernel(lambda requests: [status(requests[0].sequence, errno.EPERM)])
    for read in (kernel.services, lambda: kernel.read(WEB)):
        with pytest.raises(KernelError, match="CAP_NET_ADMIN"):
            read()


def _no_such_family(requests: list[wire.NetlinkMessage]) -> Sequence[Datagram]:
    return [status(request.sequence, errno.ENOENT) for request in requests]


ASKED: list[tuple[Callable[[NetlinkKernel], object], object]] = [
    (lambda kernel: kernel.services().services, ()),
    (lambda kernel: kernel.read(WEB), None),
    (lambda kernel: kernel.absent([WEB, WEB6]), [WEB, WEB6]),
    (lambda kernel: in_one_go(kernel.counting(WEB)), None),
]


@pytest.mark.parametrize(("ask", "nothing"), ASKED)
def test_where_the_module_has_gone_nothing_stands_and_the_family_is_looked_up_anew(
    ask: Callable[[NetlinkKernel], object], nothing: object
) -> None:
    kernel = FakeNetlinkKernel(_no_such_family, _dump)
    assert ask(kernel) == nothing
    assert kernel.read(WEB) == pool(WEB, 1)
    assert [each.closed for each in kernel.sockets] == [True, False]


def test_where_ipvs_cannot_be_had_any_more_nothing_stands_and_each_change_says_why() -> None:
    kernel = WithoutIPVS()
    with pytest.raises(KernelError, match="modprobe ip_vs says why"):
        kernel.open()
    assert kernel.services().services == ()
    assert kernel.absent([WEB]) == [WEB]
    assert kernel.read(WEB) is None
    (outcome,) = kernel.apply([AddService(Service(WEB, "wrr"))])
    assert outcome.error is not None
    assert "modprobe ip_vs says why" in str(outcome.error)


def test_a_dump_that_fails_at_its_end_is_an_error() -> None:
    kernel = FakeNetlinkKernel(
        lambda requests: [status(requests[0].sequence, errno.ENOBUFS, NLMSG_DONE)]
    )
    with pytest.raises(KernelError):
        kernel.services()


def test_an_answer_without_the_service_asked_for_is_an_error() -> None:
    kernel = FakeNetlinkKernel(lambda requests: [status(request.sequence) for request in requests])
    with pytest.raises(KernelError) as caught:
        kernel.read(WEB)
    assert caught.value.errno == errno.EBADMSG


def test_closing_twice_and_reading_again_is_no_mistake() -> None:
    kernel = FakeNetlinkKernel(_dump, _dump)
    assert isinstance(kernel.read(WEB), ServiceEntry)
    kernel.close()
    kernel.close()
    assert isinstance(kernel.read(WEB), ServiceEntry)
    assert len(kernel.sockets) == 2
