"""The services that run, and how they become others without a gap.

What is new stands, and is announced, before what is old is withdrawn; what both have in the kernel
is adopted and not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pybal.announce.announcer import Announcer
from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.model import IPAddress
from pybal.pool.desired import service_key
from pybal.pool.service import LVSService
from pybal.reload.service_changes import service_changes
from pybal.runtime.stopping import ending
from pybal.runtime.time_slices import TimeSlices

STAND_WAIT_S = 30.0
"""So long a reload waits for its new services to stand in the kernel, and for their servers where
these decide on the announcement; then the old ones go all the same."""

_LOOK_EVERY_S = 0.1

WITHDRAWAL_WAIT_S = 1.0
"""Between the withdrawal of a route and the removal of its service from the kernel: packets are
under way, and routers take a moment."""


class ServiceTable(Protocol):
    """The part of IPVSController that is needed."""

    def stands(self, key: ServiceKey) -> bool:
        """Whether the kernel holds the service."""

    def withdraw(self, key: ServiceKey) -> None:
        """It is to leave the kernel."""


class NewService(Protocol):
    """Makes services."""

    def __call__(self, settings: ServiceSettings, *, adopts: bool) -> LVSService:
        """One that is not started yet. `adopts`: what stands in the kernel for it is its own."""


class ServiceSetPorts(NamedTuple):
    """What the set touches outside of itself. `clock` provides IReactorTime."""

    new_service: NewService
    table: ServiceTable
    announcer: Announcer
    clock: Any
    time_slices: TimeSlices


class ServiceSet:
    """Owns the running services. `running`, by name in the order of the configuration, is a live
    view for others."""

    def __init__(self, ports: ServiceSetPorts, log: Logger) -> None:
        self.running: dict[str, LVSService] = {}
        self._ports = ports
        self._log = log
        self._stopped = False
        self._left: list[LVSService] = []
        """Those that run no longer, oldest first. They may not have been stopped yet, and stand in
        the kernel and among the routes until a reload has come to its end."""
        self._unsound: set[str] = set()
        """Those that run and could not be adjusted."""

    def create(self, services: Iterable[ServiceSettings]) -> None:
        """Make the services of a start."""
        for settings in services:
            self._create(settings)

    async def start(self) -> None:
        """Start all that were made, in time slices."""
        for service in tuple(self.running.values()):
            await self._ports.time_slices.pause()
            self._start(service)

    async def stop(self, within_s: float) -> None:
        """Stop all: none decides anything any more, then their monitors end, in time slices; those
        that have not within that time end with the process. The kernel's table and the routes stay
        as they are. Idempotent; cancelling ends the wait."""
        self._stopped = True
        services = (*self.running.values(), *self._left)
        stopping = [self._stop(service) for service in services]
        stopped = DeferredList(stopping)
        stopped.addTimeout(within_s, self._ports.clock, lambda *_: None)
        with suppress(CancelledError):
            await stopped

    async def go_over(
        self, services: Collection[ServiceSettings], former_ended: Callable[[], None]
    ) -> None:
        """`services` are those of the new configuration. If this fails the next one mends it: it
        goes by what runs. A service that could not be adjusted begins anew then.

        In this order: services that leave are checked no longer, and once they decide nothing any
        more `former_ended` is called; new ones start; the others are adjusted; once the new ones
        stand, and it is known whether they are announced, or after STAND_WAIT_S, what those that
        left still have among the routes and in the kernel goes.
        """
        changes = service_changes(services, self.running, self._left, self._unsound)
        for name, service in changes.leaving.items():
            del self.running[name]
            self._left.append(service)
            self._unsound.discard(name)
        down = {name: former.servers_down() for name, former in changes.followed.items()}
        await self._end()
        former_ended()
        for settings in changes.coming:
            await self._pause()
            name = settings.name
            self._bring_in(
                settings,
                changes.followed.get(name),
                down.get(name, {}),
                adopts=name in changes.adopting,
            )
        for settings in changes.adjusted:
            await self._pause()
            await self._adjust(settings)
        self._reorder(each.name for each in services)
        await self._wait_for(changes.coming)
        await self._withdraw(changes.names_gone, changes.gone)
        self._left.clear()

    async def _pause(self) -> None:
        await self._ports.time_slices.pause()
        if self._stopped:
            raise CancelledError  # Nobody would stop what came now.

    async def _end(self) -> None:
        """Hundreds take a tenth of a second. What they would still say of servers is void."""
        ending = []
        for service in tuple(self._left):
            await self._ports.time_slices.pause()
            ending.append(self._stop(service))
        for service in self._left:
            if service.name not in self.running:
                self._ports.announcer.replace(service.name)
        for stopping in ending:
            await stopping

    def _bring_in(
        self,
        settings: ServiceSettings,
        former: LVSService | None,
        down: Mapping[str, IPAddress | None],
        *,
        adopts: bool,
    ) -> None:
        service = self._create(settings, adopts=adopts)
        try:
            self._ports.announcer.add(settings, stands=self._stands(settings))
            if former is not None:
                service.know_down(down)
                service.follow(former)
        except Exception:
            # It has never run, so nobody can go on with its list: the former ones count before it.
            self._left.insert(0, self.running.pop(settings.name))
            raise
        self._start(service)

    async def _adjust(self, settings: ServiceSettings) -> None:
        self._unsound.add(settings.name)
        await self.running[settings.name].reconfigure(settings)
        self._ports.announcer.adjust(settings)
        self._unsound.discard(settings.name)

    def _reorder(self, order: Iterable[str]) -> None:
        """In place: others look at this dict."""
        ordered = {name: self.running[name] for name in order}
        self.running.clear()
        self.running.update(ordered)

    async def _wait_for(self, coming: Sequence[ServiceSettings]) -> None:
        clock = self._ports.clock
        ends_at_s = clock.seconds() + STAND_WAIT_S
        waiting = coming
        while True:
            waiting = [settings for settings in waiting if not self._has_come(settings)]
            if not waiting or self._stopped:
                return
            if clock.seconds() >= ends_at_s:
                self._say_late(waiting)
                return
            await deferLater(clock, _LOOK_EVERY_S, lambda: None)

    def _stands(self, settings: ServiceSettings) -> bool:
        return self._ports.table.stands(service_key(settings))

    def _has_come(self, settings: ServiceSettings) -> bool:
        """With bgp-withdraw-on-down its servers must be known, too, before a route may go."""
        return self._stands(settings) and not self._ports.announcer.is_awaited(settings.name)

    def _say_late(self, waiting: Sequence[ServiceSettings]) -> None:
        stands = [settings for settings in waiting if self._stands(settings)]
        for what, late in (
            ("Not in the kernel", [each for each in waiting if each not in stands]),
            ("Not known to have enough servers that are up", stands),
        ):
            if late:
                self._log.error(
                    "{what} within {wait} s: {services}; what they replace goes all the same",
                    what=what,
                    wait=int(STAND_WAIT_S),
                    services=", ".join(settings.name for settings in late),
                )

    async def _withdraw(self, names: Iterable[str], gone: Collection[ServiceKey]) -> None:
        if self._stopped:
            return
        for name in names:
            self._ports.announcer.forget(name)
        if gone and self._ports.announcer.speaks:
            await deferLater(self._ports.clock, WITHDRAWAL_WAIT_S, lambda: None)
        for key in gone:
            self._ports.table.withdraw(key)

    def _create(self, settings: ServiceSettings, *, adopts: bool = True) -> LVSService:
        service = self.running[settings.name] = self._ports.new_service(settings, adopts=adopts)
        self._log.info("Created LVS service '{name}'", name=settings.name)
        return service

    def _stop(self, service: LVSService) -> Deferred[None]:
        return ending(self._log, f"service {service.name}", service.stop)

    def _start(self, service: LVSService) -> None:
        try:
            service.start()
        except Exception:  # noqa: BLE001 - the others must not miss their start
            self._log.failure("Service {name} could not be started", name=service.name)
