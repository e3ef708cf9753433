"""ProxyFetch through the real HTTP client, against a real web server on loopback."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from pybal.model import CheckResult
from pybal.monitors.proxyfetch import ProxyFetchSettings
from tests.integration.reactors import real_client, run_in_reactor
from tests.integration.real_monitors import Watched, took_s

pytestmark = pytest.mark.integration

URL = "http://en.example:8080/wiki/Main?x=1"


class Web(Resource):
    """Answers each request the same way, or never, and remembers what it was asked."""

    isLeaf = True

    def __init__(self, status: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Twisted's is not
        self.status = status
        self.asked: list[tuple[str, str | None, str | None]] = []

    def render_GET(self, request: Any) -> Any:
        headers = request.requestHeaders
        self.asked.append(
            (request.uri.decode(), *map(_first, map(headers.getRawHeaders, ("host", "user-agent"))))
        )
        if not self.status:
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        request.setHeader("location", "/elsewhere")
        return b"x" * 2_000_000


def _first(values: list[str] | None) -> str | None:
    return values[0] if values else None


def first_result(
    web: Web, settings: ProxyFetchSettings, host: str = "127.0.0.1", *, listening: bool = True
) -> CheckResult:
    """What ProxyFetch first reports of the server."""

    async def main(reactor: Any) -> CheckResult:
        listening_port = reactor.listenTCP(0, Site(web), interface=host)
        port = listening_port.getHost().port
        if not listening:
            await maybeDeferred(listening_port.stopListening)
        watched = Watched(reactor, settings, port, host, real_client(reactor))
        result = await watched.first_result()
        await maybeDeferred(listening_port.stopListening)
        return result

    return run_in_reactor(main)


def settings(expected: int = 200, timeout_s: float = 5.0) -> ProxyFetchSettings:
    return ProxyFetchSettings(
        (URL,), (range(expected, expected + 1),), interval_s=0.2, timeout_s=timeout_s
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("status", "expected", "up"),
    [(200, 200, True), (500, 200, False), (301, 301, True), (302, 200, False)],
)
def test_the_status_decides_and_a_redirect_is_not_followed(
    host: str, status: int, expected: int, up: bool
) -> None:
    web = Web(status)
    result = first_result(web, settings(expected), host)
    assert result.up is up
    assert set(web.asked) == {("/wiki/Main?x=1", "en.example:8080", "Twisted PageGetter")}


def test_a_server_that_never_answers_is_down_after_the_timeout() -> None:
    result = first_result(Web(0), settings(timeout_s=0.2))
    assert not result.up
    assert result.reason.startswith(f"Fetch failed ({URL}), ")
    assert took_s(result.reason) >= 0.2
    assert "timed out" in result.reason


def test_a_refused_connection_is_down_and_names_the_server_once() -> None:
    result = first_result(Web(200), settings(), listening=False)
    assert not result.up
    assert result.reason.count("127.0.0.1:") == result.reason.count(URL) == 1
    assert "refused" in result.reason
