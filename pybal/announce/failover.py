"""Service states to advertisements: what the services want announced, peers are told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from pybal.bgp.aspath import sequence
from pybal.bgp.constants import GRACEFUL_SHUTDOWN_COMMUNITY, Origin
from pybal.bgp.messages import PathAttributes
from pybal.bgp.peering import BGPPorts, Peering
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from pybal.bgp.settings import Advertisement, FailoverSettings
from pybal.bgp.speaker import Speaker
from pybal.model import AnnouncedPrefix, BGPSnapshot, IPAddress

_MAX_LOGGED = 20  # prefixes of one change that are logged one by one


class BGPFailover:
    """Owns the speaker. A prefix is announced while at least one service wants it; if several
    do, the attributes are those of the first that asked."""

    def __init__(self, settings: FailoverSettings, ports: BGPPorts) -> None:
        self._settings = settings
        self._clock = ports.clock
        self._log = ports.log
        self._speaker = Speaker(settings.speaker, ports)
        self._wanted: dict[str, tuple[Advertisement, ...]] = {}
        self._routes_of: dict[str, dict[Prefix, Route]] = {}
        self._shared: dict[tuple[object, ...], Route] = {}
        self._routes: dict[Prefix, Route] = {}
        self._publications = 0
        self._announced: tuple[AnnouncedPrefix, ...] = ()
        self._announced_state: object = None
        self._publishing: Any = None
        self._ending: Deferred[None] | None = None

    @property
    def peerings(self) -> tuple[Peering, ...]:
        return tuple(self._speaker.peerings.values())

    def start(self, *, restarting: bool = False) -> None:
        """Listen and connect. After a planned restart (`restarting`) peers keep the routes of
        the former life until `first_routes_complete` is called; call it in any case."""
        self._speaker.start(restarting=restarting)
        self._publish()

    async def reconfigure(self, settings: FailoverSettings) -> None:
        """Go over to other settings, as on a reload. A session is touched only if its own
        peer's settings, our ASN or our router id have changed; changed attributes or next
        hops are announced anew over the sessions that stand."""
        if self._ending is not None:
            return
        self._settings = settings
        self._shared.clear()
        self._routes_of = {
            service: self._build_routes(wanted) for service, wanted in self._wanted.items()
        }
        self._publish()
        await self._speaker.reconfigure(settings.speaker)

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        """From now on `service` wants these addresses announced; None or nothing withdraws.
        Calls of one turn of the reactor are published together."""
        if self._ending is not None or self._wanted.get(service, ()) == (wanted or ()):
            return
        if wanted:
            self._wanted[service] = wanted
            self._routes_of[service] = self._build_routes(wanted)
        else:
            del self._wanted[service], self._routes_of[service]
        if self._publishing is None:
            self._publishing = self._clock.callLater(0, self._publish_next)

    def first_routes_complete(self) -> None:
        """Every service has said what it wants for the first time: End-of-RIB may follow."""
        self._publish()
        self._speaker.release_end_of_rib()

    def stop(self, reason: str) -> Deferred[None]:
        """Withdraw all (after the configured time as GRACEFUL_SHUTDOWN), then Cease with
        `reason`, then close. Fires when all has ended, in bounded time; idempotent."""
        return self._end(lambda: self._stop(reason))

    def stop_for_restart(self) -> Deferred[None]:
        """As `stop`, but peers with graceful restart keep the routes."""
        return self._end(self._stop_for_restart)

    def _end(self, how: Callable[[], Any]) -> Deferred[None]:
        if self._ending is None:
            self._cancel_publishing()
            self._ending = Deferred.fromCoroutine(how())
        done: Deferred[None] = Deferred()
        self._ending.addCallbacks(_also(done.callback), _also(done.errback))
        return done

    async def _stop(self, reason: str) -> None:
        await self._shut_down_gracefully(self.peerings)
        self._log.info("Withdrawing {count} prefixes", count=len(self._routes))
        await self._speaker.stop(reason)

    async def _stop_for_restart(self) -> None:
        await self._shut_down_gracefully([p for p in self.peerings if not p.keeps_routes])
        await self._speaker.leave()

    async def _shut_down_gracefully(self, peerings: Collection[Peering]) -> None:
        """RFC 8326, for so long as is configured, if a router hears of it."""
        delay_s = self._settings.shutdown_delay_s
        if delay_s > 0 and any(peering.established_link() for peering in peerings):
            routes = _shutting_down(self._routes)
            for peering in peerings:
                peering.announce(routes)
            await deferLater(self._clock, delay_s, lambda: None)

    # Routes

    def _cancel_publishing(self) -> None:
        if self._publishing is not None and self._publishing.active():
            self._publishing.cancel()
        self._publishing = None

    def _publish_next(self) -> None:
        """In a turn of its own: ten thousand wishes have taken theirs."""
        self._publishing = self._clock.callLater(0, self._publish)

    def _publish(self) -> None:
        self._cancel_publishing()
        if self._ending is not None:
            return
        routes: dict[Prefix, Route] = {}
        for of_service in reversed(self._routes_of.values()):
            routes.update(of_service)
        routes.update(self._build_routes(map(Advertisement, self._settings.extra_addresses)))
        self._log_change("No longer announcing", self._routes.keys() - routes.keys())
        self._log_change("Announcing", routes.keys() - self._routes.keys())
        self._routes = routes
        self._publications += 1
        self._speaker.announce(routes)

    def _log_change(self, what: str, prefixes: set[Prefix]) -> None:
        if len(prefixes) > _MAX_LOGGED:
            self._log.info("{what} {count} prefixes", what=what, count=len(prefixes))
            return
        for prefix in sorted(prefixes):
            self._log.info("{what} {prefix}", what=what, prefix=prefix)

    def _build_routes(self, wanted: Iterable[Advertisement]) -> dict[Prefix, Route]:
        """Equal wishes end in one Route object, which keeps differences cheap."""
        routes: dict[Prefix, Route] = {}
        for wish in wanted:
            prefix = Prefix.host(wish.address)
            key = (len(prefix.octets), wish.med, wish.communities, wish.large_communities)
            route = self._shared.get(key)
            if route is None:
                next_hop = self._next_hop(wish.address)
                if next_hop is None:
                    self._log.error("No next hop for {prefix}: it is not announced", prefix=prefix)
                    continue
                route = self._shared[key] = Route(self._attributes(wish), next_hop)
            routes.setdefault(prefix, route)
        return routes

    def _next_hop(self, address: IPAddress) -> IPAddress | None:
        settings = self._settings
        is_ipv4 = isinstance(address, IPv4Address)
        return settings.next_hop_ipv4 if is_ipv4 else settings.next_hop_ipv6

    def _attributes(self, wish: Advertisement) -> PathAttributes:
        settings = self._settings
        communities = settings.communities if wish.communities is None else wish.communities
        large = wish.large_communities
        return PathAttributes(
            origin=Origin.IGP,
            as_path=sequence(settings.as_path),
            med=settings.med if wish.med is None else wish.med,
            local_pref=settings.local_pref,
            communities=communities,
            large_communities=settings.large_communities if large is None else large,
        )

    # For people and metrics

    def snapshot(self) -> BGPSnapshot:
        speaker = self._speaker
        return BGPSnapshot(
            enabled=True,
            local_asn=self._settings.speaker.local_asn,
            peers=tuple(peering.snapshot() for peering in speaker.peerings.values()),
            announced=self._announced_prefixes(),
            unknown_peers_total=speaker.unknown_peers_total,
        )

    def _announced_prefixes(self) -> tuple[AnnouncedPrefix, ...]:
        """Made anew only when something has changed: every scrape asks for it."""
        peerings = self.peerings
        state = (self._publications, tuple(peering.told_version for peering in peerings))
        if self._announced_state != state:
            told = [(str(p.peer.address), p.prefixes_told) for p in peerings]
            self._announced = tuple(self._announced_now(told))
            self._announced_state = state
        return self._announced

    def _announced_now(
        self, told: list[tuple[str, Collection[Prefix]]]
    ) -> Iterator[AnnouncedPrefix]:
        services: dict[Prefix, list[str]] = {}
        for service, routes in self._routes_of.items():
            for prefix in routes:
                services.setdefault(prefix, []).append(service)
        for prefix, route in self._routes.items():
            attributes = route.attributes
            yield AnnouncedPrefix(
                prefix=str(prefix),
                next_hop=str(route.next_hop),
                med=attributes.med,
                communities=tuple(f"{c >> 16}:{c & 0xFFFF}" for c in attributes.communities),
                large_communities=tuple(
                    ":".join(map(str, large)) for large in attributes.large_communities
                ),
                services=tuple(services.get(prefix, ())),
                peers=tuple(address for address, sent in told if prefix in sent),
                as_path=self._settings.as_path,
                local_pref=attributes.local_pref,
            )


def _shutting_down(routes: dict[Prefix, Route]) -> dict[Prefix, Route]:
    """The same routes with the GRACEFUL_SHUTDOWN community (RFC 8326 section 4)."""
    marked: dict[int, Route] = {}
    for route in routes.values():
        if id(route) not in marked:
            communities = (*route.attributes.communities, GRACEFUL_SHUTDOWN_COMMUNITY)
            attributes = replace(route.attributes, communities=communities)
            marked[id(route)] = replace(route, attributes=attributes)
    return {prefix: marked[id(route)] for prefix, route in routes.items()}


def _also(tell: Callable[[Any], None]) -> Callable[[Any], Any]:
    """A callback that tells another Deferred and passes the result on."""

    def passing(result: Any) -> Any:
        tell(result)
        return result

    return passing
