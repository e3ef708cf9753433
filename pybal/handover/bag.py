"""A bag of descriptors: as many as one likes, in one place of the service manager's store.

They are in flight on a pair of sockets, both of which the manager keeps: whoever reads from the one
has them. systemd compares each that it is sent with all that it has, which would take it long with
the twelve thousand connections of a large director.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator

from pybal.handover.store import MAX_AT_ONCE, DescriptorStore

_BUFFER_BYTES = 8 * 1024 * 1024
_SO_SNDBUFFORCE = 32


class DescriptorBag:
    """Things are only put in. To take something out, make a new bag of the rest."""

    def __init__(self, store: DescriptorStore, name: str) -> None:
        """Raises OSError."""
        self.name = name
        self.messages = 0
        self._store = store
        self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (self._in, self._out):
            end.setblocking(False)
        with contextlib.suppress(OSError):
            self._in.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._in.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER_BYTES)
        if not store.keep(name, [self._in.fileno(), self._out.fileno()]):
            self.close()
            raise OSError("nobody keeps it")

    def put(self, descriptors: Iterable[int]) -> None:
        """Copies of these. Raises OSError if the bag is full."""
        numbers = list(descriptors)
        for start in range(0, len(numbers), MAX_AT_ONCE):
            some = array.array("i", numbers[start : start + MAX_AT_ONCE])
            self._in.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some)])
            self.messages += 1

    def discard(self) -> None:
        """It, and with it the copies. Idempotent."""
        self._store.forget(self.name)
        self.close()

    def close(self) -> None:
        """Leave it to whoever else has it."""
        self._in.close()
        self._out.close()


def take_out(descriptors: Iterable[int]) -> Iterator[int]:
    """All that is in a bag, of which these are the ends. They are closed."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as end:
            end.setblocking(False)
            while True:
                # One message at a time: the kernel does not join those with descriptors.
                data, found, _, _ = socket.recv_fds(end, 1, MAX_AT_ONCE)
                for each in found:
                    os.set_inheritable(each, False)
                yield from found
                if not data:
                    break
