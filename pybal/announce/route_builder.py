"""What services want announced, as routes: with the settings' attributes and next hops."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any

from pybal.bgp.advertisement import Advertisement, LargeCommunity
from pybal.bgp.as_path import sequence
from pybal.bgp.constants import Origin
from pybal.bgp.director_mark import mark
from pybal.bgp.extended_community import link_bandwidth
from pybal.bgp.messages import PathAttributes
from pybal.bgp.prefix import Prefix, prefixes_of
from pybal.bgp.rib import Route
from pybal.bgp.settings import FailoverSettings
from pybal.model import IPAddress

_MOST_UNUSED = 100  # routes that nobody wants any more


class RouteBuilder:
    """Equal wishes end in one Route object, which keeps differences cheap."""

    def __init__(self, settings: FailoverSettings, log: Any) -> None:
        self._settings = settings
        self._log = log
        self._shared: dict[tuple[object, ...], Route] = {}

    def routes(self, wanted: Iterable[Advertisement]) -> dict[Prefix, Route]:
        """Of each prefix the first wish counts. What has no next hop is logged as an error."""
        routes: dict[Prefix, Route] = {}
        for wish in wanted:
            key = (
                wish.address.version, wish.med, wish.communities, wish.large_communities,
                wish.extended_communities, wish.link_bandwidth,
            )  # fmt: skip
            route = self._shared.get(key)
            if route is None:
                next_hop = self._next_hop(wish.address)
                if next_hop is None:
                    prefix = Prefix.host(wish.address)
                    self._log.error("No next hop for {prefix}: it is not announced", prefix=prefix)
                    continue
                route = self._shared[key] = Route(self._attributes(wish), next_hop)
            for prefix in prefixes_of(wish):
                routes.setdefault(prefix, route)
        return routes

    def forget_unused(self, in_use: Collection[Mapping[Prefix, Route]]) -> None:
        """Where the link bandwidth follows the servers that are up, each sum makes other routes.
        `in_use`: what was built of each service's wishes last."""
        if len(self._shared) > 2 * len(in_use) + _MOST_UNUSED:
            used = {id(route) for each in in_use for route in each.values()}
            self._shared = {k: route for k, route in self._shared.items() if id(route) in used}

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
            large_communities=(settings.large_communities if large is None else large)
            + self._mark(),
            extended_communities=self._extended_communities(wish),
        )

    def _mark(self) -> tuple[LargeCommunity, ...]:
        """With bgp-import."""
        speaker = self._settings.speaker
        return (mark(speaker.local_asn, speaker.router_id),) if speaker.imports else ()

    def _extended_communities(self, wish: Advertisement) -> tuple[bytes, ...]:
        own, general = wish.extended_communities, self._settings.extended_communities
        communities = general if own is None else own
        if wish.link_bandwidth is None:
            return communities
        return (*communities, link_bandwidth(self._settings.speaker.local_asn, wish.link_bandwidth))
