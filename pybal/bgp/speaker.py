"""The speaker: listeners, one Peering for each configured peer, and an orderly end."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.internet.task import deferLater

from pybal.bgp.bfd.detector import BFD
from pybal.bgp.connection import BGPConnection
from pybal.bgp.constants import CeaseSubcode, ErrorCode
from pybal.bgp.messages import Notification
from pybal.bgp.network import Close
from pybal.bgp.notification import hard_reset, shutdown
from pybal.bgp.peering import BGPPorts, Peering
from pybal.bgp.rib import Routes
from pybal.bgp.settings import ExportPolicy, PeerSettings, SpeakerSettings
from pybal.bgp.summing import SummingLog
from pybal.model import IPAddress
from pybal.net.listener import Listener

_FLUSH_POLL_S = 0.02
FLUSH_LIMIT_S = 5.0  # for withdrawals to leave, before a peer that does not read is left behind


class Speaker:
    """Tells every configured peer the same routes. Only configured peers are spoken to."""

    def __init__(self, settings: SpeakerSettings, ports: BGPPorts) -> None:
        self.peerings = {p.address: Peering(settings, p, ports) for p in settings.peers}
        self.unknown_peers_total = 0
        self._settings = settings
        self._ports = ports
        self._log = SummingLog(ports.log, ports.clock)
        self._routes: Routes = {}
        self._listeners: list[Listener[Close]] = []
        self._stopped = False
        self._reconfiguring = DeferredLock()
        self._bfd = BFD(ports.bfd_network, ports.clock, ports.random, ports.log)

    def start(self, *, restarting: bool = False) -> None:
        """Listen and connect. An address that cannot be listened on is logged as an error, and
        tried again; connections of our own do without. `restarting`: peers are asked to keep the
        routes of our former life until `release_end_of_rib` (RFC 4724 section 4.1)."""
        self._listen()
        for peering in self.peerings.values():
            peering.restarting = peering.end_of_rib_held = restarting
            self._start_peering(peering)

    def _start_peering(self, peering: Peering) -> None:
        peer = peering.peer
        peering.start()
        if peer.bfd is not None:
            peering.detector = self._bfd.watch(
                peer.address,
                peer.local_address,
                peer.bfd,
                peering.bfd_changed,
                restarting=peering.restarting,
            )

    async def reconfigure(self, settings: SpeakerSettings) -> None:
        """Go over to other settings. Sessions of peers whose settings stay are left alone;
        peers that are gone or changed are told so (RFC 4486) and end or begin anew."""
        await self._reconfiguring.acquire()
        try:
            await self._go_over_to(settings)
        finally:
            self._reconfiguring.release()

    async def _go_over_to(self, settings: SpeakerSettings) -> None:
        if self._has_stopped():
            return
        before, self._settings = self._settings, settings
        kept = _unchanged_peers(before, settings)
        ending = [self._drop(a, settings) for a in tuple(self.peerings) if a not in kept]
        relisten = _listening(before) != _listening(settings)
        if relisten:
            ending += self._stop_listening()
        await DeferredList(ending)
        if self._has_stopped():
            return
        if relisten:
            self._listen()
        for peer in settings.peers:
            if peer.address in self.peerings:
                self.peerings[peer.address].adjust(peer)
            else:
                peering = self.peerings[peer.address] = Peering(settings, peer, self._ports)
                peering.announce(self._routes)
                self._start_peering(peering)

    def _has_stopped(self) -> bool:
        """A question, as the answer may change over an await."""
        return self._stopped

    def _drop(self, address: IPAddress, settings: SpeakerSettings) -> Deferred[None]:
        stays = any(peer.address == address for peer in settings.peers)
        subcode = (
            CeaseSubcode.OTHER_CONFIGURATION_CHANGE if stays else CeaseSubcode.PEER_DECONFIGURED
        )
        ended = self.peerings.pop(address).stop(Notification(ErrorCode.CEASE, subcode))
        return ended.addCallback(lambda _: self._bfd.forget(address))

    def _listen(self) -> None:
        self._listeners = [self._listener(a) for a in self._settings.listen_addresses]
        for listener in self._listeners:
            listener.start()

    def _listener(self, address: IPAddress) -> Listener[Close]:
        ports, port, peers = self._ports, self._settings.listen_port, self._settings.peers

        def listen() -> Close:
            return ports.network.listen(address, port, peers, self._accept)

        where = f"{address} port {port}"
        return Listener(ports.clock, ports.log, where, listen, lambda close: close())

    def _stop_listening(self) -> list[Deferred[None]]:
        listeners, self._listeners = self._listeners, []
        return [listener.stop() for listener in listeners]

    def _accept(self, address: IPAddress) -> BGPConnection | None:
        peering = self.peerings.get(address)
        if peering is not None:
            return peering.accept()
        self.unknown_peers_total += 1
        self._log.warn("Closed a connection of unconfigured {address}", address=address)
        return None

    def announce(self, routes: Routes) -> None:
        """From now on every peer is to know exactly these routes."""
        self._routes = routes
        for peering in self.peerings.values():
            peering.announce(routes)

    def release_end_of_rib(self) -> None:
        for peering in self.peerings.values():
            peering.release_end_of_rib()

    async def stop(self, reason: str) -> None:
        """Withdraw everything, wait until that has left (at most FLUSH_LIMIT_S), then
        Cease/Administrative Shutdown with `reason` (RFC 9003), then close."""
        self._stopped = True
        self.announce({})
        await self._flushed()
        await self._end([p.stop(self._farewell(p, reason)) for p in self.peerings.values()])

    async def leave(self) -> None:
        """End for a planned restart: peers with graceful restart keep the routes, as they are
        told nothing (RFC 4724); from the others the routes are withdrawn."""
        self._stopped = True
        keeping = [p for p in self.peerings.values() if p.keeps_routes]
        for peering in self.peerings.values():
            if peering not in keeping:
                peering.announce({})
        await self._flushed()
        # RFC 5882 section 4.3: BFD shares our fate, and is not to undo what is kept.
        absences_s = {p.peer.address: float(p.peer.restart_time_s or 0) for p in keeping}
        await self._bfd.rest(absences_s)
        await self._end(
            [p.stop(None if p in keeping else shutdown("restart")) for p in self.peerings.values()]
        )

    def _farewell(self, peering: Peering, reason: str) -> Notification:
        cease = shutdown(reason)
        if not peering.notification_keeps_routes:
            return cease
        # RFC 8538 section 3.1: where a plain Cease would keep the routes, a hard reset that
        # carries it does not.
        return hard_reset(cease)

    async def _flushed(self) -> None:
        clock = self._ports.clock
        deadline = clock.seconds() + FLUSH_LIMIT_S
        while clock.seconds() < deadline:
            if all(peering.flushed for peering in self.peerings.values()):
                return
            await deferLater(clock, _FLUSH_POLL_S, lambda: None)

    async def _end(self, ending: list[Deferred[None]]) -> None:
        await DeferredList([*ending, *self._stop_listening()])
        self._log.close()
        # Only now: some routers take even BFD's AdminDown for a failure of the session.
        self._bfd.stop()


def _unchanged_peers(before: SpeakerSettings, after: SpeakerSettings) -> set[IPAddress]:
    """The peers whose sessions can go on: what our OPENs say of ourselves is the same, too."""
    if _identity(before) != _identity(after):
        return set()
    kept = {_of_session(peer) for peer in after.peers}
    return {peer.address for peer in before.peers if _of_session(peer) in kept}


def _of_session(peer: PeerSettings) -> PeerSettings:
    """Without what can change while the session stands."""
    return replace(peer, export=ExportPolicy(), description="")


def _identity(settings: SpeakerSettings) -> object:
    return settings.local_asn, settings.router_id, settings.confederation


def _listening(settings: SpeakerSettings) -> object:
    """All that goes into the listening sockets."""
    secured = {(p.address, p.password, p.ttl_security_hops) for p in settings.peers}
    return settings.listen_addresses, settings.listen_port, secured
