"""The etcd client against servers that answer without end, slowly, in part, or not at all."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from ipaddress import ip_address

import pytest

from pybal.config.settings import EtcdSource
from pybal.errors import SourceError
from pybal.sources import etcd_client
from pybal.sources.etcd_client import PythonEtcdClient
from pybal.sources.etcd_connection import MAX_BYTES
from tests.integration.certificates import Certificate, make_certificate

pytestmark = pytest.mark.integration

HOST = ip_address("127.0.0.1")
NODES = [{"key": f"/pool/{host}", "value": '{"pooled": "yes"}'} for host in "ab"]
LISTING = json.dumps({"action": "get", "node": {"key": "/pool", "dir": True, "nodes": NODES}})
HEAD = "HTTP/1.1 200 OK\r\nX-Etcd-Index: 7\r\nContent-Type: application/json\r\n"

Answer = Callable[[ssl.SSLSocket], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


class OddServer:
    """Gives one answer to each request, until it is closed."""

    def __init__(self, certificate: Certificate) -> None:
        self.answer: Answer = lambda _: None
        self.sent = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """The thread ends first: one left in accept() may be woken by a signal and begins again
        with the descriptor's number, though that is another test's listener by now."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as tls:
            while tls.recv(65536):
                self.answer(tls)


@pytest.fixture
def server(certificate: Certificate) -> Iterator[OddServer]:
    server = OddServer(certificate)
    yield server
    server.close()


@pytest.fixture
def client(server: OddServer, certificate: Certificate) -> Iterator[PythonEtcdClient]:
    """A client that waits a second for what it waits ten seconds for in earnest."""
    with closing(new_client(server, certificate, read_s=1.0)) as client:
        yield client


def new_client(
    server: OddServer, certificate: Certificate, read_s: float = etcd_client.READ_S
) -> PythonEtcdClient:
    settings, ca_file = EtcdSource("127.0.0.1", server.port, "/pool/"), certificate.certificate
    return PythonEtcdClient(settings, [HOST], str(ca_file), read_s=read_s)


def whole(body: str, head: str = HEAD) -> bytes:
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def test_a_whole_listing_is_read(server: OddServer, client: PythonEtcdClient) -> None:
    server.answer = lambda tls: tls.sendall(whole(LISTING))
    assert set(client.read()) == {"a", "b"}


