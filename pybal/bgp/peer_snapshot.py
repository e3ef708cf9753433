"""What people and metrics are shown of a peer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pybal.bgp.causes import Causes
from pybal.bgp.fsm import State
from pybal.bgp.importer import Importer
from pybal.bgp.link import Link
from pybal.bgp.messages import Open
from pybal.bgp.settings import PeerSettings
from pybal.bgp.snapshot import BGPConnectionSnapshot, PeerSnapshot


@dataclass(slots=True)
class Statistics:
    """What happened since the start. `messages` counts (type, direction)."""

    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    sessions_lost: int = 0
    connections_refused: int = 0
    causes: Causes = field(default_factory=Causes)
    state: State = State.IDLE
    state_since: float | None = None
    away_since: float | None = None

    def established_since(self, since: float) -> None:
        """A session goes on that was established then, by the wall clock."""
        self.change(State.ESTABLISHED, since)
        self.causes.established()

    def change(self, state: State, at: float) -> None:
        """The state changes, or may have, by the wall clock."""
        if state is not self.state:
            self.state, self.state_since = state, at
        if state is State.ESTABLISHED:
            self.away_since = None
        elif self.away_since is None:
            self.away_since = at

    def fingerprint(self) -> object:
        """Differs whenever anything in here does."""
        causes = self.causes.cause, self.causes.since
        counts = self.messages.total(), self.sessions_lost, self.connections_refused
        return counts, causes, self.state, self.state_since, self.away_since


class PeerView:
    """One peer's snapshot, made anew only when something of it has changed: hundreds of peers, most
    of them idle, are asked for it several times at each scrape."""

    def __init__(self) -> None:
        self._state: object = None
        self._snapshot: PeerSnapshot | None = None

    def snapshot(
        self,
        peer: PeerSettings,
        statistics: Statistics,
        links: tuple[Link, ...],
        leading: Link,
        bfd: str | None,
        importer: Importer,
    ) -> PeerSnapshot:
        """See peer_snapshot."""
        of_links = tuple((one.fsm, one.connection, one.side, _version(one)) for one in links)
        heard = importer.wanted, importer.version, importer.not_kept
        state = peer, bfd, heard, of_links, statistics.fingerprint()
        if self._snapshot is None or state != self._state:
            self._state = state
            self._snapshot = peer_snapshot(peer, statistics, links, leading, bfd, importer)
        return self._snapshot


def _version(link: Link) -> object:
    return None if link.rib is None else (link.rib.version, link.rib.wishes)


def peer_snapshot(
    peer: PeerSettings,
    statistics: Statistics,
    links: tuple[Link, ...],
    leading: Link,
    bfd: str | None,
    importer: Importer,
) -> PeerSnapshot:
    """`leading` is the link that is nearest to a session; `bfd` the state of BFD, if it runs."""
    session, rib = leading.session, leading.rib
    causes = statistics.causes
    return PeerSnapshot(
        address=peer.label,
        state=leading.state.value,
        established=leading.state is State.ESTABLISHED,
        asn=session.peer.asn if session is not None else peer.asn,
        since=statistics.state_since,
        away_since=statistics.away_since,
        last_error=causes.text,
        last_error_at=causes.at,
        hold_time_s=session.hold_time_s if session is not None else None,
        capabilities_sent=_names(session.local if session is not None else None),
        capabilities_received=_names(session.peer if session is not None else None),
        prefixes_told=len(rib.sent) if rib is not None else 0,
        not_told=tuple(sorted(Counter(rib.obstacles.values()).items())) if rib is not None else (),
        sessions_lost=statistics.sessions_lost,
        connections_refused=statistics.connections_refused,
        messages=tuple(
            (kind, direction, count)
            for (kind, direction), count in sorted(statistics.messages.items())
        ),
        timers=tuple(
            (kind.name.lower().removesuffix("_expires"), at) for at, kind in leading.fsm.deadlines()
        ),
        bfd=bfd,
        description=peer.description,
        connections=tuple(_connection_snapshot(peer, link) for link in links),
        heard=len(importer.routes) if importer.wanted else None,
        not_kept=importer.not_kept,
    )


def _names(message: Open | None) -> tuple[str, ...]:
    if message is None or message.capabilities is None:
        return ()
    return message.capabilities.names()


def _connection_snapshot(peer: PeerSettings, link: Link) -> BGPConnectionSnapshot:
    addresses = link.connection.addresses() if link.connection is not None else None
    local = peer.local_address
    default = (str(local) if local is not None else "", str(peer.address))
    local_ip, remote_ip = addresses if addresses is not None else default
    return BGPConnectionSnapshot(link.state.value, link.side.value, local_ip, remote_ip)
