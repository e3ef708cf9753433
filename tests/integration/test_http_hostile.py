"""The HTTP client against real servers that misbehave, on loopback sockets."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import DeferredList
from twisted.internet.threads import deferToThreadPool

from pybal.errors import HTTPFetchError
from pybal.http.port import HTTPRequest, HTTPResponse
from tests.integration.certificates import Certificate, make_certificate
from tests.integration.reactors import real_client, run_in_reactor
from tests.sockets import reset, reset_at_close

pytestmark = pytest.mark.integration

MAX_BYTES = 300_000
TIMEOUT_S = 0.5  # of what is to time out
PATIENCE_S = 10.0  # of all else

Behaviour = Callable[[socket.socket], None]


@contextmanager
def server(behave: Behaviour) -> Iterator[int]:
    """A server that reads a request's first bytes and then behaves so; gives its port."""
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(3)
                try:
                    behave(connection)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            assert not thread.is_alive()


def fetch(request: HTTPRequest, hosts: Path = Path("/etc/hosts")) -> HTTPResponse:
    async def main(reactor: Any) -> HTTPResponse:
        return await real_client(reactor, hosts).fetch(request)

    return run_in_reactor(main, limit_s=3 * PATIENCE_S)


def ask(port: int, scheme: str = "http", host: str = "www.example.org", **options: Any) -> str:
    """Fetch from the port; the body, or the error's text."""
    options.setdefault("connect_to", (ip_address("127.0.0.1"), port))
    options.setdefault("timeout_s", PATIENCE_S)
    request = HTTPRequest(f"{scheme}://{host}:{port}/", max_bytes=MAX_BYTES, **options)
    started_at = time.monotonic()
    try:
        return fetch(request).body.decode()
    except HTTPFetchError as error:
        text = str(error)
    assert time.monotonic() - started_at < request.timeout_s + PATIENCE_S
    assert text.isprintable()
    return text


