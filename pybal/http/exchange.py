"""One request over HTTP and its answer, on a bare socket: thousands of checks are each one.

No endpoint, factory and wrapping protocol stands between the socket and the reader of the answer
(pybal/http/response_reader.py): that is cheap.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybal.errors import HTTPFetchError, HTTPLocalFaultError, describe_os_error, is_local_fault
from pybal.http.connecting import Connecting
from pybal.http.head import BadResponseError
from pybal.http.port import HostLookUp, HTTPRequest, HTTPResponse
from pybal.http.request import Target, request_head
from pybal.http.response_reader import ResponseReader
from pybal.model import IPAddress
from pybal.net.addresses import endpoint
from pybal.net.answer_time import AnswerTime
from pybal.net.port import Channel, Network, TCPEvents
from pybal.net.url_text import without_secrets


class Exchange:
    """One request and its answer; lets go of the connection as soon as that is complete. What TLS
    does otherwise is in pybal/http/tls_exchange.py."""

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
        self._began_at = 0.0
        self._time: AnswerTime | None = None

    def start(self, names: HostLookUp) -> Deferred[HTTPResponse]:
        """Connect and go; the result is HTTPClient.fetch's."""
        answer: Deferred[HTTPResponse] = Deferred(self._cancelled)
        self._answer = answer
        self._began_at = self._clock.seconds()
        self._time = AnswerTime(self._clock, self._request.timeout_s, self._timed_out)
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
            channel = self._network.connect_tcp(peer, self._port, events, source=source)
        except OSError as error:
            self._on_closed(error)
        else:
            self._goes_by(channel)

    def _goes_by(self, channel: Channel) -> None:
        self._channel = channel
        if self._time is not None:
            self._time.goes_by(channel)

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
        self._goes_by(channel)
        self._on_connected()

    def _not_found(self, failure: Failure) -> None:
        self._looking_up = None
        self._fail(f"cannot connect: {failure.getErrorMessage()}")

    def _not_connected(self, why: str, local_fault: OSError | None) -> None:
        self._fail(f"cannot connect: {why}", local_fault)

    # -- what the socket tells --------------------------------------------------------------

    def _on_connected(self) -> None:
        self._is_connected = True
        self._send_head(self._send)

    def _send_head(self, send: Callable[[bytes], object]) -> None:
        if self._trace is not None:
            self._trace.sent(self._head)
        send(self._head)

    def _on_received(self, data: bytes) -> None:
        self._feed(data)

    def _on_closed(self, error: OSError | None) -> None:
        if not self._is_connected and error is not None:
            self._not_connected(describe_os_error(error), error if is_local_fault(error) else None)
        else:
            self._ended(self._cut_off(error))

    def _cut_off(self, error: OSError | None) -> str:
        """What a connection that the other side has closed says of the answer."""
        return "" if error is None else describe_os_error(error)

    def _send(self, data: bytes) -> None:
        try:
            if self._channel is not None:
                self._channel.send(data)
        except OSError as error:
            if is_local_fault(error):
                self._fail(f"cannot send: {describe_os_error(error)}", error)
            else:
                self._ended(self._cut_off(error))

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
        try:
            self._reader.end(clean=not why)
        except BadResponseError as error:
            self._fail(f"{error} ({why})" if why else str(error))
        else:
            self._deliver()

    def _deliver(self) -> None:
        response = self._reader.response
        if response is not None:
            response = self._completed(response)._replace(waited_s=self._waited_s())
            answer = self._let_go()
            if answer is not None:
                answer.callback(response)

    def _completed(self, response: HTTPResponse) -> HTTPResponse:
        """With what the connection alone can tell."""
        return response

    def _fail(self, what: str, local_fault: OSError | None = None) -> None:
        waited_s = self._waited_s()
        answer = self._let_go()
        if answer is None:
            return  # who asked has cancelled it
        host = self._target.host if self._peer is None else str(self._peer)
        what = f"{endpoint(host, self._port)}: {what}"
        elapsed_s = max(0.0, self._clock.seconds() - self._began_at - waited_s)
        url = without_secrets(self._request.url)
        text = f"{self._request.method} {url} of {what} ({elapsed_s:.3f} s)"
        if local_fault is None:
            answer.errback(HTTPFetchError(text, what, waited_s))
        else:
            answer.errback(HTTPLocalFaultError(text, local_fault))

    def _waited_s(self) -> float:
        return 0.0 if self._time is None else self._time.waited_s()

    def _timed_out(self) -> None:
        self._fail(f"timed out{self._how_far()}")

    def _how_far(self) -> str:
        if self._looking_up is not None:
            return ", its address is not known yet"
        if not self._is_connected:
            return ", not connected"
        if not self._reader.bytes_received:
            return ", connected but nothing received"
        return f" {self._reader.progress()}"

    def _cancelled(self, _: Deferred[HTTPResponse]) -> None:
        self._let_go()

    def _let_go(self) -> Deferred[HTTPResponse] | None:
        """Close everything; who waits for the answer, if somebody still does."""
        answer, self._answer = self._answer, None
        # One that is over would keep us, and we it.
        if self._time is not None:
            self._time.end()
            self._time = None
        looking_up, self._looking_up = self._looking_up, None
        if looking_up is not None:
            looking_up.cancel()
        if self._connecting is not None:
            self._connecting.close()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        return answer


@lru_cache(maxsize=1024)
def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
