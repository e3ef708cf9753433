"""The port of the bounded HTTP client that sources and ProxyFetch share.

The adapter (BoundedHTTPClient) is pybal/http/client.py; the reader of the answers is
pybal/http/response_reader.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from pybal.model import IPAddress
from pybal.net.tls_facts import TLSFacts
from pybal.net.tls_resumption import TLSResumption


class HTTPTrace(Protocol):
    """Sees what passes in one exchange."""

    def shaken_hands(self, facts: TLSFacts) -> None:
        """TLS stands; the certificate may yet be refused for its name."""

    def sent(self, head: bytes) -> None:
        """This is asked."""

    def received(self, data: bytes) -> None:
        """A part of the answer."""


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """One GET or HEAD (`method`) of an absolute http(s) URL.

    `connect_to`: (address, port) to connect to in place of the URL's own; the Host header
    and SNI stay the URL's. Without it the URL's host is looked up, and each of its addresses
    tried. `source`: the address to connect from. `server_name`: the name for SNI and for which a
    certificate is verified, in place of the URL's host. `timeout_s` bounds the whole exchange,
    from the look-up to the body's end; `max_bytes` bounds every byte the server sends, header or
    body. Redirects are never followed.
    `trace` sees what passes. `resumption` has the session of the last such request to `connect_to`,
    and gets that of this one. `wants_certificate`: the answer tells when the server's ends.
    `truncate`: the status and the body's start are enough, so a body that would go over
    `max_bytes` is cut there and the answer counts as complete; headers beyond it stay an error.
    `lenient`: headers that cannot be read are passed over, but for what tells the body's end.
    """

    url: str
    timeout_s: float
    max_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_to: tuple[IPAddress, int] | None = None
    tls_verify: bool = True
    ca_file: str | None = None
    truncate: bool = False
    lenient: bool = False
    method: str = "GET"
    source: IPAddress | None = None
    server_name: str | None = None
    trace: HTTPTrace | None = None
    resumption: TLSResumption | None = field(default=None, compare=False)
    wants_certificate: bool = False


class HTTPResponse(NamedTuple):
    """A complete answer; header names are lower-case, the last of equal names wins.
    `certificate_expires_at`, in Unix seconds, if that was asked for: the server's own certificate,
    if it showed one. What came of it waited `waited_s` for its turn with us."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    certificate_expires_at: float | None = None
    waited_s: float = 0.0


class HostLookUp(Protocol):
    """Finds all addresses of a host, of both families, the best first. Fails with
    ResolutionError; can be cancelled."""

    def look_up(self, host: str) -> Deferred[tuple[IPAddress, ...]]:
        """One at least; a literal address is its own."""


class HTTPClient(Protocol):
    """Fetches one thing. Fires with HTTPResponse or fails with HTTPFetchError, whose text
    says what was asked, of whom, what came and how long it took; with HTTPLocalFaultError if it
    was our own fault. Cancelling the Deferred closes the
    connection; it then fails with CancelledError."""

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        """Ask, and read the answer to its end; all of it within the request's limits."""