def says(*pieces: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        for piece in pieces:
            connection.sendall(piece)

    return behave


def says_for_ever(first: bytes, then: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(first)
        while True:
            connection.sendall(then * 1000)

    return behave


def resets_after(first: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(first)
        time.sleep(0.05)
        reset_at_close(connection)

    return behave


def says_half(connection: socket.socket) -> None:
    says(OK)(connection)
    waits(connection)


def waits(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


OK = b"HTTP/1.1 200 OK\r\n"

HOSTILE: dict[str, tuple[Behaviour, str]] = {
    "endless headers": (says_for_ever(OK, b"X-A: b\r\n"), "headers of more than"),
    "one endless header": (says_for_ever(OK + b"X-A: ", b"b"), "headers of more than"),
    "an endless body": (says_for_ever(OK + b"\r\n", b"x"), "more than 300000 bytes, in mid-body"),
    "endless chunks": (
        says_for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"a\r\n0123456789\r\n"),
        "more than 300000 bytes, in mid-body",
    ),
    "an endless chunk": (
        says_for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"x"),
        "more than 300000 bytes, in mid-body",
    ),
    "a length of 10 GB": (
        says_for_ever(OK + b"Content-Length: 10000000000\r\n\r\n", b"x"),
        "more than 300000 bytes, after",
    ),
    "a length too long": (
        says(OK + b"Content-Length: 100\r\n\r\nhello"),
        "connection closed after 5 of 100 bytes of body",
    ),
    "a length too short": (
        says(OK + b"Content-Length: 2\r\n\r\nhello"),
        "3 bytes more than the answer's own length of 2",
    ),
    "chunked garbage": (
        says(OK + b"Transfer-Encoding: chunked\r\n\r\n\x00\xff\r\n"),
        "illegal chunk header",
    ),
    "a reset in mid-header": (resets_after(OK + b"Conte"), "within the headers, 22 bytes"),
    "a reset in mid-body": (resets_after(OK + b"\r\nabc"), "in mid-body, after 3 bytes"),
    "a reset at once": (resets_after(b""), r"without an answer \(connection reset by peer\)"),
    "a close at once": (says(), "connection closed without an answer"),
    "silence": (waits, "timed out, connected but nothing received"),
    "half an answer, then silence": (
        says_half,
        "timed out within the headers, 17 bytes received",
    ),
    "another protocol": (says(b"220 mail.example.org ESMTP\r\n"), "no HTTP status line: '"),
    "binary junk": (says(bytes(range(256)) * 10), "no HTTP status line: '"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_ends_in_one_line_that_says_what_came(name: str) -> None:
    behave, why = HOSTILE[name]
    with server(behave) as port:
        text = ask(port, timeout_s=TIMEOUT_S if "timed out" in why else PATIENCE_S)
    prefix = rf"^GET http://www\.example\.org:{port}/ of 127\.0\.0\.1:{port}: .*"
    assert_matches(prefix + why, text)


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(HTTPFetchError, match=pattern):
        raise HTTPFetchError(text)


def test_a_refused_connection_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert_matches(f"of 127.0.0.1:{port}: cannot connect: .*refused", ask(port))


def test_an_endless_body_is_cut_where_only_the_status_matters() -> None:
    with server(says_for_ever(OK + b"\r\n", b"x")) as port:
        body = ask(port, truncate=True)
    assert body == "x" * (MAX_BYTES - len(OK) - 2)


def test_an_address_of_ipv6_is_connected_to() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        text = ask(port, connect_to=(ip_address("::1"), port), timeout_s=TIMEOUT_S)
    assert_matches(rf"of \[::1\]:{port}: timed out, connected but nothing received", text)


def test_a_name_is_looked_up_and_each_of_its_addresses_tried(tmp_path: Path) -> None:
    """Nobody listens on ::1, and the way to 203.0.113.1 is barred or silent."""
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 web.example\n203.0.113.1 web.example\n127.0.0.1 web.example\n")
    with server(says(HELLO)) as port:
        request = HTTPRequest(f"http://web.example:{port}/", timeout_s=5, max_bytes=999)
        assert fetch(request, hosts).body == b"hello"


def test_a_name_that_is_unknown_is_told(tmp_path: Path) -> None:
    request = HTTPRequest("http://..example/", timeout_s=5, max_bytes=999)
    with pytest.raises(HTTPFetchError, match=r"of \.\.example:80: cannot connect: .*no host name"):
        fetch(request, tmp_path / "none")


def test_names_that_nobody_answers_for_keep_neither_other_names_nor_the_disk_waiting(
    tmp_path: Path,
) -> None:
    hosts, resolv_conf = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("127.0.0.1 web.example\n")
    resolv_conf.write_text("nameserver 127.0.0.1\n")

    async def main(reactor: Any) -> tuple[bytes, str]:
        client = real_client(reactor, hosts, resolv_conf, silent.getsockname()[1])
        dead = [
            client.fetch(HTTPRequest(f"http://h{n}.example/", timeout_s=3, max_bytes=99))
            for n in range(200)
        ]
        alive = await client.fetch(
            HTTPRequest(f"http://web.example:{port}/", timeout_s=3, max_bytes=999)
        )
        pool = reactor.getThreadPool()
        written = await deferToThreadPool(reactor, pool, lambda: "written")
        assert not any(each.called for each in dead)
        outcomes: list[tuple[bool, Any]] = await DeferredList(dead, consumeErrors=True)
        texts = [str(failure.value) for success, failure in outcomes if not success]
        assert len(texts) == sum("timed out, its address is not known yet" in t for t in texts)
        assert len(texts) == len(dead)
        return alive.body, written

    with server(says(HELLO)) as port, socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert run_in_reactor(main) == (b"hello", "written")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:www.example.org", "IP:127.0.0.1")


class TLS:
    """A TLS server's side, which remembers the names it was asked for."""

    def __init__(self, certificate: Certificate, then: Behaviour) -> None:
        self.names: list[str | None] = []
        self._then = then
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._context.sni_callback = self._named

    def _named(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        self.names.append(name)

    def __call__(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as secured:
            self._then(secured)


HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


def trusting(certificate: Certificate) -> dict[str, str]:
    return {"ca_file": str(certificate.certificate)}


def test_tls_is_verified_against_the_given_authority(certificate: Certificate) -> None:
    tls = TLS(certificate, says(HELLO))
    with server(tls) as port:
        assert ask(port, "https", **trusting(certificate)) == "hello"
    assert tls.names == ["www.example.org"]


def test_an_address_is_verified_too_and_no_name_sent(certificate: Certificate) -> None:
    tls = TLS(certificate, says(HELLO))
    with server(tls) as port:
        assert ask(port, "https", host="127.0.0.1", **trusting(certificate)) == "hello"
        assert ask(port, "https", host="127.0.0.1", tls_verify=False) == "hello"
    assert tls.names == [None, None]


def test_a_certificate_for_another_name_is_refused(certificate: Certificate) -> None:
    with server(TLS(certificate, says(HELLO))) as port:
        text = ask(port, "https", host="other.example.org", **trusting(certificate))
    assert_matches("the certificate is not valid for other.example.org", text)


def test_a_certificate_for_another_address_is_refused_before_anything_is_asked(
    certificate: Certificate,
) -> None:
    asked = []

    def listens(secured: socket.socket) -> None:
        asked.append(secured.recv(4096))

    with server(TLS(certificate, listens)) as port:
        text = ask(port, "https", host="127.0.0.2", **trusting(certificate))
    assert_matches("the certificate is not valid for 127.0.0.2", text)
    assert b"".join(asked) == b""


def test_a_certificate_of_an_unknown_authority_is_refused(certificate: Certificate) -> None:
    with server(TLS(certificate, says(HELLO))) as port:
        text = ask(port, "https")
    assert_matches(r"in the TLS handshake \(TLS: .*certificate verify failed", text)


def test_any_certificate_will_do_where_none_is_verified(certificate: Certificate) -> None:
    tls = TLS(certificate, says(HELLO))
    with server(tls) as port:
        assert ask(port, "https", host="other.example.org", tls_verify=False) == "hello"
    assert tls.names == ["other.example.org"]


def test_a_server_that_never_shakes_hands_ends_at_the_timeout() -> None:
    with server(waits) as port:
        assert_matches("timed out in the TLS handshake", ask(port, "https", timeout_s=TIMEOUT_S))


def test_a_server_that_speaks_no_tls_is_told() -> None:
    with server(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert_matches(r"in the TLS handshake \(TLS: .*wrong version", ask(port, "https"))


def test_a_tls_connection_cut_off_is_no_end_of_a_body(certificate: Certificate) -> None:
    def cuts_off(secured: socket.socket) -> None:
        says(OK + b"\r\nhalf a li")(secured)
        socket.socket(fileno=secured.detach()).close()

    with server(TLS(certificate, cuts_off)) as port:
        text = ask(port, "https", tls_verify=False)
        assert ask(port, "https", tls_verify=False, truncate=True) == "half a li"
    assert_matches(r"in mid-body, after 9 bytes of it \(cut off\)", text)


def test_a_tls_connection_that_is_reset_says_so(certificate: Certificate) -> None:
    def resets(secured: socket.socket) -> None:
        says(OK + b"\r\nhalf a li")(secured)
        connection = socket.socket(fileno=secured.detach())
        reset(connection)

    with server(TLS(certificate, resets)) as port:
        text = ask(port, "https", tls_verify=False)
    assert_matches(r"\(connection reset by peer\)", text)


def test_a_tls_server_that_never_closes_leaves_nothing_behind(certificate: Certificate) -> None:
    closed = threading.Event()

    def stays(secured: socket.socket) -> None:
        says(HELLO)(secured)
        waits(secured)
        closed.set()

    async def main(reactor: Any) -> HTTPResponse:
        request = HTTPRequest(
            f"https://127.0.0.1:{port}/", timeout_s=1, max_bytes=999, tls_verify=False
        )
        return await real_client(reactor).fetch(request)

    with server(TLS(certificate, stays)) as port:
        assert run_in_reactor(main).body == b"hello"
    assert closed.is_set()


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing here\n")
    assert_matches("ca.pem holds no certificate", ask(1, "https", ca_file=str(empty)))
