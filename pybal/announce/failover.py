"""Service states to advertisements: what the services want announced, peers are told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from pybal.announce.last_choice import as_last_choice
from pybal.announce.maintenance import Maintenance, Phase, phase_since
from pybal.announce.others import Others
from pybal.announce.route_builder import RouteBuilder
from pybal.announce.wishes import service_of
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.extended_community import community_text
from pybal.bgp.importer import ToldRoutes
from pybal.bgp.peering import Peering
from pybal.bgp.ports import BGPPorts
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from pybal.bgp.settings import FailoverSettings
from pybal.bgp.snapshot import AnnouncedPrefix, BGPSnapshot, MaintenanceSnapshot
from pybal.bgp.speaker import Speaker
from pybal.model import IPAddress
from pybal.runtime.clock import cancel
from pybal.runtime.naming import counted, named
from pybal.runtime.stopping import end_in_turn

_MAX_LOGGED = 20  # prefixes of one change that are logged one by one, or named in a line
_LAST_LOOK_S = 1.0  # for routers to say, at a stop, whom they have instead of us
_LAST_LOOKS = 10
_SET_S = 1.0  # the wall clock was set; by less it drifts


class BGPFailover:
    """Owns the speaker. A prefix is announced while at least one service wants it; if several
    do, the attributes are those of the first that asked.

    `maintenance` is that of our former life; `keep_maintenance` is told whenever it changes."""

    def __init__(
        self,
        settings: FailoverSettings,
        ports: BGPPorts,
        maintenance: Maintenance = Maintenance(),  # noqa: B008 - frozen
        keep_maintenance: Callable[[Maintenance], object] = lambda _: None,
    ) -> None:
        self.maintenance = maintenance
        self._keep_maintenance = keep_maintenance
        self._withdrawing: Any = None
        self._now = ports.now
        self._settings = settings
        self._clock = ports.clock
        self._began_at_s: dict[float, float] = {}
        """By the reactor's clock, which nobody sets: by Unix seconds, as `maintenance` has them."""
        self._note_beginnings()
        self._log = ports.log
        self._speaker = Speaker(settings.speaker, ports)
        self._others = Others(ports.clock)
        self._wanted: dict[str, tuple[Advertisement, ...]] = {}
        self._routes_of: dict[str, dict[Prefix, Route]] = {}
        self._builder = RouteBuilder(settings, ports.log)
        self._routes: dict[Prefix, Route] = {}
        self._publications = 0
        self._announced: tuple[AnnouncedPrefix, ...] = ()
        self._announced_state: object = None
        self._publishing: Any = None
        self._ending: Deferred[None] | None = None

    @property
    def peerings(self) -> tuple[Peering, ...]:
        """All routers that there are now."""
        return tuple(self._speaker.peerings.values())

    def start(self, *, restarting: bool = False) -> None:
        """Listen and connect. After a planned restart (`restarting`) peers keep the routes of
        the former life until `first_routes_complete` is called; call it in any case."""
        self._speaker.start(restarting=restarting)
        for scope, _ in self.maintenance.scopes():
            self._log.warn("Still in maintenance: {scope}", scope=scope or "this whole director")
        self._publish()

    def begin_maintenance(self, service: str | None = None) -> bool:
        """Move the traffic of a service, or of the whole director, away by BGP; everything else
        goes on. Until `end_maintenance`, over restarts, too. An address that several services share
        is moved when all of them are in maintenance. Idempotent; whether it begins now."""
        return self._change_maintenance(self.maintenance.begun(service, self._now()))

    def end_maintenance(self, service: str | None = None) -> bool:
        """Announce as before. That of a service and that of the director end each by itself.
        Whether it ends now."""
        return self._change_maintenance(self.maintenance.ended(service))

    def follow_maintenance(self, renames: Iterable[tuple[str, str]]) -> None:
        """Services come in the place of others: former and present name. The maintenance of those
        goes on for both, until it is ended for the former name, whose routes stay meanwhile."""
        self._change_maintenance(self.maintenance.followed(renames))

    def _change_maintenance(self, maintenance: Maintenance) -> bool:
        before, self.maintenance = self.maintenance, maintenance
        if before == maintenance:
            return False
        self._note_beginnings()
        was, now = dict(before.scopes()), dict(maintenance.scopes())
        for scope in (*(now.keys() - was.keys()), *(was.keys() - now.keys())):
            what = "Maintenance begins" if scope in now else "Maintenance ends"
            self._log.info("{what}: {scope}", what=what, scope=scope or "this whole director")
        self._keep_maintenance(maintenance)
        self._publish()
        return True

    def _note_beginnings(self) -> None:
        """Of what is in maintenance. A time to come is that of a clock which was wrong."""
        now, now_s, known = self._now(), self._clock.seconds(), self._began_at_s
        self._began_at_s = {
            since: known.get(since, now_s - max(0.0, now - since))
            for _, since in self.maintenance.scopes()
        }

    async def reconfigure(self, settings: FailoverSettings) -> None:
        """Go over to other settings, as on a reload. A session is touched only if its own
        peer's settings, our ASN or our router id have changed; changed attributes or next
        hops are announced anew over the sessions that stand."""
        if self._ending is not None:
            return
        self._settings = settings
        self._builder = RouteBuilder(settings, self._log)
        self._routes_of = {
            service: self._builder.routes(wanted) for service, wanted in self._wanted.items()
        }
        self._publish()
        await self._speaker.reconfigure(settings.speaker)

    async def stand_still(self, work: Callable[[], None]) -> None:
        """See Speaker."""
        await self._speaker.stand_still(work)

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        """From now on `service` wants these addresses announced; None or nothing withdraws.
        Calls of one turn of the reactor are published together."""
        if self._ending is not None or self._wanted.get(service, ()) == (wanted or ()):
            return
        if wanted:
            self._wanted[service] = wanted
            self._routes_of[service] = self._builder.routes(wanted)
            self._builder.forget_unused(self._routes_of.values())
        else:
            del self._wanted[service], self._routes_of[service]
        self._publish_soon()

    def _publish_soon(self) -> None:
        if self._publishing is None:
            self._publishing = self._clock.callLater(0, self._publish_next)

    def set_own(self, service: str, address: IPAddress | None) -> None:
        """The address of `service`, whether or not it is announced; None: it is ours no longer.
        With bgp-import it is what peers are listened to about."""
        if self._ending is None and self._others.set_own(service, address):
            self._publish_soon()

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
            self._withdraw_later(None)
            self._others.stop()
            self._ending = Deferred.fromCoroutine(how())
        done: Deferred[None] = Deferred()
        self._ending.addCallbacks(_also(done.callback), _also(done.errback))
        return done

    async def _stop(self, reason: str) -> None:
        gracefully = partial(self._shut_down_gracefully, self.peerings)
        stop = partial(self._speaker.stop, reason)
        await end_in_turn(self._log, gracefully, self._withdraw, stop)

    async def _withdraw(self) -> None:
        what = counted(len(self._routes), "prefix", "prefixes")
        self._log.info("Withdrawing {what}", what=what)
        asked = [peering for peering in self.peerings if peering.importer.wanted]
        told = [(peering, ToldRoutes(dict(peering.routes.told))) for peering in asked]
        await self._speaker.withdraw()
        await self._look_for_others(told)

    async def _look_for_others(self, told: Sequence[tuple[Peering, ToldRoutes]]) -> None:
        """A router tells us of others only once it prefers them: now, if there are any. `told` is
        what it knew of ours before."""
        gone = {prefix.octets for prefix in self._routes}

        def alone() -> list[IPAddress]:
            return [each for each in self._others.alone(told) if each.packed in gone]

        if not told or not gone:
            return
        for _ in range(_LAST_LOOKS):
            if not alone() or not any(peering.importer.listens for peering, _ in told):
                break
            await deferLater(self._clock, _LAST_LOOK_S / _LAST_LOOKS, lambda: None)
        left = alone()
        if left:
            self._log.warn(
                "Nobody else announces {addresses}, as far as routers say: no other director takes"
                " over",
                addresses=named(left, _MAX_LOGGED),
            )

    async def _stop_for_restart(self) -> None:
        leaving = [
            p for p in self.peerings if not p.routes.outlive_connection and not p.can_hand_over
        ]
        gracefully = partial(self._shut_down_gracefully, leaving)
        await end_in_turn(self._log, gracefully, self._speaker.leave)

    async def _shut_down_gracefully(self, peerings: Collection[Peering]) -> None:
        """As in maintenance, for so long as is configured, if a router hears of it."""
        delay_s = self._settings.shutdown_delay_s
        if delay_s > 0 and any(peering.links.established for peering in peerings):
            routes = self._as_last_choice(self._routes)
            for peering in peerings:
                peering.routes.want(routes)
            await deferLater(self._clock, delay_s, lambda: None)

    # Routes

    def _cancel_publishing(self) -> None:
        cancel(self._publishing)
        self._publishing = None

    def _publish_next(self) -> None:
        """In a turn of its own: ten thousand wishes have taken theirs."""
        self._publishing = self._clock.callLater(0, self._publish)

    def _publish(self) -> None:
        self._cancel_publishing()
        if self._ending is not None:
            return
        routes = self._routes_of_services()
        routes.update(self._builder.routes(map(Advertisement, self._settings.extra_addresses)))
        self._log_change("No longer announcing", self._routes.keys() - routes.keys())
        self._log_change("Announcing", routes.keys() - self._routes.keys())
        self._routes = routes
        self._publications += 1
        self._others.set_extra(self._settings.extra_addresses)
        own = self._others.take_changed() if self._settings.speaker.imports else None
        if own is not None:
            self._speaker.set_own(own)
        self._speaker.announce(routes)

    def _routes_of_services(self) -> dict[Prefix, Route]:
        """What is in maintenance gives way to what is not."""
        by_phase: dict[Phase, dict[Prefix, Route]] = {phase: {} for phase in Phase}
        now_s, how = self._clock.seconds(), self._settings.maintenance
        maintenance = self.maintenance.by_clock(self._began_at_s)
        for wish in reversed(self._routes_of):
            phase = maintenance.phase(service_of(wish), now_s, how)
            by_phase[phase].update(self._routes_of[wish])
        self._withdraw_later(maintenance.next_change_s(now_s, how))
        return self._as_last_choice(by_phase[Phase.LAST_CHOICE]) | by_phase[Phase.NONE]

    def _withdraw_later(self, wait_s: float | None) -> None:
        cancel(self._withdrawing)
        self._withdrawing = None
        if wait_s is not None:
            self._withdrawing = self._clock.callLater(wait_s, self._publish)

    def _as_last_choice(self, routes: dict[Prefix, Route]) -> dict[Prefix, Route]:
        asn = self._settings.speaker.local_asn
        return as_last_choice(routes, asn, self._settings.maintenance) if routes else {}

    def _log_change(self, what: str, prefixes: set[Prefix]) -> None:
        if len(prefixes) > _MAX_LOGGED:
            self._log.info("{what} {count} prefixes", what=what, count=len(prefixes))
            return
        for prefix in sorted(prefixes):
            self._log.info("{what} {prefix}", what=what, prefix=prefix)

    # For people and metrics

    def snapshot(self) -> BGPSnapshot:
        """As it stands; parts that are as they were are the same objects."""
        speaker = self._speaker
        return BGPSnapshot(
            enabled=True,
            local_asn=self._settings.speaker.local_asn,
            peers=(
                *(peering.snapshot() for peering in speaker.peerings.values()),
                *speaker.unfound_peers(),
            ),
            announced=self._announced_prefixes(),
            unknown_peers_total=speaker.unknown_peers_total,
            maintenance=tuple(self._maintenance_snapshots()),
            router_id=str(self._settings.speaker.router_id),
            imports=any(peering.importer.wanted for peering in self.peerings),
            own=self._others.pictures(self.peerings, self._routes, self._publications),
            clock_s=self._clock.seconds(),
        )

    def _maintenance_snapshots(self) -> Iterator[MaintenanceSnapshot]:
        now_s, how = self._clock.seconds(), self._settings.maintenance
        for scope, since in self.maintenance.scopes():
            began_at_s = self._began_at_s[since]
            withdrawn = phase_since(began_at_s, now_s, how) is Phase.WITHDRAWN
            at = None if how.withdraw_after_s is None else since + how.withdraw_after_s
            set_by_s = self._now() - now_s - (since - began_at_s)
            if at is not None and not withdrawn and abs(set_by_s) >= _SET_S:
                at += set_by_s  # By the clock as it is set now.
            yield MaintenanceSnapshot(scope, since, withdrawn, at)

    def _announced_prefixes(self) -> tuple[AnnouncedPrefix, ...]:
        """Made anew only when something has changed: every scrape asks for it."""
        peerings = self.peerings
        state = (self._publications, tuple(peering.routes.told_version for peering in peerings))
        if self._announced_state != state:
            told = [(p.peer.label, p.routes.prefixes_told) for p in peerings]
            self._announced = tuple(self._announced_now(told))
            self._announced_state = state
        return self._announced

    def _announced_now(
        self, told: list[tuple[str, Collection[Prefix]]]
    ) -> Iterator[AnnouncedPrefix]:
        services: dict[Prefix, dict[str, None]] = {}
        for wish, routes in self._routes_of.items():
            for prefix in routes:
                services.setdefault(prefix, {})[service_of(wish)] = None
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
                extended_communities=tuple(map(community_text, attributes.extended_communities)),
                as_path=tuple(asn for segment in attributes.as_path or () for asn in segment.asns),
                local_pref=attributes.local_pref,
            )


def _also(tell: Callable[[Any], None]) -> Callable[[Any], Any]:
    """A callback that tells another Deferred and passes the result on."""

    def passing(result: Any) -> Any:
        tell(result)
        return result

    return passing
