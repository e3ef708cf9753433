"""What a scrape shows, gathered in pieces between the reactor's other work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from prometheus_client.metrics_core import Metric

from pybal.instrumentation import metrics
from pybal.instrumentation.monitor_text import MonitorText
from pybal.instrumentation.view import StatusView
from pybal.model import Alert, MetricFamily
from pybal.runtime.threads import NoThreadError
from pybal.runtime.time_slices import TimeSlices

GetMetrics = Callable[[], Awaitable[Iterable[Metric]]]
"""Metrics from elsewhere, which take their time. NoThreadError: there are none now."""


class Scraper:
    """Renders `/metrics`."""

    def __init__(
        self,
        view: StatusView,
        alerts: Callable[[], tuple[Alert, ...]],
        time_slices: TimeSlices,
        monitor_families: Sequence[MetricFamily],
        others: Sequence[GetMetrics],
    ) -> None:
        self._view = view
        self._alerts = alerts
        self._time_slices = time_slices
        self._others = others
        self._monitors = MonitorText(monitor_families)

    async def scrape(
        self, failed_requests: int, *, as_openmetrics: bool, with_servers: bool = False
    ) -> Iterator[bytes]:
        """The exposition of these moments. `with_servers`: also what the kernel counts of each
        server, which is most of it."""
        view = self._view
        await view.refresh()
        await self._time_slices.finish(view.preparing())
        services = []
        for service in view.services():
            services.append(service)
            await self._time_slices.pause()
        others: list[Metric] = []
        for get in self._others:
            with suppress(NoThreadError):
                others += await get()
        snapshot = metrics.Snapshot(
            services=tuple(services),
            bgp=view.bgp(),
            ipvs=view.ipvs(),
            daemon=view.daemon(),
            config=view.config(),
            failed_requests=failed_requests,
            alerts=self._alerts(),
            history=view.history().snapshot(),
        )
        return metrics.exposition(
            snapshot,
            others,
            monitors=self._monitors,
            as_openmetrics=as_openmetrics,
            with_servers=with_servers,
        )
