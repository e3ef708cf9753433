"""Looks at the daemon every few seconds, so that it is known since when something is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from itertools import chain
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.bgp.snapshot import AnnouncedPrefix
from pybal.instrumentation.alerts import Situation, general_alerts
from pybal.instrumentation.pending_alert import Dated, Lasting, PendingAlert, PendingAlerts
from pybal.instrumentation.service_alerts import service_alerts
from pybal.instrumentation.view import StatusView
from pybal.model import Alert, ServiceSnapshot
from pybal.overrides.acknowledgement import Acknowledgement, AlertKey
from pybal.runtime.clock import cancel
from pybal.runtime.pieces import Pieces, between, in_one_go
from pybal.runtime.time_slices import TimeSlices

LOOK_INTERVAL_S = 5.0
ADDRESSES_INTERVAL_S = 30.0

IsLocal = Callable[[str], bool | None]
"""Whether an address is on an interface of this host; None if that cannot be told now."""


def _not_acknowledged(_: AlertKey) -> Acknowledgement | None:
    """No operator has said anything."""
    return None


def _nobody(_: tuple[Lasting, ...]) -> None:
    """There is no next run."""


class AlertWatch:
    """The alerts of a view. `clock` is IReactorTime, `now()` Unix seconds; `acknowledgement_of` is
    what an operator has said of an alert. Of the announced prefixes those that `must_be_local` are
    looked for with `is_local` on this host's interfaces. `lasting` is what lasted in the last run;
    `keep` is told what the next one must know, whenever that changes."""

    def __init__(
        self,
        clock: Any,
        view: StatusView,
        *,
        time_slices: TimeSlices,
        is_local: IsLocal,
        must_be_local: Callable[[AnnouncedPrefix], bool],
        log: Logger,
        now: Callable[[], float],
        acknowledgement_of: Callable[[AlertKey], Acknowledgement | None] = _not_acknowledged,
        lasting: Iterable[Lasting] = (),
        keep: Callable[[tuple[Lasting, ...]], object] = _nobody,
    ) -> None:
        self._clock = clock
        self._view = view
        self._time_slices = time_slices
        self._is_local = is_local
        self._must_be_local = must_be_local
        self._log = log
        self._now = now
        self._acknowledgement_of = acknowledgement_of
        self._pending = PendingAlerts(lasting)
        self._keep = keep
        self._of_services: dict[str, tuple[ServiceSnapshot, tuple[PendingAlert, ...]]] = {}
        self._not_local: tuple[str, ...] = ()
        self._last: tuple[Dated, ...] = ()
        self._looked_at_s: float | None = None
        self._calls: list[Any] = []
        self._running = False

    def start(self) -> None:
        """Begin to look."""
        self._running = True
        self._look()
        self._look_at_addresses()

    def rename(self, renames: Iterable[tuple[str, str]]) -> None:
        """Services go on under another name: former and present one."""
        self._pending.rename(renames, self._clock.seconds())

    def stop(self) -> None:
        """Look no more. Idempotent."""
        self._running = False
        for call in self._calls:
            cancel(call)
        self._calls = []

    def dated(self) -> tuple[Dated, ...]:
        """All alerts that there are now."""
        return self._dated(tuple(self._view.services()))

    def _dated(self, services: tuple[ServiceSnapshot, ...]) -> tuple[Dated, ...]:
        view = self._view
        situation = Situation(
            services=services,
            daemon=view.daemon(),
            ipvs=view.ipvs(),
            bgp=view.bgp(),
            config=view.config(),
            not_local=self._not_local,
        )
        found = [*general_alerts(situation)]
        for service in services:
            found += in_one_go(self._of_service(service))
        if len(self._of_services) > len(services):
            names = {service.name for service in services}
            self._of_services = {n: of for n, of in self._of_services.items() if n in names}
        self._looked_at_s = self._clock.seconds()
        self._last = tuple(
            each.acknowledged(
                self._acknowledgement_of((each.alert.id, each.alert.service, each.about))
            )
            for each in self._pending.step(found, self._looked_at_s, self._now())
        )
        if self._running:
            self._keep(self._pending.lasting)
        return self._last

    def _of_service(self, service: ServiceSnapshot) -> Pieces[tuple[PendingAlert, ...]]:
        before = self._of_services.get(service.name)
        if before is not None and _says_the_same(before[0], service):
            return before[1]
        found = yield from service_alerts(service)
        if before is not None:
            self._time_slices.let_go(before[0].servers)
        self._of_services[service.name] = service, found
        return found

    def recent(self) -> tuple[Dated, ...]:
        """All alerts that there were at the last look, with their ages now. To look is some work,
        and while this is running it is done all the same every few seconds."""
        now_s = self._clock.seconds()
        if self._looked_at_s is None or now_s - self._looked_at_s > LOOK_INTERVAL_S:
            return self.dated()
        past_s = now_s - self._looked_at_s
        return tuple(each._replace(age_s=each.age_s + past_s) for each in self._last)

    def alerts(self) -> tuple[Alert, ...]:
        """The same, without their ages."""
        return tuple(each.alert for each in self.dated())

    def _later(self, delay_s: float, what: Callable[[], None]) -> None:
        self._calls = [call for call in self._calls if call.active()]
        if self._running:
            self._calls.append(self._clock.callLater(delay_s, what))

    def _look_at_leisure(self) -> None:
        """In a storm all servers are other ones than at the last look."""
        looking = Deferred.fromCoroutine(self._look_at_each())
        looking.addErrback(lambda f: self._log.failure("Cannot look at services", failure=f))
        looking.addBoth(self._look)

    async def _look_at_each(self) -> tuple[ServiceSnapshot, ...] | None:
        """As they were looked at, a piece in each turn; None if somebody has looked since: what
        they are now is known better."""
        # What is seen of a service, and what is wrong with it, is kept until it changes.
        by_s, before_s = self._time_slices.due_s, self._looked_at_s
        services: list[ServiceSnapshot] = []
        await self._time_slices.leisure(last=True, by_s=by_s)
        for _ in self._view.preparing():
            await self._time_slices.leisure(last=True, by_s=by_s)
        for service in self._view.services():
            services.append(service)
            for _ in chain(between(service.servers), self._of_service(service)):
                await self._time_slices.leisure(last=True, by_s=by_s)
            await self._time_slices.leisure(last=True, by_s=by_s)
        return tuple(services) if self._looked_at_s == before_s else None

    def _look(self, services: tuple[ServiceSnapshot, ...] | None = None) -> None:
        if not self._running:
            return
        self._later(LOOK_INTERVAL_S, self._look_at_leisure)
        try:
            self._dated(tuple(self._view.services()) if services is None else services)
        except Exception:  # noqa: BLE001 - a fault in here must not end the looking
            self._log.failure("Cannot tell what is wrong")

    def _look_at_addresses(self) -> None:
        looking = Deferred.fromCoroutine(self._find_not_local())
        looking.addErrback(lambda f: self._log.failure("Cannot look at addresses", failure=f))
        looking.addBoth(lambda _: self._later(ADDRESSES_INTERVAL_S, self._look_at_addresses))

    async def _find_not_local(self) -> None:
        found: dict[str, bool | None] = {}
        async for address in self._to_be_local():
            if address not in found:
                found[address] = self._is_local(address)
        self._not_local = tuple(each for each, local in found.items() if local is False)

    async def _to_be_local(self) -> AsyncIterator[str]:
        """Some each turn of the reactor: there may be thousands. Packets come for the addresses of
        services, whatever goes around them (bgp-aggregate)."""
        for prefix in self._view.bgp().announced:
            address, _, length = prefix.prefix.partition("/")
            if length == ("128" if ":" in address else "32"):
                if self._must_be_local(prefix):
                    yield address
                await self._time_slices.pause()
                continue
            for name in prefix.services:
                service = self._view.service(name)
                if service is not None and self._must_be_local(prefix._replace(services=(name,))):
                    yield str(service.address)
                await self._time_slices.pause()


def _says_the_same(before: ServiceSnapshot, now: ServiceSnapshot) -> bool:
    """Whether nothing has changed that `service_alerts` reads. Servers are the same object until
    something of them changes. When a list was last read moves with each poll, and is no matter."""
    return (
        before.servers is now.servers
        and before.source.stale == now.source.stale
        and before.source.last_error == now.source.last_error
        and before.source.damage == now.source.damage
        and before.held == now.held
        and before.standing == now.standing
        and before.list_error == now.list_error
        and before.depool_threshold == now.depool_threshold
    )
