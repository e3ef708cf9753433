"""Decides which service addresses are announced: those whose services stand in the kernel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.logger import Logger

from pybal.announce.damping import Damping
from pybal.announce.wishes import replaced
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.snapshot import HeldAnnouncement
from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.model import IPAddress
from pybal.pool.desired import service_key
from pybal.pool.withdrawal import Health, is_announced
from pybal.runtime.clock import Clock, DelayedCall, cancel

FIRST_ROUTES_WAIT_S = 30.0
"""Peers are told after this time that the routes are complete, even if some service does not stand
yet: until then a router keeps the routes from before a restart. With bgp-withdraw-on-down the time
is that of the monitors' first results, if that is longer."""

_BYTES_PER_S_OF_WEIGHT = 125_000.0
"""With bgp-link-bandwidth = auto a weight of 1 is 1 Mbit/s: what counts is the proportion."""

_WEIGHT_PAUSE_S = 10.0


class Failover(Protocol):
    """The part of BGPFailover that is needed."""

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        """See BGPFailover."""

    def set_own(self, service: str, address: IPAddress | None) -> None:
        """See BGPFailover."""

    def first_routes_complete(self) -> None:
        """See BGPFailover."""


@dataclass(slots=True)
class _Announced:
    """A service that may be announced. `health` is only told, and asked for, where
    bgp-withdraw-on-down or bgp-link-bandwidth = auto is set; `weight` is that of its health that
    peers have been told, and may only be told anew while no `pause` runs. `hold`: it is announced
    then, if it is still wanted."""

    settings: ServiceSettings
    stands: bool = False
    health: Health | None = None
    announced: bool = False
    weight: int = 0
    pause: DelayedCall | None = None
    damping: Damping = field(default_factory=Damping)
    hold: DelayedCall | None = None

    def end_pause(self) -> None:
        cancel(self.pause)
        self.pause = None
        self.end_hold()

    def end_hold(self) -> None:
        cancel(self.hold)
        self.hold = None

    def link_bandwidth(self) -> float | None:
        """In bytes a second."""
        wanted = self.settings.bgp.link_bandwidth
        if wanted is None:
            return None
        if wanted.bits_per_s is not None:
            return wanted.bits_per_s / 8
        return self.weight * _BYTES_PER_S_OF_WEIGHT

    def advertisement(self) -> Advertisement:
        bgp = self.settings.bgp
        return Advertisement(
            address=self.settings.address,
            med=bgp.med,
            communities=bgp.communities,
            large_communities=bgp.large_communities,
            extended_communities=bgp.extended_communities,
            link_bandwidth=self.link_bandwidth(),
            aggregate=bgp.aggregate,
            host=not bgp.aggregate_only,
        )

    def is_wanted(self) -> bool:
        below = self.settings.bgp.withdraw_below
        if not self.settings.bgp.announced:
            return False
        if not self.stands or below is None:
            return self.stands
        return self.health is not None and is_announced(self.health, below, before=self.announced)

    def is_known(self) -> bool:
        """Whether it is certain if the address is to be announced: it is, or no first report of a
        monitor could bring it back."""
        below = self.settings.bgp.withdraw_below
        if not self.stands or below is None or self.announced:
            return self.stands
        return self.health is not None and not is_announced(self.health, below, before=True)


