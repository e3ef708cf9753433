"""Listens on the control socket."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybal.config.settings import ControlSettings
from pybal.errors import said_by
from pybal.handover.listeners import KeptListeners
from pybal.instrumentation.late_site import LateSite
from pybal.instrumentation.server import Accepting
from pybal.instrumentation.socket_group import GroupIds
from pybal.net.acceptor import Acceptor
from pybal.net.listener import Listener
from pybal.net.unix_socket import UNIXListener, what_is_at
from pybal.runtime.clock import DelayedCall, cancel
from pybal.runtime.stopping import end_in_turn

LOOK_EVERY_S = 10.0


class ControlServer:
    """Serves a site on a UNIX socket, as soon as that can be; on the one that the process before us
    has had, if its file is still there. If somebody removes the file it is made again."""

    def __init__(
        self,
        accepting: Accepting,
        settings: ControlSettings,
        site: LateSite,
        kept: KeptListeners,
        groups: GroupIds,
    ) -> None:
        self._accepting = accepting
        self._groups = groups
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
        self._looking: DelayedCall | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._listener.start()
        self._look_again()

    def _look_again(self) -> None:
        self._looking = self._accepting.reactor.callLater(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._look_again()
        port = self._listener.port
        if port is not None and not port.listening.is_there():
            path = str(self.settings.path)
            self._accepting.log.warn("The control socket {path} is gone: made again", path=path)
            self._listener.stop()
            self._listener.start()

    @property
    def listens(self) -> bool:
        """Whether it can be asked."""
        return self._listener.port is not None

    def reconfigure(self, settings: ControlSettings) -> None:
        """Another group at the same path."""
        before, self.settings = self.settings, settings
        if self._listener.port is not None and settings.group != before.group:
            group_id = self._own_group_id()
            self._allow(self._listener.port.listening, group_id)
            self._look_up(self._listener.port.listening, group_id)

    def _allow(self, listening: UNIXListener, group_id: int | None) -> None:
        try:
            listening.allow(group_id)
        except OSError as error:
            self._accepting.log.error(
                "Group {group} cannot be let in to the control socket: {error}",
                group=self.settings.group,
                error=said_by(error),
            )

    def stop(self) -> Deferred[None]:
        """Close everything and remove the socket's file; fires when all is closed. Idempotent."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        cancel(self._looking)
        await end_in_turn(self._accepting.log, self._listener.stop, self._site.abort_all)

    def _listen(self) -> _Open:
        path = self.settings.path
        group_id = self._own_group_id()
        listening = UNIXListener(path, group_id, self._kept.take(what_is_at(path)))
        kept = self._kept.keep(what_is_at(path), listening.socket)
        self._look_up(listening, group_id)
        return _Open(listening, self._accepting.accept(kept, self._site))

    def _own_group_id(self) -> int | None:
        group = self.settings.group
        return None if group is None else self._groups.own(group)

    def _look_up(self, listening: UNIXListener, group_id: int | None) -> None:
        """A group that is none of this host's own, which is let in once it is known."""
        group = self.settings.group
        if group is not None and group_id is None:
            asked = self._groups.ask(group)
            asked.addCallback(self._found, listening, group)
            asked.addErrback(self._not_found, group)

    def _found(self, group_id: int, listening: UNIXListener, group: str) -> None:
        port = self._listener.port
        # Meanwhile it may have been given up, or another group may be meant.
        if port is not None and port.listening is listening and self.settings.group == group:
            self._allow(listening, group_id)

    def _not_found(self, failure: Failure, group: str) -> None:
        if failure.check(KeyError):
            self._accepting.log.error(
                "There is no group {group}, which control-socket-group names: only root may use "
                "the control socket",
                group=group,
            )
            return
        self._accepting.log.error(
            "Group {group}, which control-socket-group names, cannot be looked up: {error}; only "
            "root may use the control socket",
            group=group,
            error=said_by(failure.value),
        )


class _Open:
    """The socket while it is listened at."""

    def __init__(self, listening: UNIXListener, acceptor: Acceptor) -> None:
        self.listening = listening
        self._acceptor = acceptor

    def close(self) -> None:
        self._acceptor.close()
        self.listening.remove()
