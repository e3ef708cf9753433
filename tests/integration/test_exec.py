"""SIGUSR2 without a service manager: the process becomes the next one, and neither the router nor
a server notices. A dry run that speaks BGP stands for the daemon, as it needs no kernel."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

ROUTER, SERVERS = "127.0.0.9", ("127.0.0.21", "127.0.0.22")
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
_MARKER = b"\xff" * 16
_CONFIG = """[global]
dryrun = yes
dry-run-bgp = yes
state-directory = none
bgp = yes
bgp-local-asn = 64600
bgp-local-port = {own}
bgp-local-ips = ["127.0.0.1"]
bgp-nexthop-ipv4 = 192.0.2.1
bgp-peer-address = ["127.0.0.9"]
bgp-connect-only = yes
bgp-router-id = 192.0.2.1
bgp-hold-time = 9
[[peer 127.0.0.9]]
bgp-peer-port = {router}
[web]
protocol = tcp
ip = 198.51.100.1
port = {port}
scheduler = wrr
config = file://{pool}
monitors = ["IdleConnection"]
"""


class PeerStub:
    """A router that takes one connection after another, and counts what is said over each."""

    def __init__(self) -> None:
        self._listener = socket.create_server((ROUTER, 0))
        self.port = int(self._listener.getsockname()[1])
        self.sessions: list[list[int]] = []
        self._connections: list[socket.socket] = []
        self.lost = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                heard: list[int] = []
                self.sessions.append(heard)
                thread = threading.Thread(target=self._hear, args=(connection, heard))
                self._threads.append(thread)
                thread.start()

    def _hear(self, connection: socket.socket, heard: list[int]) -> None:
        body = struct.pack("!BHH4sB", 4, 64601, 9, socket.inet_aton(ROUTER), 0)
        with contextlib.suppress(OSError, struct.error):
            connection.sendall(_message(OPEN, body) + _message(KEEPALIVE))
            while True:
                size, kind = struct.unpack("!16xHB", _exactly(connection, 19))
                _exactly(connection, size - 19)
                heard.append(kind)
                if kind == KEEPALIVE:
                    connection.sendall(_message(KEEPALIVE))
        self.lost += 1

    def close(self) -> None:
        """The threads end first: whatever has a descriptor's number next is not theirs."""
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._connections):
            each.close()


def _message(kind: int, body: bytes = b"") -> bytes:
    return _MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


@pytest.fixture
def router() -> Iterator[PeerStub]:
    made = PeerStub()
    yield made
    made.close()


@pytest.fixture
def accepted() -> Iterator[tuple[int, list[socket.socket]]]:
    """The port of servers that keep connections open, and these."""
    kept: list[socket.socket] = []
    with socket.create_server(("0.0.0.0", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(listening.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        yield int(listening.getsockname()[1]), kept
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in kept:
        each.close()


def plainly(*command: str) -> list[str]:
    """As from a shell that no service manager knows of."""
    unset = [word for name in ("NOTIFY_SOCKET", "SYSTEMD_EXEC_PID") for word in ("-u", name)]
    return ["env", *unset, *command]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def lives(pybal: RunningPybal) -> int:
    return pybal.log.count("goes on from the process before us")


def test_the_next_program_goes_on_in_the_same_process(
    tmp_path: Path, router: PeerStub, accepted: tuple[int, list[socket.socket]]
) -> None:
    port, connections = accepted
    pool = tmp_path / "pool"
    pool.write_text("".join(f"{{'host': '{each}'}}\n" for each in SERVERS))
    config = _CONFIG.format(own=free_port(), router=router.port, port=port, pool=pool)
    with RunningPybal(plainly, tmp_path, config) as pybal:
        until(lambda: router.sessions and UPDATE in router.sessions[0] and len(connections) == 2)
        good, pid = pybal.config_path.read_text(), pybal.pid
        before = router.sessions[0].count(UPDATE)

        pybal.config_path.write_text(good.replace("= wrr", "= wrrr"))
        pybal.send_signal(signal.SIGUSR2)
        pybal.wait_said("No restart, as the next one could not start")
        pybal.wait_said("scheduler = 'wrrr'")
        assert pybal.ask_control("/api/v1/daemon")[0] == 200

        pybal.config_path.write_text(good)
        for number in (1, 2):
            # Some come twice, or together with others that wait for the next program.
            pybal.send_signal(signal.SIGUSR2)
            pybal.send_signal(signal.SIGHUP)
            until(lambda: lives(pybal) >= number)  # noqa: B023 - called within this turn
            heard = len(router.sessions[0])
            until(lambda: KEEPALIVE in router.sessions[0][heard:])  # noqa: B023
            until(lambda: pybal.ask_control("/api/v1/daemon")[0] == 200)
        assert pybal.pid == pid
        assert (len(router.sessions), router.lost, len(connections)) == (1, 0, 2)
        assert router.sessions[0].count(UPDATE) == before
        assert NOTIFICATION not in router.sessions[0]
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        assert descriptors < 80, "none is left over"
        assert "Cannot listen" not in pybal.log

        assert pybal.stop() == 0
    until(lambda: router.lost == 1)
    assert router.sessions[0][-1] == NOTIFICATION


@contextlib.contextmanager
def asked_for_a_restart(folder: Path, router: PeerStub, port: int) -> Iterator[RunningPybal]:
    """SIGUSR2 has just been sent, amid a session."""
    pool = folder / "pool"
    pool.write_text(f"{{'host': '{SERVERS[0]}'}}\n")
    config = _CONFIG.format(own=free_port(), router=router.port, port=port, pool=pool)
    with RunningPybal(plainly, folder, config) as pybal:
        until(lambda: router.sessions and UPDATE in router.sessions[0])
        pybal.send_signal(signal.SIGUSR2)
        yield pybal


def test_an_end_that_is_wanted_meanwhile_is_one_in_order(
    tmp_path: Path, router: PeerStub, accepted: tuple[int, list[socket.socket]]
) -> None:
    with asked_for_a_restart(tmp_path, router, accepted[0]) as pybal:
        pybal.wait_said("Exiting, for a restart...")
        assert pybal.stop() == 0
    until(lambda: router.lost == 1)
    assert len(router.sessions) == 1
    assert router.sessions[0][-1] == NOTIFICATION


def children(pid: int) -> list[int]:
    """Of all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for task in tasks for each in (task / "children").read_text().split()]


def test_an_end_that_is_wanted_while_the_next_one_is_asked_does_not_wait_for_that(
    tmp_path: Path, router: PeerStub, accepted: tuple[int, list[socket.socket]]
) -> None:
    with asked_for_a_restart(tmp_path, router, accepted[0]) as pybal:
        (asked,) = until(lambda: children(pybal.pid), pause_s=0.01)
        os.kill(asked, signal.SIGSTOP)
        try:
            assert pybal.stop() == 0
        finally:
            os.kill(asked, signal.SIGKILL)
        assert "A thread hangs" not in pybal.log
