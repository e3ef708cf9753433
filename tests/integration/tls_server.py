"""A TLS server in a thread that notes which handshakes were full ones."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tests.integration.certificates import Certificate

_PRE_SHARED_KEY = 41
ANSWER = b"HTTP/1.1 %d x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def server_context(
    certificate: Certificate, version: ssl.TLSVersion, curve: str | None = None
) -> ssl.SSLContext:
    """Of one version of TLS, with keys for tickets of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(certificate.certificate, certificate.key)
    if curve is not None:
        context.set_ecdh_curve(curve)
    return context


class TLSServer:
    """Answers each connection once; `resumed` has what each handshake was."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.status = 200
        self.breaks_at_session = False
        self.drops_resumed = False
        self.ignores_resumed = False
        self.resumed: list[bool] = []
        self.broken = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(2)
            try:
                self._answer(connection)
            except OSError:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        if self.breaks_at_session and _offers_session(connection):
            self.broken += 1
            connection.close()
            return
        with self.context.wrap_socket(connection, server_side=True) as tls:
            resumed = bool(tls.session_reused)
            if self.drops_resumed and resumed:
                self.broken += 1
                return
            if self.ignores_resumed and resumed:
                self.broken += 1
                tls.recv(4096)
                tls.recv(4096)
                return
            tls.recv(4096)
            self.resumed.append(resumed)
            tls.sendall(ANSWER % self.status)


def _offers_session(connection: socket.socket) -> bool:
    """Whether a ClientHello holds a session of TLS 1.3, whose extension is the last one."""
    hello = b""
    while len(hello) < 5 or len(hello) < 5 + int.from_bytes(hello[3:5], "big"):
        hello = connection.recv(16384, socket.MSG_PEEK)
        if not hello:
            raise OSError("closed")
    return any(kind == _PRE_SHARED_KEY for kind, _ in extensions(hello))


def extensions(hello: bytes) -> Iterator[tuple[int, bytes]]:
    """Of a record that is a ClientHello (RFC 8446 section 4.1.2): their kinds and contents."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    at += 2
    while at + 4 <= len(hello):
        kind, size = (int.from_bytes(hello[i : i + 2], "big") for i in (at, at + 2))
        yield kind, hello[at + 4 : at + 4 + size]
        at += 4 + size


@contextmanager
def tls_server(
    certificate: Certificate, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[TLSServer]:
    """One that runs."""
    with TLSServer(server_context(certificate, version)) as server:
        yield server
