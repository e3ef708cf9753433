"""The bounded HTTP client on Twisted: one connection for each request, nothing kept.

Not on twisted.web's Agent: it keeps header lines without limit, in time quadratic in their number,
and takes a body without length that a reset cut off for a whole one. Here are connections, TLS
and time; the answers are read by pybal.http1, which is pure and bounded.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, fail
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

from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.http1 import BadResponseError, ResponseReader
from pybal.httpclient import HTTPRequest, HTTPResponse
from pybal.model import IPAddress
from pybal.monitors.network import is_local_fault
from pybal.tls import TLSCreators, TLSSetupError, tls_endpoint

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
        """See HTTPClient. A request that cannot be sent fails at once, also with HTTPFetchError."""
        try:
            target = parse_url(request.url)
            head = request_head(request, target)
            endpoint = self._endpoint(request, target)
        except (ValueError, TLSSetupError) as error:
            return fail(HTTPFetchError(f"GET {without_user(request.url)!r}: {error}"))
        return _Exchange(self._reactor, request, target, head).start(endpoint)

    def _endpoint(self, request: HTTPRequest, target: _Target) -> Any:
        endpoint = self._tcp_endpoint(request, target)
        if not target.tls:
            return endpoint
        creator = self._tls.creator(target.host, verify=request.tls_verify, ca_file=request.ca_file)
        return tls_endpoint(creator, endpoint, self._reactor)

    def _tcp_endpoint(self, request: HTTPRequest, target: _Target) -> Any:
        timeout_s = request.timeout_s
        address, port = request.connect_to or (_address(target.host), target.port)
        if address is None:
            return HostnameEndpoint(self._reactor, target.host, port, timeout=timeout_s)
        if address.version == 4:
            return TCP4ClientEndpoint(self._reactor, str(address), port, timeout=timeout_s)
        tcp6: Any = TCP6ClientEndpoint  # untyped in Twisted
        return tcp6(self._reactor, str(address), port, timeout=timeout_s)


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
        self._reader = ResponseReader(request.max_bytes, truncate=request.truncate)
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
        if self._connected and not self._reader.cut:
            self._connection.loseConnection()
        else:
            self._abort()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.callback(response)

    def _fail(self, what: str, error: Callable[[str], HTTPFetchError] = HTTPFetchError) -> None:
        answer, self._answer = self._answer, None
        elapsed_s = self._reactor.seconds() - self._started_at
        peer = self._peer()
        self._abort()
        if answer is not None:
            text = f"GET {self._request.url} of {peer}: {what} ({elapsed_s:.3f} s)"
            answer.errback(error(text))

    def _connect_failed(self, failure: Failure) -> None:
        self._connecting = None
        if self._answer is None:
            return
        self._stop_clock()
        what = f"cannot connect: {_connect_error(failure)}"
        fault = _local_fault(failure)
        if fault is None:
            self._fail(what)
        else:
            self._fail(what, lambda text: HTTPLocalFaultError(text, fault))

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
            return f"the certificate is not valid for {self._target.host}"
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
    lines = [f"GET {target.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _address(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connect_error(failure: Failure) -> str:
    error = failure.value
    if isinstance(error, CancelledError):
        return "cancelled"
    if isinstance(error, ConnectError) and error.osError is not None:
        return str(getattr(error.osError, "strerror", None) or error)
    return failure.getErrorMessage() or type(error).__name__


def _local_fault(failure: Failure) -> OSError | None:
    """The error, if it is this director that is at fault."""
    code = getattr(failure.value, "osError", None)
    fault = code if isinstance(code, OSError) else OSError(code, "")
    return fault if is_local_fault(fault) else None


def ssl_text(error: SSL.Error) -> str:
    """OpenSSL's own words out of its list of (library, function, reason)."""
    if error.args and isinstance(error.args[0], list):
        reasons = [str(entry[-1]) for entry in error.args[0] if entry]
        if reasons:
            return ", ".join(reasons)
    return str(error) or type(error).__name__
