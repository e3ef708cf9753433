"""What has to be known of an established session to go on with it in another process. Pure.

The document of its record says what never changes; the journal what was sent, from which follows
what the peer has been told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

from pybal.bgp.constants import IPV4_UNICAST, Family, MessageType
from pybal.bgp.errors import BGPError
from pybal.bgp.header import take_message
from pybal.bgp.messages import Open, Update
from pybal.bgp.negotiation import Session, asn_towards, negotiate
from pybal.bgp.open import decode_open, encode_open
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.bgp.update import decode_update
from pybal.handover.format import Entry, HandoverError, Kind, Received

VERSION = 1

T = TypeVar("T")

Terms = Mapping[str, str]
"""What both ends have agreed on, or the socket was made with, as the configuration has it."""


@dataclass(frozen=True, slots=True)
class KeptSession:
    """One established session. `place` is the boot and the network namespace, `cookie` the socket's
    number there. `established_at` is in seconds of CLOCK_BOOTTIME, `since` in Unix seconds; the
    OPENs are those of the session."""

    place: str
    cookie: int
    peer: str
    active: bool
    terms: Terms
    local_open: Open
    peer_open: Open
    established_at: float
    since: float


def encode_session(kept: KeptSession) -> bytes:
    """HandoverError for one that could not be read again as it is."""
    document = {
        "version": VERSION,
        "place": kept.place,
        "cookie": kept.cookie,
        "peer": kept.peer,
        "active": kept.active,
        "terms": dict(kept.terms),
        "local_open": _open_text(kept.local_open),
        "peer_open": _open_text(kept.peer_open),
        "established_at": kept.established_at,
        "since": kept.since,
    }
    return json.dumps(document).encode()


def _open_text(message: Open) -> str:
    try:
        body = encode_open(message)
        if decode_open(body) == message:
            return body.hex()
    except BGPError as error:
        raise HandoverError(f"an OPEN cannot be kept: {error}") from None
    raise HandoverError("an OPEN cannot be kept")


def decode_session(data: bytes) -> KeptSession:
    """HandoverError for anything that `encode_session` has not made."""
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise HandoverError(f"the session is of version {document['version']!r:.20}")
        return KeptSession(
            place=_as(str, document["place"]),
            cookie=_as(int, document["cookie"]),
            peer=_as(str, document["peer"]),
            active=_as(bool, document["active"]),
            terms={_as(str, k): _as(str, v) for k, v in document["terms"].items()},
            local_open=decode_open(bytes.fromhex(document["local_open"])),
            peer_open=decode_open(bytes.fromhex(document["peer_open"])),
            established_at=_as(float, document["established_at"]),
            since=_as(float, document["since"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BGPError) as error:
        raise HandoverError(f"the session cannot be read: {type(error).__name__}") from None


def _as(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def terms_of(speaker: SpeakerSettings, peer: PeerSettings) -> Terms:
    """Of a peer as it is configured. A password is only compared: no one can read it here."""
    secret = sha256(f"pybal {peer.address}".encode() + (peer.password or b"")).hexdigest()
    return {
        "local asn": str(asn_towards(speaker, peer)),
        "member asn": str(speaker.local_asn),
        "confederation": str(
            speaker.confederation
            and (speaker.confederation.identifier, sorted(speaker.confederation.members))
        ),
        "router id": str(speaker.router_id),
        "peer asn": str(peer.asn),
        "port": str(peer.port),
        "local address": str(peer.local_address),
        "interface": str(peer.interface),
        "password": secret,
        "ao": str(peer.ao and (peer.ao.algorithm, peer.ao.send_id, peer.ao.receive_id)),
        "ttl security": str(peer.ttl_security_hops),
        "ttl": str(peer.ttl),
        "hold time": str(peer.hold_time_s),
        "families": ", ".join(map(str, peer.families)),
        "restart time": str(peer.restart_time_s),
        "stale time": str(peer.stale_time_s),
        "role": str(peer.role),
    }


def changed_terms(before: Terms, now: Terms) -> list[str]:
    """Those that differ. What one of the two does not know, of another version of PyBal, does
    not."""
    return [name for name in now if before.get(name, now[name]) != now[name]]


@dataclass(slots=True)
class Replayed:
    """What the journal says. `pending`: bytes that the kernel has not taken yet. `markers`:
    families whose End-of-RIB was sent. `asked`: those that the peer has asked to hear again, and
    has not."""

    routes: dict[Prefix, Route] = field(default_factory=dict)
    pending: bytes = b""
    markers: set[Family] = field(default_factory=set)
    asked: set[Family] = field(default_factory=set)


def session_of(kept: KeptSession, speaker: SpeakerSettings) -> Session:
    """As it was negotiated; for equal terms."""
    return negotiate(kept.local_open, kept.peer_open, speaker.confederation, speaker.local_asn)


def as_taken(received: Received | None, taken: int) -> Received:
    """What was read and not understood yet, if so many bytes were taken from the kernel. What comes
    is noted before it is taken: the kernel may still have the last of it. Raises HandoverError
    where something else was taken."""
    left = -1 if received is None else received.position - taken
    if received is None or not 0 <= left <= len(received.rest):
        raise HandoverError("something was read that is not known")
    return received._replace(position=taken, rest=received.rest[: len(received.rest) - left])


def replay(entries: Iterable[Entry], given: int, session: Session) -> Replayed:
    """What a journal comes to, if the kernel was given so many bytes. Raises HandoverError where
    that cannot be, and for a session that had ended."""
    found, stream, begin = Replayed(), bytearray(), None
    shared: dict[Route, Route] = {}
    for entry in entries:
        match entry.kind:
            case Kind.BEGIN:
                begin = int.from_bytes(entry.payload, "little")
            case Kind.ENDED:
                raise HandoverError("the session had ended")
            case Kind.NOTE:
                _take_note(found, entry.payload)
            case Kind.SENT | Kind.TOLD:
                for kind, body in _messages(entry.payload, session):
                    _take(found, kind, body, session, shared)
        if entry.kind in (Kind.SENT, Kind.PENDING):
            stream += entry.payload
    if begin is None:
        raise HandoverError("the journal has no beginning")
    if not begin <= given <= begin + len(stream):
        raise HandoverError(
            f"the kernel was given {given} bytes, and {begin} to {begin + len(stream)} are known"
        )
    found.pending = bytes(stream[given - begin :])
    return found


def _messages(data: bytes, session: Session) -> Iterator[tuple[MessageType, bytes]]:
    buffer = bytearray(data)
    try:
        while (taken := take_message(buffer, session.send_size)) is not None:
            yield taken
    except BGPError as error:
        raise HandoverError(f"what was sent cannot be read: {error}") from None
    if buffer:
        raise HandoverError("what was sent ends within a message")


def _take(
    found: Replayed, kind: MessageType, body: bytes, session: Session, shared: dict[Route, Route]
) -> None:
    if kind is MessageType.NOTIFICATION:
        raise HandoverError("the session had ended with a NOTIFICATION")
    if kind is MessageType.UPDATE:
        try:
            decoded = decode_update(body, session.scope)
        except BGPError as error:
            raise HandoverError(f"an UPDATE of ours cannot be read: {error}") from None
        if decoded.faults:
            raise HandoverError("an UPDATE of ours cannot be read")
        _apply(found, decoded.update, shared)


def _apply(found: Replayed, update: Update, shared: dict[Route, Route]) -> None:
    reach, unreach = update.mp_reach, update.mp_unreach
    if update == Update():
        found.markers.add(IPV4_UNICAST)
    elif unreach is not None and not unreach.prefixes and reach is None:
        found.markers.add(unreach.family)
    for prefix in (*update.withdrawn, *(unreach.prefixes if unreach is not None else ())):
        found.routes.pop(prefix, None)
    prefixes = reach.prefixes if reach is not None else update.prefixes
    next_hop = reach.next_hops[0] if reach is not None else update.next_hop
    if prefixes and next_hop is not None:
        route = Route(update.attributes, next_hop)
        # One object for all: whoever compares routes looks whether they are the same one first.
        route = shared.setdefault(route, route)
        found.routes |= dict.fromkeys(prefixes, route)


_ASKED, _ANSWERED = b"asked ", b"answered"


def note_asked(family: Family) -> bytes:
    """A note that the peer wants to hear a family again."""
    return _ASKED + f"{family.afi} {family.safi}".encode()


def note_answered() -> bytes:
    """A note that it has heard all that it wanted to."""
    return _ANSWERED


def _take_note(found: Replayed, note: bytes) -> None:
    if note == _ANSWERED:
        found.asked.clear()
    elif note.startswith(_ASKED):
        try:
            afi, safi = map(int, note.removeprefix(_ASKED).split())
        except ValueError:
            raise HandoverError("a note cannot be read") from None
        found.asked.add(Family(afi, safi))
