"""The bounded HTTP client on Twisted: one connection for each request, nothing kept.

Not on twisted.web's Agent: it keeps header lines without limit, in time quadratic in their number,
and takes a body without length that a reset cut off for a whole one. Here are connections, TLS
and time; the answers are read by pybal.http1, which is pure and bounded.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from pybal.errors import HTTPFetchError, HTTPLocalFaultError, describe_os_error, is_local_fault
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.http.response_reader import BadResponseError, ResponseReader
from pybal.model import IPAddress
from pybal.net.tls import TLSCreators, TLSEndpoint, TLSSetupError, certificate_expiry

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart; `host` has no brackets, `authority` is the Host header's value."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str


def without_user(url: str) -> str:
    """The URL as it may be shown: without a user name and password."""
    return re.sub(r"//[^/?#]*@", "//", url)


class TwistedHTTPClient:
    """HTTPClient on an injected reactor (IReactorTCP, IReactorTime and, for URLs whose host is
    a name and without `connect_to`, IReactorPluggableNameResolver)."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._tls = TLSCreators()

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        """See HTTPClient. A request that cannot be sent fails at once, as our own fault."""
        try:
            target = parse_url(request.url)
            head = request_head(request, target)
            endpoint = self._endpoint(request, target)
        except (ValueError, TLSSetupError) as error:
            text = f"{request.method} {without_user(request.url)!r}: {error}"
            return fail(HTTPLocalFaultError(text))
        return _Exchange(self._reactor, request, target, head).start(endpoint)

    def _endpoint(self, request: HTTPRequest, target: _Target) -> Any:
        endpoint = self._tcp_endpoint(request, target)
        if not target.tls:
            return endpoint
        name = request.server_name or target.host
        creator = self._tls.creator(name, verify=request.tls_verify, ca_file=request.ca_file)
        return TLSEndpoint(creator, endpoint, self._reactor)

    def _tcp_endpoint(self, request: HTTPRequest, target: _Target) -> Any:
        address, port = request.connect_to or (_address(target.host), target.port)
        kind: Any = HostnameEndpoint
        if address is not None:
            kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
        return kind(
            self._reactor,
            target.host if address is None else str(address),
            port,
            timeout=request.timeout_s,
            bindAddress=None if request.source is None else (str(request.source), 0),
        )