def test_an_answer_without_end_is_cut_off(server: OddServer, certificate: Certificate) -> None:
    def endless(tls: ssl.SSLSocket) -> None:
        tls.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        while True:
            tls.sendall(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
            server.sent += 0x100000

    server.answer = endless
    with (
        closing(new_client(server, certificate)) as client,
        pytest.raises(SourceError, match="the answer is too long"),
    ):
        client.read()
    assert server.sent < 2 * MAX_BYTES


def test_headers_without_end_are_cut_off(server: OddServer, client: PythonEtcdClient) -> None:
    def endless(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            tls.sendall(b"X-A: b\r\n" * 1000)

    server.answer = endless
    with pytest.raises(SourceError):
        client.read()


@pytest.mark.parametrize("begin", ["", HEAD, f"{HEAD}Content-Length: 1000\r\n\r\n"])
def test_a_byte_a_second_is_not_waited_for(
    server: OddServer, client: PythonEtcdClient, begin: str
) -> None:
    def slow(tls: ssl.SSLSocket) -> None:
        tls.sendall(begin.encode())
        for letter in "HTTP/1.1 200 OK" + " " * 100:
            time.sleep(0.2)
            tls.sendall(letter.encode())

    server.answer = slow
    began_at_s = time.monotonic()
    with pytest.raises(SourceError):
        client.read()
    assert time.monotonic() - began_at_s < 10, "all of it takes 23"


def test_a_watch_whose_answer_is_never_finished_ends(
    server: OddServer, client: PythonEtcdClient
) -> None:
    def slow(tls: ssl.SSLSocket) -> None:
        tls.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode())
        for _ in range(100):
            time.sleep(0.2)
            tls.sendall(b" ")

    server.answer = lambda tls: tls.sendall(whole(LISTING))
    client.read()
    server.answer = slow
    began_at_s = time.monotonic()
    client.wait()
    assert time.monotonic() - began_at_s < 10, "all of it takes 20"


CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = f"{CHUNKED}{len(LISTING):x}\r\n{LISTING}\r\n0\r\n\r\n".encode()

ODD_ANSWERS: dict[str, bytes] = {
    "no end named": f"{HEAD}Connection: close\r\n\r\n{LISTING}".encode(),
    "compressed": whole(LISTING, f"{HEAD}Content-Encoding: gzip\r\n"),
    "an error": whole('{"errorCode": 300, "message": "Raft Internal Error", "index": 7}'),
    "another error": whole('{"error": {"code": 503, "message": "x"}}'),
    "an array": whole("[]"),
    "null": whole("null"),
    "HTML": whole("<html>Sorry</html>"),
    "another directory": whole(LISTING.replace("/pool", "/other")),
    "another directory's head": whole(LISTING.replace('"/pool"', '"/other"')),
    "a key twice": whole(LISTING.replace("/pool/b", "/pool/a")),
    "no nodes' keys": whole('{"action":"get","node":{"key":"/pool","dir":true,"nodes":[{}]}}'),
    "nodes of another shape": whole('{"action":"get","node":{"key":"/pool","dir":true,"nodes":7}}'),
    "a key": whole('{"action": "get", "node": {"key": "/pool", "value": "x"}}'),
    "deep": whole('{"node":' * 5000),
    "partial content": whole(LISTING, HEAD.replace("200 OK", "206 Partial Content")),
    "longer than it says": whole(LISTING)[:-20],
    "chunks that are cut off": CHUNKS[:-5],
    "two listings": whole(LISTING + LISTING),
    "an answer of v3": whole('{"header": {"revision": "9"}, "kvs": [], "count": "0"}'),
    "an answer of v3 with keys": whole('{"kvs": [{"key": "L3Bvb2wvYQ==", "value": "e30="}]}'),
    "a key that was deleted": whole(LISTING.replace("get", "delete")),
    "no root": whole('{"action": "get"}'),
    "a root that is null": whole('{"action": "get", "node": null}'),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "created": whole(LISTING, HEAD.replace("200 OK", "201 Created")),
    "UTF-16": whole(LISTING).replace(LISTING.encode(), LISTING.encode("utf-16")[: len(LISTING)]),
    "YAML": whole("action: get\nnode: {key: /pool, dir: true}\n"),
    "no listing of the whole": whole(LISTING, HEAD + "Content-Range: bytes 0-9/90\r\n"),
    "a redirect": b"HTTP/1.1 307 Go\r\nLocation: https://127.0.0.1:2/\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_what_is_no_whole_listing_is_refused(
    server: OddServer, client: PythonEtcdClient, name: str
) -> None:
    def odd(tls: ssl.SSLSocket) -> None:
        tls.sendall(ODD_ANSWERS[name])
        if name == "no end named":
            tls.unwrap().close()

    server.answer = odd
    with pytest.raises(SourceError) as caught:
        client.read()
    assert "0x" not in str(caught.value)


def test_the_kernel_watches_over_a_silent_connection(
    server: OddServer, client: PythonEtcdClient
) -> None:
    server.answer = lambda tls: tls.sendall(whole(LISTING))
    client.read()
    (timeout_ms,) = [
        ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        for ours in sockets_to(server.port)
    ]
    assert 0 < timeout_ms < 10_000


def sockets_to(port: int) -> Iterator[socket.socket]:
    """This process's sockets that are connected to the port."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), closing(socket.socket(fileno=os.dup(int(name)))) as found:
            if found.family == socket.AF_INET and found.getpeername()[1] == port:
                yield found


def test_of_many_silent_addresses_each_has_its_share_of_the_time(
    server: OddServer, certificate: Certificate
) -> None:
    with full_listener() as silent:
        addresses = [ip_address(f"127.0.0.{last}") for last in range(2, 12)]
        settings = EtcdSource("127.0.0.1", silent.getsockname()[1], "/pool/")
        client = PythonEtcdClient(settings, addresses, str(certificate.certificate), read_s=1.0)
        began_at_s = time.monotonic()
        with closing(client), pytest.raises(SourceError):
            client.read()
        assert time.monotonic() - began_at_s < 5, "it would take 10"


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """Takes no connection, on any address of loopback: its queue is full."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(("127.0.0.1", listener.getsockname()[1]))
        time.sleep(0.1)
        yield listener


def test_an_error_shows_little_of_an_answer(server: OddServer, client: PythonEtcdClient) -> None:
    body = "x" * 100_000
    server.answer = lambda tls: tls.sendall(whole(body, HEAD.replace("200 OK", "503 Sorry")))
    with pytest.raises(SourceError) as caught:
        client.read()
    assert len(str(caught.value)) < 300
    server.answer = lambda tls: tls.sendall(
        whole(LISTING + " " * 100_000).replace(b"/pool/b", b"/pool/\xe9")
    )
    with pytest.raises(SourceError) as caught:
        client.read()
    assert len(str(caught.value)) < 300
