"""ProxyFetch: fetches a URL from the real server itself and looks at the status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, gatherResults

from pybal.config.settings import ProxyFetchSettings
from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.httpclient import HTTPRequest
from pybal.model import MetricSample
from pybal.monitors.base import Report
from pybal.monitors.looping import LoopingMonitor, Outcome
from pybal.monitors.target import Environment, Target

MAX_BYTES = 1 << 20
"""A longer answer is cut there: its status has come, and megabytes have flowed."""

_FAILURES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Fetched:
    """How one URL went; `text` says so in a line."""

    ok: bool
    text: str


class ProxyFetch(LoopingMonitor):
    """Up when the expected status came from the server's address and the service's port, for a
    random one of the URLs, or with `check_all` for all but `max_failures` of them.

    Redirects are answers as any other: an expected 301 is success, an unexpected one is not.
    """

    def __init__(
        self,
        settings: ProxyFetchSettings,
        target: Target,
        environment: Environment,
        report: Report,
    ) -> None:
        super().__init__(settings, target, environment, report)
        self._settings = settings
        self._durations_s: dict[tuple[str, str], float] = {}
        """The last duration by result and URL."""

    async def _check(self) -> Outcome | None:
        if not self._settings.check_all:
            fetched = await self._fetch(self._environment.random.choice(self._settings.urls))
            return Outcome(fetched.ok, fetched.text)
        fetches = [Deferred.fromCoroutine(self._fetch(url)) for url in self._settings.urls]
        return self._verdict(await gatherResults(fetches, consumeErrors=True))

    def _verdict(self, fetched: list[_Fetched]) -> Outcome:
        failures = [f.text for f in fetched if not f.ok]
        if not failures:
            return Outcome(True, f"all {len(fetched)} URLs answered {self._settings.http_status}")
        tolerated = self._settings.max_failures
        shown = "; ".join(failures[:_FAILURES_SHOWN])
        text = f"{len(failures)} of {len(fetched)} URLs failed ({tolerated} tolerated): {shown}"
        return Outcome(len(failures) <= tolerated, text)

    async def _fetch(self, url: str) -> _Fetched:
        began_at = self._reactor.seconds()
        try:
            response = await self._environment.http.fetch(self._request(url))
        except HTTPLocalFaultError as error:
            raise error.cause from error
        except HTTPFetchError as error:
            # The client names the URL as we do.
            why = str(error).removeprefix(f"GET {url} of ")
        else:
            why = self._objection(response.status, response.headers.get("location"))
        duration_s = max(0.0, self._reactor.seconds() - began_at)
        self._durations_s["failed" if why else "successful", url] = duration_s
        if why:
            return _Fetched(False, f"Fetch failed ({url}), {duration_s:.3f} s: {why}")
        return _Fetched(True, f"{url} answered {self._settings.http_status}, {duration_s:.3f} s")

    def _request(self, url: str) -> HTTPRequest:
        return HTTPRequest(
            url=url,
            timeout_s=self._settings.timeout_s,
            max_bytes=MAX_BYTES,
            truncate=True,
            headers={"User-Agent": self._settings.user_agent},
            connect_to=(self._target.address, self._target.port),
            tls_verify=self._settings.tls_verify,
        )

    def _objection(self, status: int, location: str | None) -> str:
        """What is wrong with the answer; empty if nothing is."""
        expected = self._settings.http_status
        if status == expected:
            return ""
        to = f" to {location}" if location is not None and 300 <= status < 400 else ""
        return f"{self._target.endpoint} answered {status}{to} instead of {expected}"

    def _samples(self) -> Iterable[MetricSample]:
        for (result, url), duration_s in self._durations_s.items():
            yield MetricSample(
                "pybal_monitor_proxyfetch_request_duration_seconds",
                (("result", result), ("url", url)),
                duration_s,
            )
