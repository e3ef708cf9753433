"""Server-sent events (HTML Living Standard, section 9.2) to one client, as it takes them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

from pybal.runtime.clock import cancel

SLOWEST_S = 30
"""Who takes nothing for so long is cut off."""


def event(data: bytes, *, id_: str = "", name: str = "") -> bytes:
    """One event; `data`, `id_` and `name` have no line breaks."""
    head = (f"event: {name}\n" if name else "") + (f"id: {id_}\n" if id_ else "")
    return head.encode("ascii") + b"data: " + data + b"\n\n"


@implementer(IPushProducer)
class Subscriber:
    """An answer that goes on. `ready` says whether the client has taken all so far; `on_ready` is
    called whenever it is again, `on_slow` before it is cut off, as it took nothing for SLOWEST_S
    seconds, `on_over` once, when the client is gone. `clock`: IReactorTime."""

    def __init__(
        self,
        clock: Any,
        request: Request,
        on_ready: Callable[[Subscriber], None],
        on_over: Callable[[Subscriber], None],
        on_slow: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._request = request
        self._on_ready = on_ready
        self._on_over = on_over
        self._on_slow = on_slow
        self._deadline: Any = None
        self._gone = False
        self.ready = True

    def start(self) -> None:
        """Begin; the head of the answer has been written."""
        self._request.notifyFinish().addBoth(self._over)
        self._request.registerProducer(self, True)

    def send(self, data: bytes) -> None:
        """Write one or more whole events. Only while `ready`: what waits has no bound else."""
        if not self._gone:
            self._request.write(data)

    def cut_off(self) -> None:
        """End it at once."""
        if not self._gone:
            self._request.channel.forceAbortClient()

    def pauseProducing(self) -> None:  # noqa: N802
        """The client cannot take more."""
        if self.ready and not self._gone:
            self.ready = False
            self._deadline = self._clock.callLater(SLOWEST_S, self._too_slow)

    def resumeProducing(self) -> None:  # noqa: N802
        """It can again."""
        if not self.ready and not self._gone:
            self.ready = True
            cancel(self._deadline)
            self._on_ready(self)

    def stopProducing(self) -> None:  # noqa: N802
        """It is gone; notifyFinish says so, too."""

    def _over(self, _: object) -> None:
        self._gone, self.ready = True, False
        cancel(self._deadline)
        self._on_over(self)

    def _too_slow(self) -> None:
        self._on_slow()
        self.cut_off()


def end_if_unreachable(request: Request) -> None:
    """A client that went away without a word is noticed by what it does not acknowledge. (What is
    no TCP connection has no such option, and no such client.)"""
    transport: Any = request.channel.transport
    with contextlib.suppress(AttributeError, OSError):
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SLOWEST_S * 1000)
