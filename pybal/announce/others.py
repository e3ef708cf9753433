"""Who else announces our addresses, by what routers say (bgp-import)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from pybal.bgp.extended_community import is_link_bandwidth
from pybal.bgp.importer import ToldRoutes
from pybal.bgp.own_addresses import OwnAddresses
from pybal.bgp.peering import Peering
from pybal.bgp.preference import Preferred
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route, Routes
from pybal.bgp.snapshot import OthersRoute, OwnAddress
from pybal.model import IPAddress
from pybal.runtime.clock import cancel

_A_TURN = 100  # addresses: some milliseconds


class Others:
    """Keeps what is ours, and makes the picture anew only when something of it has changed: for
    more than a hundred addresses in several turns of the reactor, in which the one before is shown.
    `clock` is IReactorTime."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._turn: Any = None
        self._stopped = False
        self._extra: tuple[IPAddress, ...] = ()
        self._of: dict[str, IPAddress] = {}
        self._changed = True
        self._pictures: tuple[OwnAddress, ...] = ()
        self._state: object = None
        self._generation = 0

    @property
    def addresses(self) -> list[IPAddress]:
        """Ours, each once."""
        return list(dict.fromkeys((*self._of.values(), *self._extra)))

    def set_own(self, service: str, address: IPAddress | None) -> bool:
        """The address of a service, whether or not it is announced now; None: it has gone. Returns
        whether that is news."""
        if self._of.get(service) == address:
            return False
        if address is None:
            del self._of[service]
        else:
            self._of[service] = address
        self._changed = True
        return True

    def set_extra(self, addresses: tuple[IPAddress, ...]) -> None:
        """Those that belong to no service."""
        self._changed |= addresses != self._extra
        self._extra = addresses

    def take_changed(self) -> OwnAddresses | None:
        """All of them, if they have changed since it was last asked."""
        if not self._changed:
            return None
        self._changed = False
        self._generation += 1
        return OwnAddresses(self.addresses)

    def pictures(
        self, peerings: Collection[Peering], routes: Routes, publications: int
    ) -> tuple[OwnAddress, ...]:
        """One for each of our addresses, of peers that are to be listened to. `publications` grows
        with every change of `routes`, what is to be announced."""
        asked = [peering for peering in peerings if peering.importer.wanted]
        versions = tuple(
            (p.importer.version, p.routes.told_version, p.peer.label, p.peer.shares) for p in asked
        )
        state = (publications, self._generation, versions)
        if state != self._state and self._turn is None and not self._stopped:
            self._state = state
            self._go_on(self._made(asked, routes), [])
        return self._pictures

    def _go_on(self, making: Iterator[OwnAddress], made: list[OwnAddress]) -> None:
        self._turn = None
        before = len(made)
        made.extend(islice(making, _A_TURN))
        if len(made) - before < _A_TURN:
            self._pictures = tuple(made)
        else:
            self._turn = self._clock.callLater(0, self._go_on, making, made)

    def stop(self) -> None:
        """No more pictures."""
        self._stopped = True
        cancel(self._turn)
        self._turn = None

    def _made(self, asked: Collection[Peering], routes: Routes) -> Iterator[OwnAddress]:
        listening = [(p, ToldRoutes(p.routes.told)) for p in asked if p.importer.listens]
        announced = ToldRoutes(routes)
        for address in self.addresses if asked else ():
            yield _picture(address, announced, listening)

    def alone(self, told: Sequence[tuple[Peering, ToldRoutes]]) -> list[IPAddress]:
        """Addresses that nobody else announces, by all that we hear of peers, which have been
        `told` this of ours; who is about to go counts for nobody."""
        return [address for address in self.addresses if not _is_elsewhere(address, told)]


def _is_elsewhere(address: IPAddress, told: Sequence[tuple[Peering, ToldRoutes]]) -> bool:
    host = Prefix.host(address)
    return any(
        prefix == host and not route.is_leaving
        for peering, known in told
        for prefix, route, _ in peering.importer.about(address, known)
    )


def _picture(
    address: IPAddress, announced: ToldRoutes, listening: Sequence[tuple[Peering, ToldRoutes]]
) -> OwnAddress:
    host = Prefix.host(address)
    others: list[OthersRoute] = []
    verdicts: set[str] = set()
    shared = True
    for peering, told in listening:
        first = None
        for prefix, route, preferred in peering.importer.about(address, told):
            first = first or preferred
            others.append(
                OthersRoute(
                    peer=peering.peer.label,
                    prefix=str(prefix),
                    next_hop=None if route.next_hop is None else str(route.next_hop),
                    med=route.med,
                    local_pref=route.local_pref,
                    as_path=route.as_path,
                    path_length=route.path_length,
                    communities=tuple(f"{c >> 16}:{c & 0xFFFF}" for c in route.communities),
                    preferred=preferred.value,
                )
            )
        if first is None and told.best(host) is not None:
            first = Preferred.US
        if first is Preferred.ALIKE:
            shared &= peering.peer.shares
        if first is not None:
            verdicts.add(first.value)
    best = announced.best(host)
    return OwnAddress(
        address=str(address),
        announced=best is not None,
        preferred=_together(verdicts) if listening else None,
        others=tuple(others),
        shared=shared or (best is not None and _shares_by_capacity(best[1])),
    )


def _shares_by_capacity(route: Route) -> bool:
    return any(map(is_link_bandwidth, route.attributes.extended_communities))


def _together(verdicts: set[str]) -> str:
    if not verdicts:
        return "nobody"
    if Preferred.ALIKE.value in verdicts:
        return Preferred.ALIKE.value
    return next(iter(verdicts)) if len(verdicts) == 1 else "both"
