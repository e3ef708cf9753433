"""Writes the log from a thread of its own: whoever reads it may be slow, or stop reading.

The journal and a pipe take what is written only while somebody reads; a write that waits for them
would stop all balancing. So lines wait here, in bounded memory, and are dropped when there are too
many; how many were is said as soon as there is room.

The thread is woken when the reactor is about to wait. Woken at each line it would take the
processor, and Python's lock, from the turn that says the line: two milliseconds where there is one
processor, while the kernel's table is still to be changed.
"""

from __future__ import annotations

import os
import select
import threading
from threading import get_ident

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Some 150,000 lines: far more than the largest configuration logs at its start."""


HELD_S = 0.02
"""While the reactor does not come to wait, lines are held for so long."""

LATEST_S = 1.0
"""Whatever becomes of the turn that says a line, it is written by then."""


class LogWriter:
    """Writes to `descriptor`, in order. What cannot be written, since the disk is full or nobody
    reads any more, is dropped."""

    def __init__(
        self,
        descriptor: int,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        latest_s: float = LATEST_S,
    ) -> None:
        self._descriptor = descriptor
        self._max_waiting_bytes = max_waiting_bytes
        self._latest_s = latest_s
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._writing = False
        self._reactor: int | None = None
        """The thread whose lines are held until a turn ends."""
        self._held = False
        self._held_since_s: float | None = None
        # Not one that the process waits for at its end: it may never end.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Begin; call once."""
        self._thread.start()

    def write(self, lines: str) -> None:
        """Have these lines, each ended, written. Never blocks; any thread may call it."""
        data = lines.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._dropped or self._waiting_bytes + len(data) > self._max_waiting_bytes:
                self._dropped += 1
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if get_ident() == self._reactor:
                self._held = True
            else:
                self._changed.notify_all()

    def hold(self) -> None:
        """The lines of this thread, which is the reactor's, wait for `turn_ends` from now on."""
        self._reactor = get_ident()

    def turn_ends(self, now_s: float, *, waits: bool) -> None:
        """By any clock; whether the reactor has nothing more to do for now."""
        if not self._held:
            return
        if self._held_since_s is None:
            self._held_since_s = now_s
        if waits or now_s - self._held_since_s >= HELD_S:
            self._held, self._held_since_s = False, None
            with self._changed:
                self._changed.notify_all()

    def release(self) -> None:
        """No turn will end any more: what is held, and all that comes, is written at once."""
        self._reactor = None
        with self._changed:
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written, or for so long. Whether all is."""
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: not (self._waiting or self._writing), timeout=timeout_s
            )

    def _take(self) -> bytes:
        """All that waits, once something does."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            while not self._waiting:
                self._changed.wait(self._latest_s)
            if self._dropped:
                self._waiting.append(b"[log] WARN: %d messages were lost here\n" % self._dropped)
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = self._dropped = 0
            self._writing = True
            return data

    def _run(self) -> None:
        while True:
            self._write(self._take())

    def _wait(self) -> None:
        """Until there is room. Not by select(), which knows no descriptor above 1023."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.poll()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Whoever shares the descriptor has made it non-blocking.
                self._wait()
            except OSError:
                return
