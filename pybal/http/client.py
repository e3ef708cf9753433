"""The bounded HTTP client.

Not on twisted.web's Agent, which keeps header lines without limit, in time quadratic in their
number, and takes a body without length that a reset cut off for a whole one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from pybal.errors import HTTPLocalFaultError, SourceError
from pybal.http.exchange import Exchange
from pybal.http.port import HostLookUp, HTTPRequest, HTTPResponse
from pybal.http.request import Target, parse_url
from pybal.net.port import Network
from pybal.net.tls_facts import TLSSetupError
from pybal.net.url_text import without_secrets
from pybal.runtime.files_port import Files

MakeExchange = Callable[[Any, Network, HTTPRequest, Target], Exchange]


class BoundedHTTPClient:
    """HTTPClient on an injected network and clock (IReactorTime); `names` finds the hosts of
    requests without `connect_to`. `post_quantum` and `files`: see TLSConnections."""

    def __init__(
        self,
        clock: Any,
        network: Network,
        names: HostLookUp,
        *,
        post_quantum: bool = True,
        files: Files,
    ) -> None:
        self._clock = clock
        self._network = network
        self._names = names
        self._post_quantum = post_quantum
        self._files = files
        self._over_tls: MakeExchange | None = None

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        """See HTTPClient. A request that cannot be sent fails at once, as our own fault."""
        try:
            target = parse_url(request.url)
        except ValueError as error:
            return _not_sent(request, error)
        if request.ca_file is not None and target.tls and request.tls_verify:
            looking = self._files.first_look(Path(request.ca_file))
            if looking is not None:
                return looking.addCallbacks(
                    lambda _: self._send(request, target), partial(_unreadable, request)
                )
        return self._send(request, target)

    def _send(self, request: HTTPRequest, target: Target) -> Deferred[HTTPResponse]:
        try:
            make = self._encrypted() if target.tls else Exchange
            exchange = make(self._clock, self._network, request, target)
        except (ValueError, TLSSetupError) as error:
            return _not_sent(request, error)
        return exchange.start(self._names)

    def _encrypted(self) -> MakeExchange:
        if self._over_tls is None:
            # Loaded by now, with the first configuration that speaks TLS (daemon/on_demand.py).
            from pybal.http.tls_exchange import exchanges_over_tls

            self._over_tls = exchanges_over_tls(post_quantum=self._post_quantum, files=self._files)
        return self._over_tls


def _not_sent(request: HTTPRequest, why: object) -> Deferred[HTTPResponse]:
    text = f"{request.method} {without_secrets(request.url)!r}: {why}"
    return fail(HTTPLocalFaultError(text))


def _unreadable(request: HTTPRequest, failure: Failure) -> Deferred[HTTPResponse]:
    failure.trap(SourceError)
    return _not_sent(request, f"{request.ca_file}: {failure.value}")
