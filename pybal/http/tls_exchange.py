"""One request over TLS, which is OpenSSL's in memory.

Loaded where a configuration speaks TLS (daemon/on_demand.py): OpenSSL, cryptography and what they
bring are a fifth of a small daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred

from pybal.http.exchange import Exchange
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.http.request import Target
from pybal.model import IPAddress
from pybal.net.port import Network
from pybal.net.tls import (
    CertificateNameError,
    TLSConnections,
    certificate_expiry,
    handshake_text,
    tls_facts,
    verify_name,
)
from pybal.runtime.files_port import Files

# Room for a whole record of TLS (RFC 8446 section 5.2), which is made anew for each reading.
_RECORD_BYTES = 16384 + 256 + 5


def exchanges_over_tls(
    *, post_quantum: bool, files: Files
) -> Callable[[Any, Network, HTTPRequest, Target], Exchange]:
    """What makes them, with contexts of its own. It raises TLSSetupError."""
    connections = TLSConnections(post_quantum=post_quantum, files=files)
    return partial(TLSExchange, connections)


class TLSExchange(Exchange):
    """An Exchange over TLS; the certificate must be as the request says. Raises TLSSetupError."""

    def __init__(
        self,
        connections: TLSConnections,
        clock: Any,
        network: Network,
        request: HTTPRequest,
        target: Target,
    ) -> None:
        super().__init__(clock, network, request, target)
        name, verify = request.server_name or target.host, request.tls_verify
        self._verified_name = name if verify else None
        self._new_tls = partial(
            connections.connection, name, verify=verify, ca_file=request.ca_file
        )
        self._begin_tls()

    def _begin_tls(self) -> None:
        self._tls: SSL.Connection | None = self._new_tls()
        self._handshaken = False
        resumption = self._request.resumption
        self._resumes = resumption is not None and resumption.offer(self._tls)

    # -- what the socket tells --------------------------------------------------------------

    def _on_connected(self) -> None:
        self._is_connected = True
        self._pump(b"")

    def _on_received(self, data: bytes) -> None:
        self._pump(data)

    def _cut_off(self, error: OSError | None) -> str:
        """Without TLS's own end no close is a clean one."""
        return super()._cut_off(error) or "cut off"

    def _pump(self, data: bytes) -> None:
        """Give OpenSSL what came, and take from it what it has for either side."""
        tls = self._tls
        if tls is None:
            return
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
            why = f"TLS: {handshake_text(tls, error)}"
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

    def _ended(self, why: str) -> None:
        if self._answer is None:
            return
        if self._resumes and not self._reader.bytes_received and self._peer is not None:
            self._shake_hands_in_full(self._peer)
        elif not self._handshaken:
            self._fail(f"connection closed in the TLS handshake{f' ({why})' if why else ''}")
        else:
            super()._ended(why)

    def _completed(self, response: HTTPResponse) -> HTTPResponse:
        if self._tls is not None:
            if self._request.wants_certificate:
                expires_at = certificate_expiry(self._tls.get_peer_certificate())
                response = response._replace(certificate_expires_at=expires_at)
            if self._request.resumption is not None:
                self._request.resumption.keep(self._tls)
        return response

    def _timed_out(self) -> None:
        if self._resumes and not self._reader.bytes_received and self._is_connected:
            self._say_refused()
        super()._timed_out()

    def _how_far(self) -> str:
        if self._is_connected and not self._handshaken:
            return " in the TLS handshake"
        return super()._how_far()

    def _let_go(self) -> Deferred[HTTPResponse] | None:
        answer = super()._let_go()
        # Twisted's own cycles keep this object until it is searched for; OpenSSL's are large.
        self._tls = None
        return answer
