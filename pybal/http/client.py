"""The bounded HTTP client on bare sockets: for thousands of checks, each one connection.

No endpoint, factory and wrapping protocol stands between a socket and the reader of the answer
(pybal/http/response_reader.py), and TLS is OpenSSL's in memory: that is cheap. Not on twisted.web's
Agent, which keeps header lines without limit, in time quadratic in their number, and takes a body
without length that a reset cut off for a whole one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from pybal.errors import HTTPFetchError, HTTPLocalFaultError, describe_os_error, is_local_fault
from pybal.http.connecting import Connecting
from pybal.http.head import BadResponseError
from pybal.http.port import HostLookUp, HTTPRequest, HTTPResponse
from pybal.http.request import Target, parse_url, request_head
from pybal.http.response_reader import ResponseReader
from pybal.model import IPAddress
from pybal.net.addresses import endpoint
from pybal.net.port import Channel, Network, TCPEvents
from pybal.net.tls import (
    CertificateNameError,
    TLSConnections,
    TLSSetupError,
    certificate_expiry,
    ssl_text,
    tls_facts,
    verify_name,
)
from pybal.net.url_text import without_secrets

# Room for a whole record of TLS (RFC 8446 section 5.2), which is made anew for each reading.
_RECORD_BYTES = 16384 + 256 + 5


class BoundedHTTPClient:
    """HTTPClient on an injected network and clock (IReactorTime); `names` finds the hosts of
    requests without `connect_to`. `post_quantum`: see TLSConnections."""

    def __init__(
        self, clock: Any, network: Network, names: HostLookUp, *, post_quantum: bool = True
    ) -> None:
        self._clock = clock
        self._network = network
        self._names = names
        self._tls = TLSConnections(post_quantum=post_quantum)

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        """See HTTPClient. A request that cannot be sent fails at once, as our own fault."""
        try:
            target = parse_url(request.url)
            exchange = _Exchange(self._clock, self._network, request, target)
            if target.tls:
                exchange.speak_tls(self._tls)
        except (ValueError, TLSSetupError) as error:
            text = f"{request.method} {without_secrets(request.url)!r}: {error}"
            return fail(HTTPLocalFaultError(text))
        return exchange.start(self._names)


class _Exchange:
    """One request and its answer; lets go of the connection as soon as that is complete."""

    def __init__(self, clock: Any, network: Network, request: HTTPRequest, target: Target) -> None:
        self._clock = clock
        self._trace = request.trace
        self._request = request
        self._target = target
        self._head = request_head(request, target)
        self._reader = ResponseReader(
            request.max_bytes,
            method=request.method,
            truncate=request.truncate,
            lenient=request.lenient,
        )
        self._network = network
        self._connecting: Connecting | None = None
        self._is_connected = False
        self._answer: Deferred[HTTPResponse] | None = None
        self._looking_up: Deferred[Any] | None = None
        self._peer: IPAddress | None = None
        self._port = target.port
        self._channel: Channel | None = None
        self._tls: SSL.Connection | None = None
        self._new_tls: Callable[[], SSL.Connection]
        self._verified_name: str | None = None
        self._handshaken = True
        self._resumes = False
        self._began_at = 0.0

    def speak_tls(self, connections: TLSConnections) -> None:
        """The connection is to be encrypted, and the certificate to be as the request says; call
        before start(). Raises TLSSetupError."""
        request = self._request
        name, verify = request.server_name or self._target.host, request.tls_verify
        self._verified_name = name if verify else None
        self._new_tls = partial(
            connections.connection, name, verify=verify, ca_file=request.ca_file
        )
        self._begin_tls()

    def _begin_tls(self) -> None:
        self._tls = self._new_tls()
        self._handshaken = False
        resumption = self._request.resumption
        self._resumes = resumption is not None and resumption.offer(self._tls)

    def start(self, names: HostLookUp) -> Deferred[HTTPResponse]:
        """Connect and go; the result is HTTPClient.fetch's."""
        answer: Deferred[HTTPResponse] = Deferred(self._cancelled)
        self._answer = answer
        self._began_at = self._clock.seconds()
        self._deadline = self._clock.callLater(self._request.timeout_s, self._timed_out)
        if self._request.connect_to is not None:
            self._peer, self._port = self._request.connect_to
        else:
            self._peer = _literal(self._target.host)
        if self._peer is not None:
            self._connect_to(self._peer)
        else:
            self._looking_up = looking_up = names.look_up(self._target.host)
            looking_up.addCallbacks(self._found, self._not_found)
        return answer

    # -- connecting -------------------------------------------------------------------------

    def _connect_to(self, peer: IPAddress) -> None:
        """One address needs no Connecting: of that kind there are thousands of checks."""
        events = TCPEvents(self._on_connected, self._on_received, self._on_closed)
        source = self._request.source
        try:
            self._channel = self._network.connect_tcp(peer, self._port, events, source=source)
        except OSError as error:
            self._on_closed(error)

    def _found(self, addresses: Sequence[IPAddress]) -> None:
        self._looking_up = None
        if self._answer is not None:
            self._connecting = Connecting(
                self._clock,
                self._network,
                connected=self._connected_to,
                failed=self._not_connected,
                received=self._on_received,
                closed=self._on_closed,
            )
            self._connecting.start(addresses, self._port, self._request.source)

    def _connected_to(self, peer: IPAddress, channel: Channel) -> None:
        self._peer = peer
        self._channel = channel
        self._on_connected()

    def _not_found(self, failure: Failure) -> None:
        self._looking_up = None
        self._fail(f"cannot connect: {failure.getErrorMessage()}")

    def _not_connected(self, why: str, local_fault: OSError | None) -> None:
        self._fail(f"cannot connect: {why}", local_fault)

    # -- what the socket tells --------------------------------------------------------------

    def _on_connected(self) -> None:
        self._is_connected = True
        if self._tls is not None:
            self._pump(self._tls, b"")
        else:
            self._send_head(self._send)

    def _send_head(self, send: Callable[[bytes], object]) -> None:
        if self._trace is not None:
            self._trace.sent(self._head)
        send(self._head)

    def _on_received(self, data: bytes) -> None:
        if self._tls is not None:
            self._pump(self._tls, data)
        else:
            self._feed(data)

    def _on_closed(self, error: OSError | None) -> None:
        if not self._is_connected and error is not None:
            self._not_connected(describe_os_error(error), error if is_local_fault(error) else None)
        elif self._tls is not None:
            self._ended("cut off")
        else:
            self._ended("reset" if error is not None else "")

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
        why: str | None = None
        try:
            if not self._handshaken:
                self._shake_hands(tls)
            while self._answer is not None:
                self._feed(tls.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            why = ""
        except SSL.Error as error:
            why = f"TLS: {ssl_text(error)}"
        except CertificateNameError as error:
            why = str(error)
        self._flush(tls)
        if why is not None and tls is self._tls:
            self._ended(why)

    def _shake_hands(self, tls: SSL.Connection) -> None:
        tls.do_handshake()
        if self._trace is not None:
            self._trace.shaken_hands(tls_facts(tls))
        if self._verified_name is not None:
            verify_name(tls, self._verified_name)
        self._handshaken = True
        self._send_head(tls.send)

    def _flush(self, tls: SSL.Connection) -> None:
        while self._channel is not None and tls is self._tls:
            try:
                data = tls.bio_read(_RECORD_BYTES)
            except SSL.Error:
                return
            self._send(data)
            if len(data) < _RECORD_BYTES:
                return

    def _shake_hands_in_full(self, peer: IPAddress) -> None:
        """Once more, from the connection on: no server is down for a session that it could have
        declined. (In TLS 1.3 our side of the handshake is over before the server has seen all.)"""
        self._say_refused()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        self._is_connected = False
        self._begin_tls()
        self._connect_to(peer)

    def _say_refused(self) -> None:
        if self._request.resumption is not None:
            self._request.resumption.refused()

    # -- the end --------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if self._answer is None:
            return
        if self._trace is not None:
            self._trace.received(data)
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
        if self._resumes and not self._reader.bytes_received and self._peer is not None:
            self._shake_hands_in_full(self._peer)
            return
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
                if self._request.wants_certificate:
                    expires_at = certificate_expiry(self._tls.get_peer_certificate())
                    response = replace(response, certificate_expires_at=expires_at)
                if self._request.resumption is not None:
                    self._request.resumption.keep(self._tls)
            answer = self._let_go()
            if answer is not None:
                answer.callback(response)

    def _fail(self, what: str, local_fault: OSError | None = None) -> None:
        answer = self._let_go()
        if answer is None:
            return  # who asked has cancelled it
        host = self._target.host if self._peer is None else str(self._peer)
        what = f"{endpoint(host, self._port)}: {what}"
        elapsed_s = self._clock.seconds() - self._began_at
        url = without_secrets(self._request.url)
        text = f"{self._request.method} {url} of {what} ({elapsed_s:.3f} s)"
        if local_fault is None:
            answer.errback(HTTPFetchError(text, what))
        else:
            answer.errback(HTTPLocalFaultError(text, local_fault))

    def _timed_out(self) -> None:
        if self._resumes and not self._reader.bytes_received and self._is_connected:
            self._say_refused()
        if self._looking_up is not None:
            what = "timed out, its address is not known yet"
        elif not self._is_connected:
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
        looking_up, self._looking_up = self._looking_up, None
        if looking_up is not None:
            looking_up.cancel()
        if self._connecting is not None:
            self._connecting.close()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        # Twisted's own cycles keep this object until it is searched for; OpenSSL's are large.
        self._tls = None
        return answer


@lru_cache(maxsize=1024)
def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
