"""Scrapes in pieces between the reactor's other work, shared by all who wait for one."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybal.instrumentation import metrics
from pybal.instrumentation.monitor_text import MonitorText
from pybal.instrumentation.view import StatusView
from pybal.model import MetricFamily
from pybal.runtime.time_slices import TimeSlices

Pieces = tuple[bytes, ...]


class Scraper:
    """Renders `/metrics`.

    The largest configurations have 200,000 series: a quarter of a second's work, which is done a
    few milliseconds a turn. Not in a thread, for which the reactor would have to wait at each of
    its system calls. However many scrape, there is one rendering at a time of each format; who
    asks while it runs gets its outcome.
    """

    def __init__(
        self,
        view: StatusView,
        time_slices: TimeSlices,
        monitor_families: Sequence[MetricFamily],
        others: Sequence[Collector],
    ) -> None:
        self._view = view
        self._time_slices = time_slices
        self._others = others
        self._monitors = MonitorText(monitor_families)
        self._waiting: dict[bool, list[Deferred[Pieces]]] = {}

    def scrape(self, failed_requests: int, *, as_openmetrics: bool) -> Deferred[Pieces]:
        """The exposition of these moments. Fails with whatever went wrong in making it."""
        waiter: Deferred[Pieces] = Deferred()
        waiting = self._waiting.setdefault(as_openmetrics, [])
        waiting.append(waiter)
        if len(waiting) == 1:
            rendering = Deferred.fromCoroutine(self._render(failed_requests, as_openmetrics))
            rendering.addBoth(self._finished, as_openmetrics)
        return waiter

    async def _render(self, failed_requests: int, as_openmetrics: bool) -> Pieces:
        view = self._view
        await view.refresh()
        services = []
        for service in view.services():
            services.append(service)
            await self._time_slices.pause()
        snapshot = metrics.Snapshot(
            tuple(services),
            view.bgp(),
            view.ipvs(),
            view.daemon(),
            view.config(),
            failed_requests,
        )
        pieces = []
        for piece in metrics.exposition(
            snapshot, self._others, monitors=self._monitors, as_openmetrics=as_openmetrics
        ):
            if piece:
                pieces.append(piece)
            await self._time_slices.pause()
        return tuple(pieces)

    def _finished(self, outcome: Pieces | Failure, as_openmetrics: bool) -> None:
        for waiter in self._waiting.pop(as_openmetrics):
            waiter.callback(outcome)