@implementer(IHandshakeListener)
class _Exchange(Protocol):
    """One request and its answer, from connecting to the connection's end.

    The deadline outlives the answer until the connection is gone, since a TLS peer may
    withhold its half of the closing.
    """

    def __init__(self, reactor: Any, request: HTTPRequest, target: _Target, head: bytes) -> None:
        self._reactor = reactor
        self._request = request
        self._target = target
        self._head = head
        self._reader = ResponseReader(
            request.max_bytes, method=request.method, truncate=request.truncate
        )
        self._answer: Deferred[HTTPResponse] | None = None
        self._connecting: Deferred[Any] | None = None
        self._connected = False
        self._handshaken = not target.tls

    def start(self, endpoint: Any) -> Deferred[HTTPResponse]:
        """Connect and go; the result is HTTPClient.fetch's."""
        answer: Deferred[HTTPResponse] = Deferred(self._cancelled)
        self._answer = answer
        self._started_at = self._reactor.seconds()
        self._deadline = self._reactor.callLater(self._request.timeout_s, self._timed_out)
        self._connecting = endpoint.connect(_QuietFactory.forProtocol(lambda: self))
        self._connecting.addErrback(self._connect_failed)
        return answer

    def connectionMade(self) -> None:
        self._connected = True
        if self._answer is None:
            self._abort()
            return
        self._connection.write(self._head)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """IHandshakeListener: TLS stands."""
        self._handshaken = True

    def dataReceived(self, data: bytes) -> None:
        if self._answer is None:
            return
        try:
            self._reader.feed(data)
        except BadResponseError as error:
            self._fail(str(error))
            return
        self._deliver()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._connected = False
        if self._answer is not None:
            self._ended(reason)
        self._stop_clock()

    def _ended(self, reason: Failure | None) -> None:
        clean = reason is None or isinstance(reason.value, ConnectionDone)
        try:
            self._reader.end(clean=clean)
        except BadResponseError as error:
            cause = "" if clean or reason is None else f" ({self._lost(reason)})"
            if self._handshaken:
                self._fail(f"{error}{cause}")
            else:
                self._fail(f"connection closed in the TLS handshake{cause}")
        else:
            self._deliver()

    def _deliver(self) -> None:
        response = self._reader.response
        if response is None:
            return
        if self._target.tls:
            expires_at = certificate_expiry(self._connection.getPeerCertificate())
            response = replace(response, certificate_expires_at=expires_at)
        if self._connected and not self._reader.cut:
            self._connection.loseConnection()
        else:
            self._abort()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.callback(response)

    def _fail(self, what: str, local_fault: OSError | None = None) -> None:
        answer, self._answer = self._answer, None
        elapsed_s = self._reactor.seconds() - self._started_at
        what = f"{self._peer()}: {what}"
        self._abort()
        if answer is None:
            return
        text = f"{self._request.method} {self._request.url} of {what} ({elapsed_s:.3f} s)"
        if local_fault is None:
            answer.errback(HTTPFetchError(text, what))
        else:
            answer.errback(HTTPLocalFaultError(text, local_fault))

    def _connect_failed(self, failure: Failure) -> None:
        self._connecting = None
        if self._answer is None:
            return
        self._stop_clock()
        error = _os_error(failure.value)
        if error is None:
            what = failure.getErrorMessage() or type(failure.value).__name__
        else:
            what = describe_os_error(error)
        is_ours = error is not None and is_local_fault(error)
        self._fail(f"cannot connect: {what}", error if is_ours else None)

    def _timed_out(self) -> None:
        if self._answer is None:
            self._abort()
        elif not self._connected:
            self._fail("timed out, not connected")
        elif not self._handshaken:
            self._fail("timed out in the TLS handshake")
        elif not self._reader.bytes_received:
            self._fail("timed out, connected but nothing received")
        else:
            self._fail(f"timed out {self._reader.progress()}")

    def _cancelled(self, _: Deferred[HTTPResponse]) -> None:
        self._answer = None
        self._abort()

    def _abort(self) -> None:
        """Let go of the connection, made or in the making, at once."""
        self._stop_clock()
        if self._connected:
            self._connection.abortConnection()
        elif self._connecting is not None:
            connecting, self._connecting = self._connecting, None
            connecting.cancel()

    def _stop_clock(self) -> None:
        if self._deadline.active():
            self._deadline.cancel()

    def _peer(self) -> str:
        if self._connected:
            host = self._connection.getPeer()
            return host_port(str(host.host), host.port)
        if self._request.connect_to is not None:
            address, port = self._request.connect_to
            return host_port(str(address), port)
        return host_port(self._target.host, self._target.port)

    def _lost(self, reason: Failure) -> str:
        error = reason.value
        if isinstance(error, VerificationError):
            name = self._request.server_name or self._target.host
            return f"the certificate is not valid for {name}"
        if isinstance(error, SSL.Error):
            return f"TLS: {ssl_text(error)}"
        if isinstance(error, ConnectionLost):
            return "cut off" if self._target.tls else "reset"
        return reason.getErrorMessage()

    @property
    def _connection(self) -> Any:
        # ITransport lacks abortConnection, which TCP and TLS transports both have.
        return self.transport


class _QuietFactory(Factory):
    noisy = False


@lru_cache(maxsize=1024)
def parse_url(url: str) -> _Target:
    if not _VISIBLE.fullmatch(url):
        raise ValueError("the URL holds a character that is not visible ASCII")
    parts = urlsplit(url)
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if default_port is None:
        raise ValueError("neither an http nor an https URL")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if parts.username is not None:
        raise ValueError("a user name in the URL is not supported")
    port = parts.port if parts.port is not None else default_port
    host = parts.hostname
    bracketed = f"[{host}]" if ":" in host else host
    return _Target(
        tls=parts.scheme == "https",
        host=host,
        port=port,
        authority=bracketed if port == default_port else f"{bracketed}:{port}",
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def request_head(request: HTTPRequest, target: _Target) -> bytes:
    headers = {"Host": target.authority, **request.headers, "Connection": "close"}
    for name, value in headers.items():
        if not _VISIBLE.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} holds a character that cannot be sent")
    lines = [f"{request.method} {target.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _address(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _os_error(error: BaseException | None) -> OSError | None:
    """The system's error within one of Twisted's, which carry an error or its number."""
    if isinstance(error, ConnectError):
        within: object = error.osError
        return OSError(within, os.strerror(within)) if isinstance(within, int) else _system(within)
    return _system(error)


def _system(error: object) -> OSError | None:
    return error if isinstance(error, OSError) and isinstance(error.errno, int) else None


def ssl_text(error: SSL.Error) -> str:
    """OpenSSL's own words out of its list of (library, function, reason)."""
    if error.args and isinstance(error.args[0], list):
        reasons = [str(entry[-1]) for entry in error.args[0] if entry]
        if reasons:
            return ", ".join(reasons)
    return str(error) or type(error).__name__
