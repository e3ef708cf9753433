"""What tests and benches do with real sockets."""

from __future__ import annotations

import socket
import struct


def reset_at_close(connection: socket.socket) -> None:
    """From now on whoever closes it resets the TCP connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset(connection: socket.socket) -> None:
    """Close it with a TCP reset."""
    reset_at_close(connection)
    connection.close()
