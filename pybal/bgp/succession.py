"""One peer's session over the end of a process: kept while it lives, gone on with by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pybal.bgp.adj_rib_out import AdjRIBOut
from pybal.bgp.codec import encode
from pybal.bgp.connection import BGPConnection
from pybal.bgp.descriptor_names import SESSION_PREFIX
from pybal.bgp.fsm import FSM
from pybal.bgp.fsm_step import resumed
from pybal.bgp.kept_session import KeptSession, terms_of
from pybal.bgp.link import Link, Side
from pybal.bgp.negotiation import Session
from pybal.bgp.ports import BGPPorts
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.bgp.takeover import TakenSession
from pybal.errors import said_by
from pybal.handover.format import Entry, HandoverError, Kind
from pybal.runtime.naming import counted


def keep_session(
    link: Link, speaker: SpeakerSettings, peer: PeerSettings, now: float, log: Any
) -> None:
    """From now on the next process could go on with this session, which has just been
    established. `now` is in Unix seconds."""
    connection, session, since = link.connection, link.session, link.fsm.established_at
    recorder = connection.recorder if connection is not None else None
    if connection is None or recorder is None or session is None or since is None:
        return
    try:
        place, cookie = recorder.identify()
        kept = KeptSession(
            place=place,
            cookie=cookie,
            peer=str(peer.address),
            active=link.side is Side.ACTIVE,
            terms=terms_of(speaker, peer),
            local_open=session.local,
            peer_open=session.peer,
            established_at=float(since),
            since=now,
        )
    except (OSError, HandoverError) as error:
        log.warn(
            "The session with {peer} is not kept: {error}", peer=peer.label, error=said_by(error)
        )
        return
    recorder.establish(f"{SESSION_PREFIX}{cookie:x}", kept, connection.waiting, lambda: _said(link))


def go_on(
    link: Link,
    taken: TakenSession,
    ports: BGPPorts,
    new_rib: Callable[[Session], AdjRIBOut],
    log: Any,
) -> None:
    """With a session of the process before us. Raises OSError if its socket is of no use,
    HandoverError if nothing more can be kept of it."""
    left, session, found = taken.left, taken.session, taken.replayed
    recorder = ports.records.recorder(taken)
    recorder.resume(
        left.name, left.memory, left.counts, found.pending, found.asked, lambda: _said(link)
    )
    connection = BGPConnection(ports.clock, link, ports.records)
    connection.resume(session, recorder, taken.received.rest, found.pending)
    now = ports.clock.seconds()
    fsm = resumed(session, now, taken.received.at, taken.kept.established_at)
    link.take_over(fsm, connection)
    try:
        ports.network.adopt(left.connection, connection)
    except OSError:
        link.resume_from(FSM())
        raise
    # Only now it is known which address of ours the connection has, which may be the next hop.
    rib = link.rib = new_rib(session)
    rib.resume(found.routes, found.markers, found.asked)
    log.info(
        "Session with {peer} goes on from the process before us: {prefixes} told",
        peer=taken.kept.peer,
        prefixes=counted(len(found.routes), "prefix", "prefixes"),
    )


def _said(link: Link) -> Iterator[Entry]:
    if link.rib is not None and link.session is not None:
        session = link.session
        for update in link.rib.said():
            yield Entry(Kind.TOLD, encode(update, session.scope, session.send_size))
