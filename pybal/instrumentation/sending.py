"""Sends a finished answer to its client."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

from pybal.instrumentation.responses import Response
from pybal.runtime.clock import cancel

_LONGEST_ANSWER_S = 120
"""Who has not taken a large answer by then is cut off: dozens of megabytes wait for each."""


def send(clock: Any, request: Request, response: Response) -> None:
    """Write the answer and end the request."""
    request.setResponseCode(response.status, response.status.phrase.encode("ascii"))
    request.setHeader(b"content-type", response.content_type.encode("ascii"))
    if response.stream is None and response.status != HTTPStatus.NOT_MODIFIED:
        request.setHeader(b"content-length", b"%d" % response.length)
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"vary", b"accept, accept-encoding")
    # Names and reasons come from outside: nothing but what is sent as HTML is ever taken for it.
    request.setHeader(b"x-content-type-options", b"nosniff")
    if response.encoding:
        request.setHeader(b"content-encoding", response.encoding.encode("ascii"))
    if response.allow:
        request.setHeader(b"allow", ", ".join(response.allow).encode("ascii"))
    for name, value in response.headers:
        request.setHeader(name.encode("ascii"), value.encode("ascii"))
    # Twisted leaves the body out in answer to HEAD, if only something is written.
    request.write(response.body)
    if response.stream is not None and request.method != b"HEAD":
        response.stream(request)
    elif response.pieces:
        _PieceByPiece(clock, request, response.pieces).start()
    else:
        request.finish()


@implementer(IPushProducer)
class _PieceByPiece:
    """Writes a large body as the client takes it, so that it is not there twice, then finishes."""

    def __init__(self, clock: Any, request: Request, pieces: Iterable[bytes]) -> None:
        self._clock = clock
        self._request = request
        self._pieces = deque(pieces)
        self._paused = False

    def start(self) -> None:
        """Begin to write."""
        cut_off = self._request.channel.forceAbortClient
        self._deadline = self._clock.callLater(_LONGEST_ANSWER_S, cut_off)
        self._request.notifyFinish().addBoth(self._over)
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        """The client can take more."""
        self._paused = False
        while self._pieces and not self._paused:
            self._request.write(self._pieces.popleft())
            if not self._pieces:
                self._request.unregisterProducer()
                self._request.finish()

    def pauseProducing(self) -> None:  # noqa: N802
        """The client cannot take more."""
        self._paused = True

    def stopProducing(self) -> None:  # noqa: N802
        """The client is gone."""
        self._pieces.clear()

    def _over(self, _: object) -> None:
        cancel(self._deadline)
