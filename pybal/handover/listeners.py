"""Listening sockets that stay open over a restart: who connects meanwhile waits, not refused."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from hashlib import sha256

from pybal.handover.legacy import Legacy

PREFIX = "listen."


class KeptListeners:
    """Of this process, and of the one before it."""

    def __init__(self, legacy: Legacy) -> None:
        self._store = legacy.store
        self._place = legacy.place
        self._wanted = legacy.is_kept
        self._left = {name: own for name, own in legacy.left.items() if name.startswith(PREFIX)}
        self._sealed = False
        self._open: dict[str, socket.socket] = {}
        if not self._wanted:
            self.drop_left()

    def open(self, what: str, make: Callable[[], socket.socket]) -> socket.socket:
        """The one that the process before us has had for the very same, or a new one; `what` says
        all that matters of it. Give it back by `close`. Raises OSError."""
        listening = self.take(what)
        if listening is None:
            try:
                listening = make()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not self._left:
                    raise
                # What was left has this port, but is not the same.
                self.drop_left()
                listening = make()
        self._keep(what, listening)
        return listening

    def open_self_closing(self, what: str, make: Callable[[], socket.socket]) -> KeptListener:
        """The same; its own close() gives it back."""
        return self._self_closing(what, self.open(what, make))

    def take(self, what: str) -> socket.socket | None:
        """The one that the process before us has had for the very same; then keep() it."""
        return self._take(self._name(what))

    def keep(self, what: str, listening: socket.socket) -> KeptListener:
        """For the next process; its own close() gives it back."""
        self._keep(what, listening)
        return self._self_closing(what, listening)

    def _keep(self, what: str, listening: socket.socket) -> None:
        if self._wanted and self._store is not None:
            name = self._name(what)
            self._open[name] = listening
            self._store.keep(name, [listening.fileno()])

    def _self_closing(self, what: str, listening: socket.socket) -> KeptListener:
        found = KeptListener(fileno=listening.detach())
        self._open = {n: one if one.fileno() >= 0 else found for n, one in self._open.items()}
        found.listeners, found.what = self, what
        return found

    def close(self, what: str, listening: socket.socket) -> None:
        """Listen no more, unless the next process is to. Idempotent."""
        name = self._name(what)
        if self._open.pop(name, None) is not None and not self._sealed:
            self._forget(name, listening)
        listening.close()

    def leave(self) -> None:
        """From now on all is left to the next process."""
        self._sealed = self._wanted

    def drop_left(self) -> None:
        """Nobody wants what has not been asked for by now. Idempotent."""
        left, self._left = self._left, {}
        for name, descriptors in left.items():
            for descriptor in descriptors:
                with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as listening:
                    self._forget(name, listening)

    def _take(self, name: str) -> socket.socket | None:
        """That which still listens, of those that the store has by this name. One that was shut
        down stays there if the process was killed before it could say so."""
        descriptors = self._left.pop(name, [])
        taken: socket.socket | None = None
        for descriptor in descriptors:
            if taken is None:
                taken = _listening(descriptor)
            else:
                os.close(descriptor)
        if descriptors and taken is None and self._store is not None:
            self._store.forget(name)
        return taken

    def _forget(self, name: str, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        if self._store is not None:
            self._store.forget(name)

    def _name(self, what: str) -> str:
        return PREFIX + sha256(f"{self._place}\n{what}".encode()).hexdigest()[:24]


def _listening(descriptor: int) -> socket.socket | None:
    """None if this is no socket that listens; it is closed then."""
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        return None
    try:
        found.setblocking(False)
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return found
    except OSError:
        pass
    found.close()
    return None


class KeptListener(socket.socket):
    """One whose close() goes by KeptListeners."""

    listeners: KeptListeners | None = None
    what = ""

    def close(self) -> None:
        listeners, self.listeners = self.listeners, None
        if listeners is not None:
            listeners.close(self.what, self)
        super().close()
