"""An HTTPClient whose servers are the test."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred

from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.http.port import HTTPRequest, HTTPResponse
from tests.fakes.network import os_error


class FakeExchange:
    """One request under way, until the test answers it or it is cancelled."""

    def __init__(self, request: HTTPRequest) -> None:
        self.request = request
        self.under_way = True
        self.result: Deferred[HTTPResponse] = Deferred(self._end)

    def answer(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        certificate_expires_at: float | None = None,
    ) -> None:
        """The server answers, and says how long its answer is."""
        self._end()
        named = {"content-length": str(len(body)), **(headers or {})}
        self.result.callback(HTTPResponse(status, named, body, certificate_expires_at))

    def answer_exactly(self, response: HTTPResponse) -> None:
        """The server answers with nothing but this."""
        self._end()
        self.result.callback(response)

    def fail(self, what: str) -> None:
        """There is no answer."""
        self._end()
        self.result.errback(HTTPFetchError(f"GET {self.request.url} of {what}", what))

    def fail_locally(self, code: int) -> None:
        """We had not what it takes."""
        self._end()
        error = os_error(code)
        self.result.errback(HTTPLocalFaultError(f"GET {self.request.url}: {error}", error))

    def _end(self, _: object = None) -> None:
        assert self.under_way
        self.under_way = False


class FakeHTTPClient:
    """Remembers all exchanges. While `error` is set, fetch() raises it."""

    def __init__(self) -> None:
        self.exchanges: list[FakeExchange] = []
        self.error: Exception | None = None

    @property
    def under_way(self) -> list[FakeExchange]:
        """The exchanges that wait for an answer."""
        return [exchange for exchange in self.exchanges if exchange.under_way]

    def fetch(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        if self.error is not None:
            raise self.error
        exchange = FakeExchange(request)
        self.exchanges.append(exchange)
        return exchange.result
