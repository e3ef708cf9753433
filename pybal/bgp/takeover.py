"""Sessions that the process before us has left: which can go on, and how the others end."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from pybal.bgp.bfd.memory import BFDMemory
from pybal.bgp.codec import encode
from pybal.bgp.constants import CeaseSubcode, ErrorCode
from pybal.bgp.descriptor_names import SESSION_PREFIX
from pybal.bgp.kept_session import (
    KeptSession,
    Replayed,
    as_taken,
    changed_terms,
    decode_session,
    replay,
    session_of,
    terms_of,
)
from pybal.bgp.messages import Notification
from pybal.bgp.negotiation import Session
from pybal.bgp.notification import hard_reset
from pybal.bgp.recorder import Recorder, RecordPorts
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.errors import said_by
from pybal.handover.connection import ByteCounts, byte_counts, cookie
from pybal.handover.format import Entry, HandoverError, Received
from pybal.handover.memory import RecordMemory
from pybal.model import IPAddress

_DRAIN_BYTES = 65536
_DRAIN_TRIES = 64


@dataclass(frozen=True, slots=True)
class TakenSession:
    """All that is needed to go on."""

    left: LeftSession
    kept: KeptSession
    session: Session
    replayed: Replayed
    received: Received


class LeftSession:
    """One session as it was left, its socket open. Either `take` or `close` it."""

    def __init__(
        self,
        *,
        name: str,
        connection: socket.socket,
        memory: RecordMemory,
        kept: KeptSession,
        received: Received | None,
        entries: tuple[Entry, ...],
        counts: ByteCounts,
    ) -> None:
        self.name = name
        self.connection = connection
        self.memory = memory
        self.kept = kept
        self.counts = counts
        self._received = received
        self._entries = entries

    @property
    def address(self) -> IPAddress:
        """The peer's."""
        return ip_address(self.kept.peer)

    def take(self, speaker: SpeakerSettings, peer: PeerSettings) -> TakenSession:
        """Go on, if nothing has changed between the two ends, and all is known that was read and
        written. Raises HandoverError, which says why not."""
        changed = changed_terms(self.kept.terms, terms_of(speaker, peer))
        if changed:
            raise ChangedTermsError(f"its settings have changed ({', '.join(changed)})")
        session = session_of(self.kept, speaker)
        if peer.imports and not session.route_refresh:
            raise HandoverError("it cannot be asked for its routes again")
        replayed = replay(self._entries, self.counts.given, session)
        received = as_taken(self._received, self.counts.taken)
        return TakenSession(self, self.kept, session, replayed, received)

    def pending(self, speaker: SpeakerSettings) -> bytes | None:
        """What has to be said first, whatever is said then; None if that is not known."""
        try:
            return replay(self._entries, self.counts.given, session_of(self.kept, speaker)).pending
        except Exception:  # noqa: BLE001 - see LeftSessions.take; that has been logged
            return None

    def farewell(self, subcode: CeaseSubcode) -> bytes:
        """The last message: none to a peer that is to keep our routes, as it does when the
        connection just ends (RFC 4724); one after which it does not if it is a peer no more."""
        cease = Notification(ErrorCode.CEASE, subcode)
        ours, theirs = self.kept.local_open.capabilities, self.kept.peer_open.capabilities
        if ours and theirs and ours.graceful_restart and theirs.graceful_restart:
            if subcode is CeaseSubcode.ADMINISTRATIVE_RESET:
                return b""
            if subcode is CeaseSubcode.PEER_DECONFIGURED and theirs.graceful_restart.notification:
                cease = hard_reset(cease)
        return encode(cease)


class ChangedTermsError(HandoverError):
    """The configuration is another one."""


