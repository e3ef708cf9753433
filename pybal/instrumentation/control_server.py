"""Listens on the control socket."""

from __future__ import annotations

import grp

from twisted.internet.defer import Deferred

from pybal.config.settings import ControlSettings
from pybal.handover.listeners import KeptListeners
from pybal.instrumentation.late_site import LateSite
from pybal.instrumentation.server import Accepting
from pybal.net.acceptor import Acceptor
from pybal.net.listener import Listener
from pybal.net.unix_socket import UNIXListener, what_is_at
from pybal.runtime.stopping import end_in_turn


class ControlServer:
    """Serves a site on a UNIX socket, as soon as that can be; on the one that the process before us
    has had, if its file is still there."""

    def __init__(
        self,
        accepting: Accepting,
        settings: ControlSettings,
        site: LateSite,
        kept: KeptListeners,
    ) -> None:
        self._accepting = accepting
        self._kept = kept
        self.settings = settings
        self._site = site
        self._listener = Listener(
            accepting.reactor,
            accepting.log,
            f"the control socket {settings.path}",
            self._listen,
            _Open.close,
        )

    def start(self) -> None:
        """Begin to listen."""
        self._listener.start()

    @property
    def listens(self) -> bool:
        """Whether it can be asked."""
        return self._listener.port is not None

    def reconfigure(self, settings: ControlSettings) -> None:
        """Another group at the same path."""
        before, self.settings = self.settings, settings
        if self._listener.port is None or settings.group == before.group:
            return
        try:
            self._listener.port.listening.allow(self._group_id())
        except OSError as error:
            self._accepting.log.error(
                "Group {group} cannot be let in to the control socket: {error}",
                group=settings.group,
                error=str(error),
            )

    def stop(self) -> Deferred[None]:
        """Close everything and remove the socket's file; fires when all is closed. Idempotent."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await end_in_turn(self._accepting.log, self._listener.stop, self._site.abort_all)

    def _listen(self) -> _Open:
        path = self.settings.path
        listening = UNIXListener(path, self._group_id(), self._kept.take(what_is_at(path)))
        kept = self._kept.keep(what_is_at(path), listening.socket)
        return _Open(listening, self._accepting.accept(kept, self._site))

    def _group_id(self) -> int | None:
        group = self.settings.group
        if group is None:
            return None
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            self._accepting.log.error(
                "There is no group {group}, which control-socket-group names: only root may use "
                "the control socket",
                group=group,
            )
            return None


class _Open:
    """The socket while it is listened at."""

    def __init__(self, listening: UNIXListener, acceptor: Acceptor) -> None:
        self.listening = listening
        self._acceptor = acceptor

    def close(self) -> None:
        self._acceptor.close()
        self.listening.remove()
