"""Writes the record of one session while it lives, and keeps it and its socket for the next
process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from pybal.bgp.constants import Family
from pybal.bgp.kept_session import KeptSession, encode_session, note_answered, note_asked
from pybal.handover.connection import ByteCounts, byte_counts, cookie
from pybal.handover.format import Entry, HandoverError, Kind
from pybal.handover.memory import RecordMemory
from pybal.handover.store import DescriptorStore

_EARLY_BYTES = 64 * 1024
_TAIL_BYTES = 4096

ToldAgain = Callable[[], Iterable[Entry]]
"""Entries that say all that the peer has been told."""


class RecordPorts(NamedTuple):
    """Where records are kept, whose clock counts (CLOCK_BOOTTIME, which all processes share), and
    which boot and network namespace this is."""

    store: DescriptorStore
    clock: Any
    place: str
    log: Any
    slack_bytes: int = 1024 * 1024
    """So much longer than it must be a journal may become before it is begun anew."""


class Recorder:
    """Of one connection. While it is young what is sent is only remembered; from `establish` on
    all is written down before it happens. If that fails, the session is not kept, and goes on.

    `sent` is called before the bytes are given to the connection, `received` before they are taken
    from it, as far as the session is kept.
    """

    def __init__(self, ports: RecordPorts, handle: socket.socket) -> None:
        """Raises OSError or HandoverError where this connection cannot be kept."""
        self._ports = ports
        self._handle = handle
        counts = byte_counts(handle)
        self._tail = bytearray()
        self._tail_from = counts.given
        self._taken = counts.taken
        self._heard_at = float(ports.clock.seconds())
        self._memory: RecordMemory | None = None
        self._told_again: ToldAgain | None = None
        self._limit_bytes = 0
        self._asked: set[Family] = set()
        self._rest_written = b""
        self._name = ""
        self._over = False

    def moved_to(self, handle: socket.socket) -> None:
        """The same connection has another descriptor."""
        self._handle = handle

    def identify(self) -> tuple[str, int]:
        """This place, and the connection's number there. Raises OSError."""
        return self._ports.place, cookie(self._handle)

    @property
    def is_kept(self) -> bool:
        """Whether the next process can go on with this session."""
        return self._memory is not None

    def establish(self, name: str, kept: KeptSession, rest: bytes, told_again: ToldAgain) -> None:
        """The session stands. `rest` are bytes that wait for more; `told_again` is asked whenever
        the journal has become long."""
        if self._over:
            return
        self._name, self._told_again = name, told_again
        try:
            self._memory = RecordMemory.create(f"pybal {kept.peer}", encode_session(kept))
            self._memory.begin([_begin(self._tail_from), Entry(Kind.SENT, bytes(self._tail))])
            self._memory.received(self._taken, self._heard_at, rest)
        except (OSError, HandoverError) as error:
            self._give_up(error)
            return
        self._limit_bytes = self._memory.written_bytes + self._ports.slack_bytes
        if not self._ports.store.keep(name, [self._handle.fileno(), self._memory.descriptor]):
            self._give_up(HandoverError("nobody keeps it"))

    def resume(
        self,
        name: str,
        memory: RecordMemory,
        counts: ByteCounts,
        pending: bytes,
        asked: Iterable[Family],
        told_again: ToldAgain,
    ) -> None:
        """Go on with the record of the process before us, from here."""
        self._name, self._memory, self._told_again = name, memory, told_again
        self._asked = set(asked)
        self._tail, self._tail_from = bytearray(pending), counts.given
        self._taken = counts.taken
        self._limit_bytes = memory.written_bytes + self._ports.slack_bytes

    def sent(self, data: bytes) -> None:
        """These bytes, whole messages, are about to be given to the connection."""
        if self._over:
            return
        self._tail += data
        if self._memory is None:
            if len(self._tail) > _EARLY_BYTES:
                self._give_up(HandoverError("too much was said before the session stood"))
            return
        self._write(lambda memory: memory.append(Kind.SENT, data))
        if len(self._tail) > _TAIL_BYTES:
            self._cut_tail()
        memory = self._memory
        if memory is not None and memory.written_bytes > self._limit_bytes:
            self._begin_anew()

    def received(self, size: int, rest: bytes) -> None:
        """So many bytes are taken from the connection; `rest` is all that has not been understood
        yet, these included."""
        if self._over:
            return
        self._taken += size
        self._heard_at = float(self._ports.clock.seconds())
        self._rest_written = rest
        self._write(lambda memory: memory.received(self._taken, self._heard_at, rest))

    def understood(self, rest: bytes) -> None:
        """Only this is left of what was received."""
        if rest != self._rest_written:
            self._rest_written = rest
            self._write(lambda memory: memory.received(self._taken, self._heard_at, rest))

    def asked(self, family: Family) -> None:
        """The peer wants to hear all of a family again."""
        self._asked.add(family)
        self._write(lambda memory: memory.append(Kind.NOTE, note_asked(family)))

    def answered(self) -> None:
        """It has heard all that it wanted to."""
        if self._asked:
            self._asked.clear()
            self._write(lambda memory: memory.append(Kind.NOTE, note_answered()))

    def end(self) -> None:
        """The session has ended: nobody is to go on with it. Idempotent."""
        if self._over:
            return
        self._over = True
        self._write(lambda memory: memory.append(Kind.ENDED))
        self._forget()

    def _write(self, how: Callable[[RecordMemory], None]) -> None:
        if self._memory is None:
            return
        try:
            how(self._memory)
        except (OSError, HandoverError) as error:
            self._give_up(error)

    def _cut_tail(self) -> None:
        """What the kernel has taken need not be remembered."""
        try:
            given = byte_counts(self._handle).given
        except (OSError, HandoverError):
            return  # later
        del self._tail[: max(0, given - self._tail_from)]
        self._tail_from = max(given, self._tail_from)

    def _begin_anew(self) -> None:
        memory, told_again = self._memory, self._told_again
        if memory is None or told_again is None:
            return
        self._cut_tail()
        entries = [
            _begin(self._tail_from),
            *told_again(),
            *(Entry(Kind.NOTE, note_asked(family)) for family in self._asked),
            Entry(Kind.PENDING, bytes(self._tail)),
        ]
        self._write(lambda memory: memory.begin(entries))
        self._limit_bytes = 2 * memory.written_bytes + self._ports.slack_bytes

    def _give_up(self, error: Exception) -> None:
        self._ports.log.warn(
            "A session of BGP is not kept over a restart: {error}", error=str(error)
        )
        self._over = True
        self._forget()

    def _forget(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            self._ports.store.forget(self._name)
            memory.close()


def _begin(position: int) -> Entry:
    return Entry(Kind.BEGIN, position.to_bytes(8, "little"))


class Records(Protocol):
    """Where sessions are kept for the next process."""

    def open(self, transport: Any) -> Recorder | None:
        """For a connection that was just made; None: it is not kept."""
