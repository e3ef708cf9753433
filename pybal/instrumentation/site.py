"""The HTTP shell: reads requests, asks the pure modules, writes their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any

from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger, LogLevel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from pybal.instrumentation import api, metrics
from pybal.instrumentation.negotiation import accepts_json, accepts_openmetrics
from pybal.instrumentation.responses import JSON_TYPE, Response, error
from pybal.instrumentation.routes import answer, path_segments
from pybal.instrumentation.scrape import Scraper
from pybal.instrumentation.view import StatusView
from pybal.model import MetricFamily
from pybal.runtime.time_slices import TimeSlices

Offload = Callable[[Callable[[], bytes]], Deferred[bytes]]
"""Runs a function in another thread; fires in the reactor's with what it returned or raised."""

_IDLE_TIMEOUT_S = 60
_LONGEST_ANSWER_S = 120
"""Who has not taken a large answer by then is cut off: dozens of megabytes wait for each."""
_METHODS = ("GET", "HEAD")


def make_site(
    reactor: Any,
    view: StatusView,
    offload: Offload,
    time_slices: TimeSlices,
    log: Logger,
    monitor_families: Sequence[MetricFamily],
    *collectors: Collector,
) -> Site:
    """The factory that serves the view. `offload` renders the largest JSON in another thread,
    `/metrics` is rendered in `time_slices`: `monitor_families` are the metrics that single kinds
    of monitor declare, `collectors` add theirs to PyBal's own."""
    scraper = Scraper(view, time_slices, monitor_families, collectors)
    root = StatusResource(reactor, view, offload, scraper, log)
    site = _StatusSite(  # type: ignore[no-untyped-call]  # Twisted's has no types
        root, requestFactory=_BodylessRequest, reactor=reactor, timeout=_IDLE_TIMEOUT_S
    )
    site.access_log = log
    return site


class StatusResource(Resource):
    """Answers every path."""

    isLeaf = True

    def __init__(
        self, clock: Any, view: StatusView, offload: Offload, scraper: Scraper, log: Logger
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._clock = clock
        self._view = view
        self._offload = offload
        self._scraper = scraper
        self._log = log
        self._failed_requests = 0

    def render(self, request: Any) -> int:
        """Answer the request, now or later."""
        serving = Deferred.fromCoroutine(self._serve(request))
        serving.addErrback(lambda f: self._log.failure("Cannot answer a request", failure=f))
        return NOT_DONE_YET

    async def _serve(self, request: Request) -> None:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        accept = _accept_headers(request)
        try:
            response = await self._respond(request, accept)
        except Exception:  # noqa: BLE001
            # The boundary: whatever fails in here, the daemon and the connection go on.
            self._failed_requests += 1
            self._log.failure(
                "Error while answering {uri}", level=LogLevel.error, uri=_printable(request.uri)
            )
            response = error(
                "Internal server error",
                HTTPStatus.INTERNAL_SERVER_ERROR,
                as_json=accepts_json(accept),
            )
        if not gone:
            _write(self._clock, request, response)

    async def _respond(self, request: Request, accept: list[str]) -> Response:
        as_json = accepts_json(accept)
        if request.method.decode("latin-1") not in _METHODS:
            return error("Method not allowed", HTTPStatus.METHOD_NOT_ALLOWED, as_json=as_json)
        segments = path_segments(request.path)
        if segments == ("metrics",):
            return await self._metrics(as_openmetrics=accepts_openmetrics(accept))
        if segments == api.IPVS_SEGMENTS:
            return await self._ipvs()
        return answer(self._view, segments, as_json=as_json)

    async def _ipvs(self) -> Response:
        """Rendered in another thread: it has a part for each server of each service."""
        await self._view.refresh()
        snapshot = self._view.ipvs()
        body = await self._offload(lambda: api.ipvs_body(snapshot))
        return Response(HTTPStatus.OK, JSON_TYPE, body)

    async def _metrics(self, *, as_openmetrics: bool) -> Response:
        pieces = await self._scraper.scrape(self._failed_requests, as_openmetrics=as_openmetrics)
        content_type = metrics.OPENMETRICS_TYPE if as_openmetrics else metrics.TEXT_TYPE
        return Response(HTTPStatus.OK, content_type, b"", pieces)


def _accept_headers(request: Request) -> list[str]:
    values = request.requestHeaders.getRawHeaders(b"accept") or []
    return [value.decode("latin-1") for value in values]


def _printable(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace")


def _write(clock: Any, request: Request, response: Response) -> None:
    request.setResponseCode(response.status, response.status.phrase.encode("ascii"))
    request.setHeader(b"content-type", response.content_type.encode("ascii"))
    length = len(response.body) + sum(map(len, response.pieces))
    request.setHeader(b"content-length", b"%d" % length)
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"vary", b"accept")
    if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
        request.setHeader(b"allow", ", ".join(_METHODS).encode("ascii"))
    # Twisted leaves the body out in answer to HEAD, if only something is written.
    request.write(response.body)
    if response.pieces:
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
        if self._deadline.active():
            self._deadline.cancel()


class _BodylessRequest(Request):
    """A request whose body means nothing: it is read and dropped, never stored."""

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002, N802
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        pass


class _StatusSite(Site):
    """Writes its access log through ours, where only `--debug` shows it."""

    noisy = False
    access_log: Logger

    def log(self, request: Any) -> None:
        self.access_log.debug(
            "{client} {method} {uri} {code} {size}",
            client=request.getClientAddress().host,
            method=_printable(request.method),
            uri=_printable(request.uri),
            code=request.code,
            size=request.sentLength,
        )
