"""The speaker: listeners, one Peering for each configured peer, and an orderly end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.internet.task import deferLater

from pybal.bgp.bfd.peers import BFD
from pybal.bgp.connection import BGPConnection
from pybal.bgp.constants import CeaseSubcode, ErrorCode
from pybal.bgp.found_peers import LinkNeighbour, group_of, makes_room, member_of, unfound
from pybal.bgp.messages import Notification
from pybal.bgp.network import Close
from pybal.bgp.notification import hard_reset, shutdown
from pybal.bgp.own_addresses import OwnAddresses
from pybal.bgp.peering import Peering
from pybal.bgp.ports import BGPPorts
from pybal.bgp.rib import Routes
from pybal.bgp.settings import ExportPolicy, PeerGroup, PeerSettings, SpeakerSettings
from pybal.bgp.snapshot import PeerSnapshot
from pybal.bgp.summing import SummingLog
from pybal.bgp.takeover import LeftSessions
from pybal.errors import said_by
from pybal.handover.format import HandoverError
from pybal.model import IPAddress
from pybal.net.listener import Listener
from pybal.runtime.clock import cancel
from pybal.runtime.stopping import end_each, end_in_turn, ending

_FLUSH_POLL_S = 0.02
_TIDY_S = 60.0
STANDSTILL_S = 5.0
_ABSENCE_S = 30.0  # that a restart may take, where the peer has not been told another time
FLUSH_LIMIT_S = 1.0  # for withdrawals to leave, before a peer that does not read is left behind


class Speaker:
    """Tells every configured peer the same routes. Only configured peers are spoken to."""

    def __init__(self, settings: SpeakerSettings, ports: BGPPorts) -> None:
        self.peerings = {p.address: Peering(settings, p, ports) for p in settings.peers}
        self.unknown_peers_total = 0
        self._settings = settings
        self._ports = ports
        self._log = SummingLog(ports.log, ports.clock)
        self._routes: Routes = {}
        self._own = OwnAddresses()
        self._listeners: list[Listener[Close]] = []
        self._groups: dict[IPAddress, PeerGroup] = {}
        self._neighbours: list[LinkNeighbour] = []
        self._tidying: Any = None
        self._restarting = False
        self._stopped = False
        self._reconfiguring = DeferredLock()
        self._left: LeftSessions | None = None
        self._bfd = BFD(
            ports.bfd_network,
            ports.clock,
            ports.random,
            ports.log,
            ports.bfd_numbers,
            ports.records.bfd,
        )

    def start(self, *, restarting: bool = False) -> None:
        """Listen and connect. An address that cannot be listened on is logged as an error, and
        tried again; connections of our own do without. `restarting`: peers are asked to keep the
        routes of our former life until `release_end_of_rib` (RFC 4724 section 4.1)."""
        self._restarting = restarting
        self._left = LeftSessions(self._ports.records, self._settings, self._log)
        self._listen()
        for peering in tuple(self.peerings.values()):
            self._start_peering(peering)
        for address in self._left.addresses:
            self._newcomer(address)
        self._look_for_neighbours()

    def _begin(self, peer: PeerSettings) -> Peering:
        """With a peer that is new."""
        peering = self.peerings[peer.address] = Peering(self._settings, peer, self._ports)
        peering.routes.want(self._routes)
        peering.set_own(self._own)
        self._start_peering(peering)
        return peering

    def _start_peering(self, peering: Peering) -> None:
        peering.restarting = peering.routes.end_of_rib_held = self._restarting
        peer = peering.peer
        taken = self._take_over(peering)
        if not taken:
            peering.start()
        if peer.bfd is not None:
            peering.detector = self._bfd.watch(
                peer.address,
                peer.local_address,
                peer.bfd,
                peering.bfd_changed,
                restarting=peering.restarting or taken,
            )

    def _take_over(self, peering: Peering) -> bool:
        """Whether the process before us has left a session with this peer that goes on."""
        taken = self._left.take(peering.peer) if self._left is not None else None
        if self._left is None or taken is None:
            return False
        try:
            peering.take_over(taken)
        except (OSError, HandoverError) as error:
            self._left.give_up(taken, said_by(error))
            return False
        return True

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
        if _identity(before) == _identity(settings):
            named = {peer.address for peer in settings.peers}
            kept |= {a for a, g in self._groups.items() if g in settings.groups and a not in named}
            kept |= self._neighbours_that_stay(settings)
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
                self._begin(peer)
        self._look_for_neighbours()

    def _has_stopped(self) -> bool:
        """A question, as the answer may change over an await."""
        return self._stopped

    def _drop(
        self, address: IPAddress, settings: SpeakerSettings, why: CeaseSubcode | None = None
    ) -> Deferred[None]:
        stays = any(peer.address == address for peer in settings.peers)
        subcode = why or (
            CeaseSubcode.OTHER_CONFIGURATION_CHANGE if stays else CeaseSubcode.PEER_DECONFIGURED
        )
        self._groups.pop(address, None)
        log, cease = self._ports.log, Notification(ErrorCode.CEASE, subcode)
        peering = self.peerings.pop(address)
        if subcode is CeaseSubcode.PEER_DECONFIGURED:
            cease = _for_good(peering, cease)
        stop = partial(peering.stop, cease)
        ended = ending(log, f"the peer {address}", stop)
        return ended.addCallback(lambda _: end_each(log, partial(self._gone, address)))

    def _gone(self, address: IPAddress) -> None:
        if address not in self.peerings:  # it may have come again, with a detector of its own
            self._bfd.forget(address)

    def _listen(self) -> None:
        self._listeners = [self._listener(a) for a in self._settings.listen_addresses]
        for listener in self._listeners:
            listener.start()

    def _listener(self, address: IPAddress) -> Listener[Close]:
        ports, settings = self._ports, self._settings

        def listen() -> Close:
            return ports.network.listen(address, settings, self._accept)

        where = f"{address} port {settings.listen_port}"
        return Listener(ports.clock, ports.log, where, listen, lambda close: close())

    def _stop_listening(self) -> list[Deferred[None]]:
        listeners, self._listeners = self._listeners, []
        return [ending(self._ports.log, "a listener", listener.stop) for listener in listeners]

    def _accept(self, address: IPAddress) -> BGPConnection | None:
        peering = self.peerings.get(address) or self._newcomer(address)
        if peering is not None:
            return peering.accept()
        self.unknown_peers_total += 1
        self._log.warn("Closed a connection of unconfigured {address}", address=address)
        return None

    # Peers that are not named by address

    def _newcomer(self, address: IPAddress) -> Peering | None:
        """One out of a prefix, if there is room."""
        group = group_of(self._settings, address)
        if group is None or self._stopped:
            return None
        if not self._has_room(group):
            self._log.warn(
                "No room for {address}: {network} has its {limit} peers",
                address=address, network=group.network, limit=group.limit,
            )  # fmt: skip
            return None
        self._groups[address] = group
        if self._tidying is None:
            self._tidying = self._ports.clock.callLater(_TIDY_S, self._tidy)
        return self._begin(member_of(group, address))

    def _has_room(self, group: PeerGroup) -> bool:
        members = [address for address, own in self._groups.items() if own == group]
        if len(members) < group.limit:
            return True
        now = self._ports.now()
        leaving = next((a for a in members if makes_room(self.peerings[a], now)), None)
        if leaving is None:
            return False
        self._drop(leaving, self._settings, CeaseSubcode.OUT_OF_RESOURCES)
        return True

    def _tidy(self) -> None:
        """Forget those that have gone."""
        self._tidying = None
        for address in tuple(self._groups):
            if self.peerings[address].is_deserted:
                self._drop(address, self._settings)
        if self._groups:
            self._tidying = self._ports.clock.callLater(_TIDY_S, self._tidy)

    def _look_for_neighbours(self) -> None:
        """On the interfaces of the settings, where we do not yet."""
        ports = self._ports
        wanted = self._settings.interfaces
        for neighbour in self._neighbours:
            if neighbour.settings not in wanted:
                neighbour.stop()
        self._neighbours = [one for one in self._neighbours if one.settings in wanted]
        known = [one.settings for one in self._neighbours]
        for settings in wanted:
            if settings not in known:
                neighbour = LinkNeighbour(
                    settings, ports.network, ports.clock, self._log, self._neighbour_found
                )
                self._neighbours.append(neighbour)
                neighbour.start()

    def _neighbours_that_stay(self, settings: SpeakerSettings) -> set[IPAddress]:
        staying = (one for one in self._neighbours if one.settings in settings.interfaces)
        return {one.address for one in staying if one.address is not None}

    def _neighbour_found(self, peer: PeerSettings) -> None:
        if self._stopped:
            return
        for address, peering in tuple(self.peerings.items()):
            if peering.peer.name == peer.name and address != peer.address:
                self._drop(address, self._settings)
        if peer.address not in self.peerings:
            self._begin(peer)

    def unfound_peers(self) -> tuple[PeerSnapshot, ...]:
        """Those of interfaces on which nobody has been found."""
        return tuple(unfound(self._neighbours))

    def _stop_looking(self) -> None:
        cancel(self._tidying)
        self._tidying = None
        for neighbour in self._neighbours:
            neighbour.stop()

    def announce(self, routes: Routes) -> None:
        """From now on every peer is to know exactly these routes."""
        self._routes = routes
        for peering in self.peerings.values():
            peering.routes.want(routes)

    def set_own(self, own: OwnAddresses) -> None:
        """Addresses of which peers are listened to, as far as `PeerSettings.imports` says."""
        self._own = own
        for peering in self.peerings.values():
            peering.set_own(own)

    def release_end_of_rib(self) -> None:
        """The first full set of routes has been announced: End-of-RIB may follow it. Sessions of
        the process before that no peer has taken end."""
        self._restarting = False
        left, self._left = self._left, None
        if left is not None:
            left.close()
        for peering in self.peerings.values():
            peering.release_end_of_rib()

    async def stand_still(self, work: Callable[[], None]) -> None:
        """Do what stops this process, for less than STANDSTILL_S: peers with BFD know first."""
        await self._bfd.pause(STANDSTILL_S)
        if not self._has_stopped():
            try:
                work()
            finally:
                self._bfd.go_on()

    async def withdraw(self) -> None:
        """Everything, and wait until that has left, at most FLUSH_LIMIT_S. `stop` is to follow."""
        self._stopped = True
        self.release_end_of_rib()
        self.announce({})
        await self._flushed()

    async def stop(self, reason: str) -> None:
        """Withdraw everything, then Cease/Administrative Shutdown with `reason` (RFC 9003), then
        close."""
        if not self._stopped:
            await end_in_turn(self._ports.log, self.withdraw)
        await self._end(lambda peering: peering.stop(_for_good(peering, shutdown(reason))))

    async def leave(self) -> None:
        """End for a planned restart. Sessions that the next process goes on with are left to it.
        Of the others, peers with graceful restart keep the routes, as they are told nothing
        (RFC 4724); from those that do not they are withdrawn."""
        self._stopped = True
        going_on = {p.peer.address for p in self.peerings.values() if p.can_hand_over}
        keeping = {p.peer.address for p in self.peerings.values() if p.routes.outlive_connection}

        def part_from(peering: Peering) -> Deferred[None]:
            address = peering.peer.address
            if address in going_on and peering.can_hand_over:
                peering.hand_over()
                return succeed(None)
            return peering.stop(None if address in keeping else shutdown("restart"))

        await end_in_turn(self._ports.log, lambda: self._take_leave(going_on, keeping))
        await self._end(part_from)

    async def _take_leave(self, going_on: set[IPAddress], keeping: set[IPAddress]) -> None:
        """The last words before a planned restart: whose sessions go on, whose routes are kept."""
        for address, peering in self.peerings.items():
            link = peering.links.established
            if address in going_on and link is not None:
                link.say_alive()  # so that the peer waits as long as it can
            elif address not in keeping:
                peering.routes.want({})
        await self._flushed()
        # RFC 5882 section 4.3: BFD shares our fate, and is not to undo what is kept.
        absences_s = {
            address: float(peering.peer.restart_time_s or _ABSENCE_S)
            for address, peering in self.peerings.items()
            if address in going_on | keeping
        }
        await self._bfd.rest(absences_s)

    async def _flushed(self) -> None:
        clock = self._ports.clock
        deadline = clock.seconds() + FLUSH_LIMIT_S
        while clock.seconds() < deadline:
            if all(peering.routes.flushed for peering in self.peerings.values()):
                return
            await deferLater(clock, _FLUSH_POLL_S, lambda: None)

    async def _end(self, part_from: Callable[[Peering], Deferred[None]]) -> None:
        log = self._ports.log
        parting = [
            ending(log, f"the peer {address}", partial(part_from, peering))
            for address, peering in self.peerings.items()
        ]
        end_each(log, self._stop_looking)
        await DeferredList([*parting, *self._stop_listening()])
        # Only now: some routers take even BFD's AdminDown for a failure of the session.
        end_each(log, self._log.close, self._bfd.stop)


def _for_good(peering: Peering, cease: Notification) -> Notification:
    """Where a plain Cease would keep the routes, a hard reset that carries it does not (RFC 8538
    sections 3.1 and 5.1)."""
    return hard_reset(cease) if peering.routes.outlive_notification else cease


def _unchanged_peers(before: SpeakerSettings, after: SpeakerSettings) -> set[IPAddress]:
    """The peers whose sessions can go on: what our OPENs say of ourselves is the same, too."""
    if _identity(before) != _identity(after):
        return set()
    kept = {_of_session(peer) for peer in after.peers}
    return {peer.address for peer in before.peers if _of_session(peer) in kept}


def _of_session(peer: PeerSettings) -> PeerSettings:
    """Without what can change while the session stands."""
    return replace(peer, export=ExportPolicy(), description="", imports=False, shares=False)


def _identity(settings: SpeakerSettings) -> object:
    return settings.local_asn, settings.router_id, settings.confederation


def _listening(settings: SpeakerSettings) -> object:
    """All that goes into the listening sockets."""
    secured = {(p.address, p.password, p.ao, p.ttl_security_hops) for p in settings.peers}
    return settings.listen_addresses, settings.listen_port, secured, settings.groups
