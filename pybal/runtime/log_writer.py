"""Writes the log from a thread of its own: whoever reads it may be slow, or stop reading.

The journal and a pipe take what is written only while somebody reads; a write that waits for them
would stop all balancing. So lines wait here, in bounded memory, and are dropped when there are too
many; how many were is said as soon as there is room.
"""

from __future__ import annotations

import os
import select
import threading

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Some 150,000 lines: far more than the largest configuration logs at its start."""


class LogWriter:
    """Writes to `descriptor`, in order. What cannot be written, since the disk is full or nobody
    reads any more, is dropped."""

    def __init__(self, descriptor: int, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_waiting_bytes = max_waiting_bytes
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._writing = False
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
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written, or for so long. Whether all is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._waiting or self._writing), timeout=timeout_s
            )

    def _take(self) -> bytes:
        """All that waits, once something does."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting)
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
