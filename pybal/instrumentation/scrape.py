"""Scrapes off the reactor: one rendering at a time, shared by all who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybal.instrumentation import metrics
from pybal.instrumentation.monitor_text import MonitorText
from pybal.instrumentation.view import StatusView

Offload = Callable[[Callable[[], bytes]], Deferred[bytes]]
"""Runs a function in another thread; fires in the reactor's with what it returned or raised."""


class Scraper:
    """Renders `/metrics`.

    The largest configurations have 70,000 series; to render them takes a while the first time,
    in which the reactor must go on. However many scrape, there is one rendering at a time of
    each format; who asks while it runs gets its outcome.
    """

    def __init__(self, view: StatusView, offload: Offload, others: Sequence[Collector]) -> None:
        self._view = view
        self._offload = offload
        self._others = others
        self._monitors = MonitorText()
        self._rendering = Lock()
        self._waiting: dict[bool, list[Deferred[bytes]]] = {}

    def scrape(self, failed_requests: int, *, as_openmetrics: bool) -> Deferred[bytes]:
        """The exposition of this moment. Fails with whatever went wrong in making it."""
        waiter: Deferred[bytes] = Deferred()
        waiting = self._waiting.setdefault(as_openmetrics, [])
        waiting.append(waiter)
        if len(waiting) == 1:
            rendering = Deferred.fromCoroutine(self._render(failed_requests, as_openmetrics))
            rendering.addBoth(self._finished, as_openmetrics)
        return waiter

    async def _render(self, failed_requests: int, as_openmetrics: bool) -> bytes:
        await self._view.refresh()
        snapshot = metrics.take_snapshot(self._view, failed_requests)
        return await self._offload(
            lambda: self._exposition(snapshot, as_openmetrics=as_openmetrics)
        )

    def _exposition(self, snapshot: metrics.Snapshot, *, as_openmetrics: bool) -> bytes:
        # Two formats at once may mean two threads.
        with self._rendering:
            return metrics.exposition(
                snapshot, self._others, monitors=self._monitors, as_openmetrics=as_openmetrics
            )

    def _finished(self, outcome: bytes | Failure, as_openmetrics: bool) -> None:
        for waiter in self._waiting.pop(as_openmetrics):
            waiter.callback(outcome)