class Announcer:
    """Has an address announced while its service stands and, with bgp-withdraw-on-down, while
    enough of its servers are up; what goes up and down is damped. Services with `bgp = no` are
    ignored. While there is no failover nothing is announced, but all is remembered for the one
    that comes.

    The first routes are complete once it is known of each service whether it is announced, or
    after FIRST_ROUTES_WAIT_S: one broken service must not hold up the others.
    """

    def __init__(self, services: Iterable[ServiceSettings], clock: Clock, log: Logger) -> None:
        self._failover: Failover | None = None
        self._clock = clock
        self._log = log
        self._services: dict[str, _Announced] = {s.name: _Announced(s) for s in services}
        self._by_key = {service_key(one.settings): one for one in self._services.values()}
        self._replaced: dict[str, dict[str, _Announced]] = {}
        """By name, and by wish: services that are announced until those that replace them are."""
        settings = [one.settings for one in self._services.values()]
        self._awaited = {each.name for each in settings if each.bgp.announced}
        self._wait_s = max((FIRST_ROUTES_WAIT_S, *map(_first_results_s, settings)))
        self._waiting: DelayedCall | None = None

    def start(self, failover: Failover) -> None:
        """Announce by this one from now on, all that is to be announced by now included."""
        self._failover = failover
        replaced_ones = (item for those in self._replaced.values() for item in those.items())
        for wish, one in (*self._services.items(), *replaced_ones):
            self._tell_own(wish, one)
            if one.announced:
                failover.set_announced(wish, (one.advertisement(),))
        self._waiting = self._clock.callLater(self._wait_s, self._wait_no_longer)
        for one in tuple(self._services.values()):
            if one.is_wanted() and not one.announced:
                self._decide(one)  # It was held when a former one was stopped.
        self._complete_if_all_known()

    def stop(self) -> None:
        """What is announced stays so, and nothing more is. Idempotent."""
        self._failover = None
        cancel(self._waiting)
        for service in self._services.values():
            service.end_pause()

    # -- a changed configuration ----------------------------------------------------------

    def add(self, settings: ServiceSettings, *, stands: bool = False) -> None:
        """A service more; `stands`: the kernel holds it already."""
        one = self._services[settings.name] = _Announced(settings, stands)
        self._by_key[service_key(settings)] = one
        self._tell_own(settings.name, one)
        self._decide(one)

    def adjust(self, settings: ServiceSettings) -> None:
        """Other settings for a service that stays."""
        one = self._services[settings.name]
        before, one.settings = one.advertisement(), settings
        self._tell_own(settings.name, one)
        self._decide(one)
        if one.announced and before != one.advertisement():
            self._tell(settings.name, one)

    def replace(self, name: str) -> None:
        """The service goes, but stays announced until forget() is called: a new one takes its
        place. Nothing if there is none of that name."""
        one = self._services.pop(name, None)
        if one is None:
            return
        one.end_pause()
        del self._by_key[service_key(one.settings)]
        self._awaited.discard(name)
        self._tell_own(name, None)
        if one.announced:
            wish = replaced(name, one.settings.address)
            self._replaced.setdefault(name, {})[wish] = one
            # Both in one turn of the reactor, so that no route changes.
            self._tell(wish, one)
            self._tell(name, None)
            self._tell_own(wish, one)

    def forget(self, name: str) -> None:
        """A service that is gone, or was replaced, is announced no longer."""
        for wish in self._replaced.pop(name, {}):
            self._tell(wish, None)
            self._tell_own(wish, None)

    def is_awaited(self, name: str) -> bool:
        """Whether something is announced that others replace, and it is not known yet whether this
        new service is to be announced."""
        one = self._services.get(name)
        if one is None or not (self.speaks and self._replaced):
            return False
        return one.settings.bgp.announced and not one.is_known()

    @property
    def speaks(self) -> bool:
        """Whether there are routers that are told."""
        return self._failover is not None

    # -- what happens ---------------------------------------------------------------------

    def service_stands(self, key: ServiceKey) -> None:
        """The kernel holds the service with its first pool, or again after a loss; other calls
        change nothing."""
        service = self._by_key.get(key)
        if service is not None and not service.stands:
            service.stands = True
            self._decide(service)

    def service_lost(self, key: ServiceKey) -> None:
        """The kernel holds the service no longer, or not one server of it, and does not take it
        back: here clients would reach nobody. Until service_stands is called again."""
        service = self._by_key.get(key)
        if service is not None and service.stands:
            service.stands = False
            self._decide(service)

    def servers_changed(self, name: str, health: Health) -> None:
        """A server of the service came, left, or is up or down."""
        service = self._services.get(name)
        if service is not None and service.health != health:
            service.health = health
            self._decide(service)

    def _decide(self, service: _Announced) -> None:
        settings, wanted = service.settings, service.is_wanted()
        if wanted and not service.announced and self._is_held(service):
            return
        if wanted != service.announced:
            service.announced = wanted
            service.end_hold()
            if not wanted and settings.bgp.announced:
                service.damping = service.damping.withdrawn(self._clock.seconds())
            self._say_why(service)
            service.weight = self._weight_of(service)
            self._tell(settings.name, service if wanted else None)
        elif wanted:
            self._tell_weight(service)
        if service.is_known():
            self._awaited.discard(settings.name)
            self._complete_if_all_known()

    def _is_held(self, service: _Announced) -> bool:
        """Whether it was withdrawn too often lately to be announced now."""
        wait_s = service.damping.wait_s(self._clock.seconds())
        if service.settings.bgp.withdraw_below is None or wait_s <= 0:
            return False
        if service.hold is None:
            self._log.warn(
                "[{service}] goes up and down: withdrawn {count} times lately, so it is announced"
                " again in {wait} s at the earliest",
                service=service.settings.name,
                count=service.damping.withdrawals,
                wait=math.ceil(wait_s),
            )
            service.hold = self._clock.callLater(wait_s, self._hold_over, service)
        return True

    def _hold_over(self, service: _Announced) -> None:
        service.hold = None
        self._decide(service)

    def held(self) -> tuple[HeldAnnouncement, ...]:
        """What would be announced if it had not gone up and down."""
        now_s = self._clock.seconds()
        return tuple(
            HeldAnnouncement(name, one.damping.withdrawals, one.damping.wait_s(now_s))
            for name, one in self._services.items()
            if one.hold is not None and one.is_wanted()
        )

    def _tell(self, wish: str, service: _Announced | None) -> None:
        if self._failover is not None:
            wanted = None if service is None else (service.advertisement(),)
            self._failover.set_announced(wish, wanted)

    def _tell_own(self, wish: str, service: _Announced | None) -> None:
        """Its address is ours, whether or not it is announced now."""
        if self._failover is not None:
            is_ours = service is not None and service.settings.bgp.announced
            self._failover.set_own(wish, service.settings.address if service and is_ours else None)

    def _weight_of(self, service: _Announced) -> int:
        """Never 0, which some routers take for a way not to be used at all: that is for
        bgp-withdraw-on-down to say."""
        return max(1, service.health.weight_up) if service.health is not None else 1

    def _tell_weight(self, service: _Announced) -> None:
        """Servers that come and go are not to bother every router each time."""
        by_weight = service.settings.bgp.link_bandwidth
        if by_weight is None or by_weight.bits_per_s is not None or service.pause is not None:
            return
        weight = self._weight_of(service)
        if weight != service.weight:
            service.weight = weight
            service.pause = self._clock.callLater(_WEIGHT_PAUSE_S, self._pause_over, service)
            self._tell(service.settings.name, service)

    def _pause_over(self, service: _Announced) -> None:
        service.pause = None
        if service.announced:
            self._tell_weight(service)

    def _say_why(self, service: _Announced) -> None:
        """The change itself is logged by the failover, for all services on the address."""
        health = service.health
        if not service.stands:
            self._log.error(
                "[{service}] the kernel has lost it, and refuses it: no longer announced",
                service=service.settings.name,
            )
            return
        if service.settings.bgp.withdraw_below is None or health is None:
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
            self._routes_complete()

    def _routes_complete(self) -> None:
        if self._failover is not None:
            self._failover.first_routes_complete()

    def _wait_no_longer(self) -> None:
        self._log.warn(
            "Not announced within {wait} s: {services}; peers are told that the routes are"
            " complete all the same",
            wait=int(self._wait_s),
            services=", ".join(sorted(self._awaited)),
        )
        self._routes_complete()


def _first_results_s(service: ServiceSettings) -> float:
    """Until all monitors may have called a server up, where its announcement waits for that."""
    if service.bgp.withdraw_below is None:
        return 0.0
    return max((m.rise * m.interval_s + m.timeout_s for m in service.monitors), default=0.0)
