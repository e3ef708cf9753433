"""What comes together in time, taken together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

QUIET_S = 0.3
"""So long nothing more must have come."""
MOST_S = 1.0
"""So long the first one waits at most."""

Document = dict[str, Any]


def bursts(stream: Iterator[Document]) -> Iterator[list[Document]]:
    """The documents of an endless stream, those that come together in one list. What ends the
    stream is raised once all that came before is given."""
    come: queue.Queue[Document | BaseException] = queue.Queue()

    def read() -> None:
        try:
            for each in stream:
                come.put(each)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            come.put(error)
        else:
            come.put(StopIteration())

    threading.Thread(target=read, name="stream", daemon=True).start()
    end: BaseException | None = None
    while end is None:
        found: list[Document] = []
        first = come.get()
        ends_at = time.monotonic() + MOST_S
        while True:
            if isinstance(first, BaseException):
                end = first
                break
            found.append(first)
            try:
                first = come.get(timeout=max(0.0, min(QUIET_S, ends_at - time.monotonic())))
            except queue.Empty:
                break
        if found:
            yield found
    if not isinstance(end, StopIteration):
        raise end
