"""The services that run, and how they become others without a gap.

What is new stands, and is announced, before what is old is withdrawn; what both have in the kernel
is adopted and not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pybal.announce.announcer import Announcer
from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.pool.service import LVSService
from pybal.reload.difference import (
    AddService,
    AdjustService,
    ReloadStep,
    RemoveService,
    RenameService,
    ReplaceService,
)
from pybal.runtime.stopping import ending
from pybal.runtime.time_slices import TimeSlices

STAND_WAIT_S = 30.0
"""So long a reload waits for its new services to stand in the kernel, and for their servers where
these decide on the announcement; then the old ones go all the same."""

_LOOK_EVERY_S = 0.1

WITHDRAWAL_WAIT_S = 1.0
"""Between the withdrawal of a route and the removal of its service from the kernel: packets are
under way, and routers take a moment."""


_LEAVE = (ReplaceService, RenameService, RemoveService)
_COME = (AddService, ReplaceService, RenameService)
_SUCCEED = (ReplaceService, RenameService)


class ServiceTable(Protocol):
    """The part of IPVSController that is needed."""

    def stands(self, key: ServiceKey) -> bool: ...

    def withdraw(self, key: ServiceKey) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSetPorts:
    """`new_service` makes a service, not yet started; the second argument says whether what stands
    in the kernel for it is its own, to be adopted. `clock` provides IReactorTime."""

    new_service: Callable[[ServiceSettings, bool], LVSService]
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
        self._leaving: dict[str, LVSService] = {}
        """Those that run no longer and may not have been stopped yet."""
        self._going_over = False
        """Still, as one begins: the one before has failed."""

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
        services = (*self.running.values(), *self._leaving.values())
        stopping = [self._stop(service) for service in services]
        stopped = DeferredList(stopping)
        stopped.addTimeout(within_s, self._ports.clock, lambda *_: None)
        with suppress(CancelledError):
            await stopped

    async def go_over(
        self,
        steps: tuple[ReloadStep, ...],
        services: Collection[ServiceSettings],
        former_ended: Callable[[], None],
    ) -> None:
        """Take the steps that are about services; `services` are those of the new configuration. If
        this fails the next one mends it: what then runs otherwise than is configured begins anew.

        In this order: services that leave are checked no longer, and once they decide nothing any
        more `former_ended` is called; new ones start; the others are adjusted; once the new ones
        stand, and it is known whether they are announced, or after STAND_WAIT_S, what those that
        left still have among the routes and in the kernel goes.
        """
        leaving = [step.before for step in steps if isinstance(step, _LEAVE)]
        coming = [step.after for step in steps if isinstance(step, _COME)]
        failed, self._going_over = self._going_over, True
        if failed:
            coming += self._not_running(services, coming)
        former = self._take_out(leaving, coming, services)
        succeed = {s.after.name: s.before for s in steps if isinstance(s, _SUCCEED)}
        heirs = {name: before.name for name, before in succeed.items()}
        followed = {
            name: former[before.name]
            for name, before in succeed.items()
            if before.name in former
            and (not failed or former[before.name].key == service_key(before))
        }
        down = {name: service.servers_down() for name, service in followed.items()}
        await self._end(former)
        former_ended()
        owners = {service_key(settings): settings.name for settings in leaving}
        for settings in coming:
            await self._ports.time_slices.pause()
            key = service_key(settings)
            # Who takes the address of another service finds that one's servers in the kernel.
            self._create(settings, adopts=owners.get(key) in (None, heirs.get(settings.name)))
            self._ports.announcer.add(settings, stands=self._ports.table.stands(key))
            if settings.name in followed:
                self.running[settings.name].know_down(down[settings.name])
                self.running[settings.name].follow(followed[settings.name])
            self._start(self.running[settings.name])
        for step in steps:
            if isinstance(step, AdjustService):
                await self._ports.time_slices.pause()
                await self.running[step.after.name].reconfigure(step.after)
                self._ports.announcer.adjust(step.after)
        self._reorder(each.name for each in services)
        await self._wait_for(coming)
        gone = dict.fromkeys(map(service_key, leaving))
        names = [settings.name for settings in leaving]
        if failed:
            gone |= dict.fromkeys(service.key for service in former.values())
            names += [*former, *(settings.name for settings in coming)]
        await self._withdraw(names, gone, {service_key(settings) for settings in coming})
        self._going_over = False

    def _not_running(
        self, services: Collection[ServiceSettings], coming: Iterable[ServiceSettings]
    ) -> list[ServiceSettings]:
        """What should run, besides what is coming, and does not since a go_over failed."""
        names = {settings.name for settings in coming}
        stay = [settings for settings in services if settings.name not in names]
        keys = {name: service.key for name, service in self.running.items()}
        return [settings for settings in stay if keys.get(settings.name) != service_key(settings)]

    def _take_out(
        self,
        leaving: Iterable[ServiceSettings],
        coming: Iterable[ServiceSettings],
        services: Collection[ServiceSettings],
    ) -> dict[str, LVSService]:
        """Those that run no longer: what leaves, and what a go_over that failed has left."""
        stay = {each.name for each in services} - {each.name for each in (*leaving, *coming)}
        former = {name: each for name, each in self.running.items() if name not in stay}
        for name in former:
            del self.running[name]
        return former

    async def _end(self, leaving: dict[str, LVSService]) -> None:
        """Hundreds take a tenth of a second. What they would still say of servers is void."""
        self._leaving = leaving
        ending = []
        for service in leaving.values():
            await self._ports.time_slices.pause()
            ending.append(self._stop(service))
        for name in leaving:
            self._ports.announcer.replace(name)
        for stopping in ending:
            await stopping
        self._leaving = {}

    def _reorder(self, order: Iterable[str]) -> None:
        """In place: others look at this dict."""
        ordered = {name: self.running[name] for name in order}
        self.running.clear()
        self.running.update(ordered)

    async def _wait_for(self, coming: list[ServiceSettings]) -> None:
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

    def _say_late(self, waiting: list[ServiceSettings]) -> None:
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

    async def _withdraw(
        self, names: Iterable[str], keys: Iterable[ServiceKey], taken: set[ServiceKey]
    ) -> None:
        if self._stopped:
            return
        for name in names:
            self._ports.announcer.forget(name)
        gone = [key for key in keys if key not in taken]
        if gone and self._ports.announcer.speaks:
            await deferLater(self._ports.clock, WITHDRAWAL_WAIT_S, lambda: None)
        for key in gone:
            self._ports.table.withdraw(key)

    def _create(self, settings: ServiceSettings, *, adopts: bool = True) -> None:
        self.running[settings.name] = self._ports.new_service(settings, adopts)
        self._log.info("Created LVS service '{name}'", name=settings.name)

    def _stop(self, service: LVSService) -> Deferred[None]:
        return ending(self._log, f"service {service.name}", service.stop)

    def _start(self, service: LVSService) -> None:
        try:
            service.start()
        except Exception:  # noqa: BLE001 - the others must not miss their start
            self._log.failure("Service {name} could not be started", name=service.name)