class SessionKeeper:
    """Keeps sessions for the next process, and has those of the one before. `ports` None: nobody
    would keep them; not `wanted`: nor are those of the one before to go on."""

    def __init__(
        self,
        ports: RecordPorts | None,
        left: Mapping[str, list[int]],
        log: Any,
        *,
        wanted: bool = True,
    ) -> None:
        self._ports = ports
        self._log = log
        self._wanted = wanted
        self._left = {name: own for name, own in left.items() if name.startswith(SESSION_PREFIX)}
        keeps = ports is not None and wanted
        self.bfd = BFDMemory(
            ports.store if ports is not None and keeps else None,
            "" if ports is None else ports.place,
            left,
            None if ports is None else ports.clock,
            log,
        )

    def open(self, transport: Any) -> Recorder | None:
        """See Records."""
        if self._ports is None or not self._wanted:
            return None
        try:
            return Recorder(self._ports, transport.getHandle())
        except (OSError, HandoverError) as error:
            self._log.warn("A session of BGP cannot be kept: {error}", error=said_by(error))
            return None

    def take_left(self) -> Iterator[LeftSession]:
        """All that can be read, once. What cannot ends here."""
        left, self._left = self._left, {}
        self.bfd.read()
        for name, descriptors in left.items():
            try:
                yield self._read(name, descriptors)
            except Exception as error:  # noqa: BLE001 - see LeftSessions.take
                if not isinstance(error, (OSError, HandoverError)):
                    self._log.failure("A session of the process before us is not understood")
                self._log.warn(
                    "A session of the process before us cannot go on: {error}", error=said_by(error)
                )
                for descriptor in descriptors:
                    _drop(descriptor)
                self._forget(name)

    def _read(self, name: str, descriptors: list[int]) -> LeftSession:
        ports = self._ports
        if ports is None or not self._wanted:
            raise HandoverError("handover is off")
        sockets = [one for one in descriptors if stat.S_ISSOCK(os.fstat(one).st_mode)]
        others = [one for one in descriptors if one not in sockets]
        if len(sockets) != 1 or len(others) != 1:
            raise HandoverError("one of its descriptors is missing")
        memory = RecordMemory(others[0])
        contents = memory.read()
        kept = decode_session(contents.document)
        if kept.place != ports.place:
            raise HandoverError("it is of another boot, or another network namespace")
        try:
            ip_address(kept.peer)
        except ValueError:
            raise HandoverError("the session cannot be read") from None
        connection = socket.socket(fileno=os.dup(sockets[0]))
        try:
            connection.setblocking(False)
            if cookie(connection) != kept.cookie:
                raise HandoverError("the record is another connection's")
            counts = byte_counts(connection)
            if not counts.is_open:
                raise HandoverError(f"{kept.peer} has closed the connection")
        except BaseException:
            connection.close()
            raise
        os.close(sockets[0])
        return LeftSession(
            name=name,
            connection=connection,
            memory=memory,
            kept=kept,
            received=contents.received,
            entries=contents.entries,
            counts=counts,
        )

    def recorder(self, taken: TakenSession) -> Recorder:
        """That of a session that goes on. Raises OSError, HandoverError."""
        if self._ports is None:
            raise HandoverError("handover is off")
        return Recorder(self._ports, taken.left.connection)

    def close(self, left: LeftSession, speaker: SpeakerSettings, subcode: CeaseSubcode) -> None:
        """End one in order: what was half written is completed, then the peer is told why."""
        connection = left.connection
        pending = left.pending(speaker)
        with contextlib.suppress(OSError):
            _drain(connection)
            if pending is not None:
                connection.send(pending + left.farewell(subcode))
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        left.memory.close()
        self._forget(left.name)

    def end_left(self) -> None:
        """All: BGP is off by now."""
        for left in self.take_left():
            ours = left.kept.local_open
            alone = SpeakerSettings(ours.asn, ours.bgp_identifier, (), ())
            self.close(left, alone, CeaseSubcode.PEER_DECONFIGURED)

    def _forget(self, name: str) -> None:
        if self._ports is not None:
            self._ports.store.forget(name)


def _drain(connection: socket.socket) -> None:
    """What was not read would make a reset of the end, and the peer might not read our word."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(_DRAIN_TRIES):
            if not connection.recv(_DRAIN_BYTES):
                return


def _drop(descriptor: int) -> None:
    """Close it, also for whoever else has it open."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            with socket.socket(fileno=os.dup(descriptor)) as other:
                other.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        os.close(descriptor)


class LeftSessions:
    """Those of the process before us, until it is known which peers there are."""

    def __init__(self, keeper: SessionKeeper, speaker: SpeakerSettings, log: Any) -> None:
        self._keeper = keeper
        self._speaker = speaker
        self._log = log
        self._by_address: dict[IPAddress, LeftSession] = {}
        for left in sorted(keeper.take_left(), key=lambda one: one.kept.established_at):
            former = self._by_address.pop(left.address, None)
            if former is not None:
                self._close(former, CeaseSubcode.CONNECTION_COLLISION, "there is a newer one")
            self._by_address[left.address] = left

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Of their peers."""
        return tuple(self._by_address)

    def take(self, peer: PeerSettings) -> TakenSession | None:
        """That of this peer, if there is one that can go on. Nothing that was left may end this
        process: the next one would find it, too, and end, and so for ever."""
        left = self._by_address.pop(peer.address, None)
        if left is None:
            return None
        try:
            return left.take(self._speaker, peer)
        except ChangedTermsError as error:
            self._close(left, CeaseSubcode.OTHER_CONFIGURATION_CHANGE, str(error))
        except HandoverError as error:
            self._close(left, CeaseSubcode.ADMINISTRATIVE_RESET, str(error))
        except Exception as error:  # noqa: BLE001 - as said above
            self._log.failure("What the process before us has left is not understood")
            self._close(left, CeaseSubcode.ADMINISTRATIVE_RESET, said_by(error))
        return None

    def give_up(self, taken: TakenSession, why: str) -> None:
        """One that cannot go on after all."""
        self._close(taken.left, CeaseSubcode.ADMINISTRATIVE_RESET, why)

    def close(self) -> None:
        """End those of which the configuration knows no peer."""
        for address in self.addresses:
            left = self._by_address.pop(address)
            self._close(left, CeaseSubcode.PEER_DECONFIGURED, "it is not configured any more")

    def _close(self, left: LeftSession, subcode: CeaseSubcode, why: str) -> None:
        self._log.warn(
            "The session with {peer} of the process before us ends: {why}",
            peer=left.kept.peer,
            why=why,
        )
        self._keeper.close(left, self._speaker, subcode)
