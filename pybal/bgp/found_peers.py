"""Peers that the configuration does not name by address: those out of a prefix, which connect to
us, and those at the other end of a link, which advertise themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

from pybal.bgp.fsm import State
from pybal.bgp.network import BGPNetwork
from pybal.bgp.peering import Peering
from pybal.bgp.settings import InterfacePeer, PeerGroup, PeerSettings, SpeakerSettings
from pybal.bgp.snapshot import PeerSnapshot
from pybal.errors import said_by
from pybal.model import IPAddress
from pybal.runtime.retry import Retry

_FIRST_RETRY_S = 1.0
_MAX_RETRY_S = 30.0
_SILENT_S = 2.0


def member_of(group: PeerGroup, address: IPAddress) -> PeerSettings:
    """The settings of one that connects. We never do: who is not there is not missed."""
    peer = group.peer
    return replace(peer, address=address, fsm=replace(peer.fsm, passive=True))


def group_of(settings: SpeakerSettings, address: IPAddress) -> PeerGroup | None:
    """The smallest prefix that holds the address."""
    found = [g for g in settings.groups if address in g.network]
    return max(found, key=lambda group: group.network.prefixlen, default=None)


def makes_room(peering: Peering, now: float) -> bool:
    """Whether a member may go for another that has come; `now` in Unix seconds. One that connects
    says OPEN at once: who does not is dead, or means to be in the way."""
    if peering.is_deserted:
        return True
    since, leading = peering.statistics.state_since, peering.links.leading
    silent = leading.connection is not None and leading.state is State.OPEN_SENT
    return silent and since is not None and now - since >= _SILENT_S


class LinkNeighbour:
    """Looks for the router on one interface. `found` is called with its settings when it is known,
    and again when another one has taken its place."""

    def __init__(
        self,
        settings: InterfacePeer,
        network: BGPNetwork,
        clock: Any,
        log: Any,
        found: Callable[[PeerSettings], None],
    ) -> None:
        self.settings = settings
        self.address: IPv6Address | None = None
        self._network = network
        self._log = log
        self._found = found
        self._stop: Callable[[], None] | None = None
        self._retry = Retry(clock, self.start, _FIRST_RETRY_S, _MAX_RETRY_S)
        self._error = ""

    def start(self) -> None:
        """Look for a router; if that cannot be done, try again until it can."""
        interface = self.settings.interface
        try:
            self._stop = self._network.discover(interface, self._advertised)
        except OSError as error:
            reason = said_by(error)
            if reason != self._error:
                self._error = reason
                self._log.error(
                    "Cannot look for a peer on {interface}: {reason}; trying again until it works",
                    interface=interface,
                    reason=reason,
                )
            self._retry.failed()
        else:
            self._error = ""

    def stop(self) -> None:
        """Look no more. Idempotent."""
        self._retry.cancel()
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def _advertised(self, address: IPv6Address) -> None:
        if address == self.address:
            return
        self.address = address
        interface = self.settings.interface
        self._log.info("Found {address} on {interface}", address=address, interface=interface)
        self._found(self.peer_settings(address))

    def peer_settings(self, address: IPv6Address) -> PeerSettings:
        """Those of the router with this address, which is called as the interface is."""
        interface = self.settings.interface
        return replace(self.settings.peer, address=address, interface=interface, name=interface)

    def snapshot(self) -> PeerSnapshot:
        """While nobody has been found."""
        why = self._error or "no router has advertised itself there yet"
        peer = self.settings.peer
        return PeerSnapshot(
            address=self.settings.interface,
            state="Idle",
            established=False,
            asn=peer.asn,
            last_error=why,
            description=peer.description,
        )


def unfound(neighbours: list[LinkNeighbour]) -> Iterator[PeerSnapshot]:
    """What is shown of links on which nobody has been found."""
    return (one.snapshot() for one in neighbours if one.address is None)
