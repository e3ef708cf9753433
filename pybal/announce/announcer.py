"""Decides which service addresses are announced: those whose services stand in the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from pybal.bgp.settings import Advertisement
from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.pool.withdrawal import Health, is_announced
from pybal.runtime.clock import DelayedCall, Timer

FIRST_ROUTES_WAIT_S = 30.0
"""Peers are told after this time that the routes are complete, even if some service does not stand
yet: until then a router keeps the routes from before a restart. With bgp-withdraw-on-down the time
is that of the monitors' first results, if that is longer."""


class Failover(Protocol):
    """The part of BGPFailover that is needed."""

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None: ...

    def first_routes_complete(self) -> None: ...


@dataclass(slots=True)
class _Announced:
    """A service that may be announced. `health` matters only with bgp-withdraw-on-down."""

    settings: ServiceSettings
    stands: bool = False
    health: Health | None = None
    announced: bool = False

    def is_wanted(self) -> bool:
        below = self.settings.bgp_withdraw_below
        if not self.stands or below is None:
            return self.stands
        return self.health is not None and is_announced(self.health, below, before=self.announced)

    def is_known(self) -> bool:
        """Whether it is certain if the address is to be announced: it is, or no first report of a
        monitor could bring it back."""
        below = self.settings.bgp_withdraw_below
        if not self.stands or below is None or self.announced:
            return self.stands
        return self.health is not None and not is_announced(self.health, below, before=True)


class Announcer:
    """Has an address announced while its service stands and, with bgp-withdraw-on-down, while
    enough of its servers are up. `services` are all services; those with `bgp = no` are ignored.

    The first routes are complete once it is known of each service whether it is announced, or
    after FIRST_ROUTES_WAIT_S: one broken service must not hold up the others.
    """

    def __init__(
        self, failover: Failover, services: Iterable[ServiceSettings], clock: Timer, log: Logger
    ) -> None:
        self._failover = failover
        self._clock = clock
        self._log = log
        self._services = {service_key(s): _Announced(s) for s in services if s.bgp}
        self._by_name = {one.settings.name: one for one in self._services.values()}
        self._awaited = set(self._by_name)
        first_results_s = (_first_results_s(one.settings) for one in self._services.values())
        self._wait_s = max((FIRST_ROUTES_WAIT_S, *first_results_s))
        self._waiting: DelayedCall | None = None

    def start(self) -> None:
        self._waiting = self._clock.callLater(self._wait_s, self._wait_no_longer)
        self._complete_if_all_known()

    def stop(self) -> None:
        """What is announced stays so. Idempotent."""
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()

    def service_stands(self, key: ServiceKey) -> None:
        """The kernel holds the service with its first pool; later calls change nothing."""
        service = self._services.get(key)
        if service is not None and not service.stands:
            service.stands = True
            self._decide(service)

    def servers_changed(self, name: str, health: Health) -> None:
        """A server of the service came, left, or is up or down."""
        service = self._by_name.get(name)
        if service is not None and service.health != health:
            service.health = health
            self._decide(service)

    def _decide(self, service: _Announced) -> None:
        settings, wanted = service.settings, service.is_wanted()
        if wanted != service.announced:
            service.announced = wanted
            self._say_why(service)
            self._failover.set_announced(
                settings.name, (_advertisement(settings),) if wanted else None
            )
        if service.is_known():
            self._awaited.discard(settings.name)
            self._complete_if_all_known()

    def _say_why(self, service: _Announced) -> None:
        """The change itself is logged by the failover, for all services on the address."""
        health = service.health
        if service.settings.bgp_withdraw_below is None or health is None:
            return
        emit = self._log.info if service.announced else self._log.error
        emit(
            "[{service}] {up} of {enabled} enabled servers are up: {what}",
            service=service.settings.name,
            up=health.up,
            enabled=health.enabled,
            what="announced" if service.announced else "no longer announced",
        )

    def _complete_if_all_known(self) -> None:
        if not self._awaited and self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
            self._failover.first_routes_complete()

    def _wait_no_longer(self) -> None:
        self._log.warn(
            "Not announced within {wait} s: {services}; peers are told that the routes are"
            " complete all the same",
            wait=int(self._wait_s),
            services=", ".join(sorted(self._awaited)),
        )
        self._failover.first_routes_complete()


def _first_results_s(service: ServiceSettings) -> float:
    """Until all monitors may have called a server up, where its announcement waits for that."""
    if service.bgp_withdraw_below is None:
        return 0.0
    return max((m.rise * m.interval_s + m.timeout_s for m in service.monitors), default=0.0)


def _advertisement(service: ServiceSettings) -> Advertisement:
    return Advertisement(
        address=service.address,
        med=service.bgp_med,
        communities=service.bgp_communities,
        large_communities=service.bgp_large_communities,
    )
