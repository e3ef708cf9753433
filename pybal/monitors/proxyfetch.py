"""ProxyFetch: fetches a URL from the real server itself and looks at the status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, gatherResults

from pybal.config.settings import ProxyFetchSettings, status_text
from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.model import MetricSample
from pybal.monitors.asking import shown
from pybal.monitors.base import Report
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from pybal.monitors.target import MonitorPorts, Target

MAX_SEARCHED_BYTES = 64 * 1024
"""What is expected is looked for in so much of the body: that takes a few milliseconds."""

_FAILURES_SHOWN = 3
_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class _Fetched:
    """How one URL went; `text` says so in a line. With a `fault` of our own it did not go."""

    ok: bool
    text: str
    fault: Exception | None = None


class ProxyFetch(LoopingMonitor):
    """Up when an expected status came from the server's address and the service's port, for a
    random one of the URLs, or with `check_all` for all but `max_failures` of them.

    Redirects are answers as any other: an expected 301 is success, an unexpected one is not. The
    body must hold what is expected, if something is, and the certificate must be good for long
    enough. One failure of our own spoils the whole check, which then has no result.
    """

    def __init__(
        self,
        settings: ProxyFetchSettings,
        target: Target,
        ports: MonitorPorts,
        report: Report,
    ) -> None:
        super().__init__(settings, target, ports, report)
        self._settings = settings
        self._statuses = status_text(settings.http_status)
        self._requests = {url: self._request(url) for url in settings.urls}
        self._durations_s: dict[tuple[str, str], float] = {}
        """The last duration by result and URL."""

    async def _check(self) -> CheckOutcome | None:
        if not self._settings.check_all:
            fetched = await self._fetch(self._ports.random.choice(self._settings.urls))
            _raise_fault((fetched,))
            return CheckOutcome(fetched.ok, fetched.text)
        fetches = [Deferred.fromCoroutine(self._fetch(url)) for url in self._settings.urls]
        return self._verdict(await gatherResults(fetches, consumeErrors=True))

    def _verdict(self, fetched: list[_Fetched]) -> CheckOutcome:
        _raise_fault(fetched)
        failures = [f.text for f in fetched if not f.ok]
        if not failures:
            return CheckOutcome(True, f"all {len(fetched)} URLs answered {self._statuses}")
        tolerated = self._settings.max_failures
        shown = "; ".join(failures[:_FAILURES_SHOWN])
        text = f"{len(failures)} of {len(fetched)} URLs failed ({tolerated} tolerated): {shown}"
        return CheckOutcome(len(failures) <= tolerated, text)

    async def _fetch(self, url: str) -> _Fetched:
        began_at = self._reactor.seconds()
        try:
            response = await self._ports.http.fetch(self._requests[url])
        except HTTPLocalFaultError as error:
            return _Fetched(False, "", error.cause or error)
        except HTTPFetchError as error:
            why = error.what
        else:
            objection = self._objection(response)
            why = f"{self._target.endpoint} {objection}" if objection else ""
        duration_s = max(0.0, self._reactor.seconds() - began_at)
        self._durations_s["failed" if why else "successful", url] = duration_s
        if why:
            return _Fetched(False, f"Fetch failed ({url}), {duration_s:.3f} s: {why}")
        return _Fetched(True, f"{url} answered {response.status}, {duration_s:.3f} s")

    def _request(self, url: str) -> HTTPRequest:
        settings = self._settings
        return HTTPRequest(
            url=url,
            timeout_s=settings.timeout_s,
            max_bytes=settings.read_bytes,
            truncate=True,
            headers={"User-Agent": settings.user_agent, **dict(settings.headers)},
            connect_to=(self._target.address, self._target.port),
            tls_verify=settings.tls_verify,
            ca_file=None if settings.ca_file is None else str(settings.ca_file),
            method=settings.method,
            source=settings.source_address,
            server_name=settings.server_name,
        )

    def _objection(self, response: HTTPResponse) -> str:
        """What is wrong with the answer, in words that follow the server's; empty if nothing is."""
        status = response.status
        if not any(status in each for each in self._settings.http_status):
            location = response.headers.get("location")
            to = f" to {location}" if location is not None and 300 <= status < 400 else ""
            return f"answered {status}{to} instead of {self._statuses}"
        expect = self._settings.expect
        if expect is not None and not expect.search(response.body[:MAX_SEARCHED_BYTES]):
            size = len(response.body)
            return f"answered {status}, but not what is expected: {size} bytes{_start(response)}"
        return self._objection_to_certificate(response.certificate_expires_at)

    def _objection_to_certificate(self, expires_at: float | None) -> str:
        needed = self._settings.min_certificate_days
        if not needed or expires_at is None:
            return ""
        left = (expires_at - self._ports.now()) / _DAY_S
        if left >= needed:
            return ""
        if left < 0:
            return f"has a certificate that ended {-left:.1f} days ago"
        return f"has a certificate for {left:.1f} more days, fewer than {needed}"

    def _samples(self) -> Iterable[MetricSample]:
        for (result, url), duration_s in self._durations_s.items():
            yield MetricSample(
                "pybal_monitor_proxyfetch_request_duration_seconds",
                (("result", result), ("url", url)),
                duration_s,
            )


def _start(response: HTTPResponse) -> str:
    return f", {shown(response.body)}" if response.body else ""


def _raise_fault(fetched: Iterable[_Fetched]) -> None:
    for each in fetched:
        if each.fault is not None:
            raise each.fault
