"""Reads a connection so that no byte is gone that nobody has noted, whenever a kill comes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.main import CONNECTION_LOST


def note_before_reading(
    transport: Any,
    wanted: Callable[[], bool],
    note: Callable[[bytes], None],
    take: Callable[[bytes], None],
) -> None:
    """While it is `wanted`, `note` is told what has arrived while the kernel still has it, and
    `take` once it was taken from there: a system call more for each reading. `transport` provides
    ITCPTransport and IReadDescriptor, on a TCP socket of its own, as Twisted's do; the reactor asks
    it for `doRead` each time. The end of a connection, and what is not wanted, is read as ever."""
    read: Callable[[], Any] = transport.doRead
    handle: socket.socket = transport.getHandle()

    def do_read() -> Any:
        if not wanted():
            return read()
        try:
            data = handle.recv(transport.bufferSize, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            # The kernel tells of a reset once: whoever read after that would see a clean end.
            return CONNECTION_LOST
        if not data:
            return read()
        note(data)
        # That much is there for sure: what has arrived is read before a reset is told.
        handle.recv(len(data))
        take(data)
        return None

    transport.doRead = do_read
