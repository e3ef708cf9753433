"""Reads a connection so that no byte is gone that nobody has noted, whenever a kill comes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any


def note_before_reading(
    transport: Any,
    wanted: Callable[[], bool],
    note: Callable[[bytes], None],
    take: Callable[[bytes], None],
) -> None:
    """While it is `wanted`, `note` is told what has arrived while the kernel still has it, and
    `take` once it was taken from there: a system call more for each reading. `transport` provides
    ITCPTransport and IReadDescriptor, on a TCP socket of its own, as Twisted's do; the reactor asks
    it for `doRead` each time. The end of a connection, and all else, is read as ever."""
    read: Callable[[], Any] = transport.doRead
    handle: socket.socket = transport.getHandle()

    def do_read() -> Any:
        data = _arrived(handle, transport.bufferSize) if wanted() else b""
        if not data:
            return read()
        note(data)
        # That much is there for sure: what has arrived is read before a reset is told.
        handle.recv(len(data))
        take(data)
        return None

    transport.doRead = do_read


def _arrived(handle: socket.socket, most: int) -> bytes:
    """Without taking it; nothing if there is nothing, or no connection any more."""
    try:
        return handle.recv(most, socket.MSG_PEEK)
    except OSError:
        return b""
