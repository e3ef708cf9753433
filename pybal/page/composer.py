"""Looks at the daemon for the pages, in time slices."""

from __future__ import annotations

from collections.abc import Callable

from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.view import StatusView
from pybal.model import Alert
from pybal.page.counted_slices import CountedSlices
from pybal.page.overview import overview
from pybal.page.past import PastReader
from pybal.page.piece import Page
from pybal.page.seen import Seen, SeenService, SinceAlert, seen_service, since_alerts
from pybal.page.service_page import kernel_part, service_page


class Composer:
    """Puts pages together. `now()` is Unix seconds."""

    def __init__(
        self,
        view: StatusView,
        watch: AlertWatch,
        now: Callable[[], float],
    ) -> None:
        self._view = view
        self._watch = watch
        self._now = now
        self._known: dict[str, SeenService] = {}
        self._one: dict[str, SeenService] = {}
        """Of the services that have been looked at by themselves."""
        self._general = PastReader(view.history, None)

    async def overview(self, slices: CountedSlices) -> Page:
        """The page of the whole director as it stands."""
        alerts = self._alerts()
        by_service: dict[str, list[Alert]] = {}
        for each in alerts:
            if each.alert.service is not None:
                by_service.setdefault(each.alert.service, []).append(each.alert)
        services = []
        for service in self._view.services():
            known = self._known.get(service.name)
            of_it = tuple(by_service.get(service.name, ()))
            services.append(seen_service(service, of_it, known))
            await slices.pause()
        self._known = {each.service.name: each for each in services}
        view = self._view
        parts = view.daemon(), view.ipvs(), view.bgp(), view.config(), view.overrides()
        return overview(Seen(tuple(services), alerts, *parts), await self._general.read())

    async def service(self, name: str, past: PastReader) -> Page | None:
        """The page of one service, if there is one of that name; `past` is what was read of its
        history."""
        service = self._view.service(name)
        if service is None:
            self._one.pop(name, None)
            return None
        alerts = tuple(each for each in self._alerts() if each.alert.service == name)
        of_it = tuple(each.alert for each in alerts)
        seen = self._one[name] = seen_service(service, of_it, self._one.get(name))
        kernel = kernel_part(self._view.ipvs(), name, self._now())
        return service_page(seen, alerts, kernel, self._view.bgp(), await past.read())

    def past_of(self, service: str) -> PastReader:
        """Reads the history of a service."""
        return PastReader(self._view.history, service)

    def _alerts(self) -> tuple[SinceAlert, ...]:
        return since_alerts(self._watch.recent(), self._now())
