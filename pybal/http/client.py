"""The bounded HTTP client on bare sockets: for thousands of checks, each one connection.

The same port and the same words as pybal/http/twistedhttp.py, for two thirds of the processor
time: no endpoint, factory and wrapping protocol stands between a socket and the reader of the
answer (pybal/http/response_reader.py), and TLS is OpenSSL's in memory. Most of what is left is
OpenSSL's and h11's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail

from pybal.errors import HTTPFetchError, HTTPLocalFaultError, describe_os_error, is_local_fault
from pybal.http.port import HTTPClient, HTTPRequest, HTTPResponse
from pybal.http.response_reader import BadResponseError, ResponseReader
from pybal.http.twistedhttp import host_port, parse_url, request_head, ssl_text, without_user
from pybal.model import IPAddress
from pybal.net.port import Channel, Network, TCPEvents
from pybal.net.tls import TLSCreators, TLSSetupError, certificate_expiry

_RECORD_BYTES = 65536


class BareHTTPClient:
    """HTTPClient on an injected network and clock (IReactorTime). `full` does what this one does
    not: looks up names, and verifies certificates."""

    def __init__(self, clock: Any, network: Network, full: HTTPClient) -> None:
        self._clock = clock
        self._network = network
        self._full = full
        self._creators = TLSCreators()

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        """See HTTPClient. A fault of our own fails with HTTPLocalFaultError."""
        try:
            target = parse_url(request.url)
            if request.connect_to is None or (target.tls and request.tls_verify):
                return self._full.fetch(request)
            head = request_head(request, target)
            exchange = _Exchange(self._clock, request, request.connect_to, head)
            if target.tls:
                name = request.server_name or target.host
                exchange.speak_tls(self._creators.creator(name, verify=False, ca_file=None))
        except (ValueError, TLSSetupError) as error:
            text = f"{request.method} {without_user(request.url)!r}: {error}"
            return fail(HTTPLocalFaultError(text))
        return exchange.start(self._network)


class _Exchange:
    """One request and its answer; lets go of the connection as soon as that is complete."""

    def __init__(
        self, clock: Any, request: HTTPRequest, peer: tuple[IPAddress, int], head: bytes
    ) -> None:
        self._clock = clock
        self._request = request
        self._peer = peer
        self._head = head
        self._reader = ResponseReader(
            request.max_bytes, method=request.method, truncate=request.truncate
        )
        self._answer: Deferred[HTTPResponse] | None = None
        self._channel: Channel | None = None
        self._connected = False
        self._tls: SSL.Connection | None = None
        self._handshaken = True
        self._began_at = 0.0

    def speak_tls(self, creator: Any) -> None:
        """The connection is to be encrypted; call before start()."""
        self._tls = tls = creator.clientConnectionForTLS(self)
        tls.set_connect_state()
        self._handshaken = False

    def start(self, network: Network) -> Deferred[HTTPResponse]:
        """Connect and go; the result is HTTPClient.fetch's."""
        answer: Deferred[HTTPResponse] = Deferred(self._cancelled)
        self._answer = answer
        self._began_at = self._clock.seconds()
        self._deadline = self._clock.callLater(self._request.timeout_s, self._timed_out)
        events = TCPEvents(self._on_connected, self._on_received, self._on_closed)
        try:
            self._channel = network.connect_tcp(*self._peer, events, source=self._request.source)
        except OSError as error:
            self._not_connected(error)
        return answer

    # -- what the socket tells --------------------------------------------------------------

    def _on_connected(self) -> None:
        self._connected = True
        if self._tls is not None:
            self._pump(self._tls, b"")
        else:
            self._send(self._head)

    def _on_received(self, data: bytes) -> None:
        if self._tls is not None:
            self._pump(self._tls, data)
        else:
            self._feed(data)

    def _on_closed(self, error: OSError | None) -> None:
        if not self._connected and error is not None:
            self._not_connected(error)
        elif self._tls is not None:
            self._ended("cut off")
        else:
            self._ended("reset" if error is not None else "")

    def _not_connected(self, error: OSError) -> None:
        self._fail(
            f"cannot connect: {describe_os_error(error)}", error if is_local_fault(error) else None
        )

    def _send(self, data: bytes) -> None:
        try:
            if self._channel is not None:
                self._channel.send(data)
        except OSError:
            self._ended("cut off" if self._tls is not None else "reset")

    # -- TLS ----------------------------------------------------------------------------------

    def _pump(self, tls: SSL.Connection, data: bytes) -> None:
        """Give OpenSSL what came, and take from it what it has for either side."""
        if data:
            tls.bio_write(data)
        why = ""
        try:
            if not self._handshaken:
                tls.do_handshake()
                self._handshaken = True
                tls.send(self._head)
            while self._answer is not None:
                self._feed(tls.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._ended("")
        except SSL.Error as error:
            why = f"TLS: {ssl_text(error)}"
        self._flush(tls)
        if why:
            self._ended(why)

    def _flush(self, tls: SSL.Connection) -> None:
        while self._channel is not None:
            try:
                data = tls.bio_read(_RECORD_BYTES)
            except SSL.Error:
                return
            self._send(data)

    # -- the end --------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if self._answer is None:
            return
        try:
            self._reader.feed(data)
        except BadResponseError as error:
            self._fail(str(error))
            return
        self._deliver()

    def _ended(self, why: str) -> None:
        """The connection is at its end; `why` it is no clean one, if it is not."""
        if self._answer is None:
            return
        cause = f" ({why})" if why else ""
        if not self._handshaken:
            self._fail(f"connection closed in the TLS handshake{cause}")
            return
        try:
            self._reader.end(clean=not why)
        except BadResponseError as error:
            self._fail(f"{error}{cause}")
        else:
            self._deliver()

    def _deliver(self) -> None:
        response = self._reader.response
        if response is not None:
            if self._tls is not None:
                expires_at = certificate_expiry(self._tls.get_peer_certificate())
                response = replace(response, certificate_expires_at=expires_at)
            answer = self._let_go()
            if answer is not None:
                answer.callback(response)

    def _fail(self, what: str, local_fault: OSError | None = None) -> None:
        answer = self._let_go()
        if answer is None:
            return
        what = f"{host_port(str(self._peer[0]), self._peer[1])}: {what}"
        elapsed_s = self._clock.seconds() - self._began_at
        text = f"{self._request.method} {self._request.url} of {what} ({elapsed_s:.3f} s)"
        if local_fault is None:
            answer.errback(HTTPFetchError(text, what))
        else:
            answer.errback(HTTPLocalFaultError(text, local_fault))

    def _timed_out(self) -> None:
        if not self._connected:
            what = "timed out, not connected"
        elif not self._handshaken:
            what = "timed out in the TLS handshake"
        elif not self._reader.bytes_received:
            what = "timed out, connected but nothing received"
        else:
            what = f"timed out {self._reader.progress()}"
        self._fail(what)

    def _cancelled(self, _: Deferred[HTTPResponse]) -> None:
        self._let_go()

    def _let_go(self) -> Deferred[HTTPResponse] | None:
        """Close everything; who waits for the answer, if somebody still does."""
        answer, self._answer = self._answer, None
        if self._deadline.active():
            self._deadline.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        # Twisted's own cycles keep this object until it is searched for; OpenSSL's are large.
        self._tls = None
        return answer
