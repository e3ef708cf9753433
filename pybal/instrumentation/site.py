"""The HTTP shell: reads requests, asks the pure modules, has their answers sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from twisted.web.http import Request, datetimeToString

from pybal.history.query import HistoryBusyError
from pybal.instrumentation import api, metrics
from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.body import MAX_BODY_BYTES
from pybal.instrumentation.channel import BoundedSite, printable
from pybal.instrumentation.event_stream import EventStreams, Following
from pybal.instrumentation.history_pages import HistoryPages
from pybal.instrumentation.history_query import (
    DOCUMENT_PARAMETERS,
    BadQueryError,
    flag,
    parameters_of,
    read_values,
)
from pybal.instrumentation.json_pieces import json_pieces
from pybal.instrumentation.negotiation import (
    accepts_event_stream,
    accepts_gzip,
    accepts_json,
    accepts_openmetrics,
)
from pybal.instrumentation.page_port import Asked, Pages
from pybal.instrumentation.responses import (
    JSON_TYPE,
    Response,
    error,
    not_allowed,
    refusal,
    refused,
)
from pybal.instrumentation.routes import answer, long_answer, origin_form, path_segments
from pybal.instrumentation.scrape import GetMetrics, Scraper
from pybal.instrumentation.sending import send
from pybal.instrumentation.shared import SharedDocuments
from pybal.instrumentation.verbs import (
    Controls,
    Found,
    find_verb,
    longest_body_bytes,
    no_verb,
    perform,
)
from pybal.instrumentation.view import StatusView
from pybal.model import MetricFamily
from pybal.runtime.naming import shortened
from pybal.runtime.time_slices import TimeSlices

_READING = ("GET", "HEAD")
_WORTH_COMPRESSING_BYTES = 8192
_LATER = "Ask again later, or page through /api/v1/events?after=NUMBER"


class ControlAccess(NamedTuple):
    """What makes a site one of the control socket: the verbs, and how to tell who asks."""

    controls: Controls
    who: Callable[[Request], Deferred[str]]


class StatusPages:
    """All that is answered, however many sites it is asked at. What is large is
    rendered in `time_slices`. `monitor_families` are the metrics that single kinds of monitor
    declare, `other_metrics` are added to PyBal's own. `control_socket` is where verbs are answered,
    for those who try elsewhere; empty: nowhere. `html` are the pages for people, if there are."""

    def __init__(
        self,
        reactor: Any,
        view: StatusView,
        watch: AlertWatch,
        time_slices: TimeSlices,
        log: Logger,
        monitor_families: Sequence[MetricFamily],
        *other_metrics: GetMetrics,
    ) -> None:
        self.reactor = reactor
        self.log = log
        self._view = view
        self._watch = watch
        self._time_slices = time_slices
        # Of their own: answers must not wait for all that a storm has to do.
        self._turns = TimeSlices(reactor)
        self._shared = SharedDocuments(time_slices)
        self._long_answers = SharedDocuments(self._turns)
        self._scraper = Scraper(view, watch.alerts, time_slices, monitor_families, other_metrics)
        self.control_socket = ""
        self.html: Pages | None = None
        self._failed_requests = 0
        self._history = HistoryPages(view)

    def site(self, control: ControlAccess | None = None) -> BoundedSite:
        """A factory that serves them; the verbs, too, if it has access to them."""
        requests = BoundedRequest if control is None else ControlRequest
        streams = EventStreams(self.reactor, self._view.history, self._time_slices, self.log)
        answering = _Answering(self, control, streams)
        return BoundedSite(answering.begin, requests, self.reactor, self.log)

    def turn(self) -> Deferred[None]:
        """Fires when a request may be answered: those that come at once, hundreds in one connection
        even, are not all answered in one turn of the reactor."""
        return self._turns.pause()

    async def respond(
        self, request: BoundedRequest, control: ControlAccess | None
    ) -> Response | Following:
        """The answer to a request, whatever happens."""
        accept = _headers(request, "accept")
        try:
            if request.method == b"POST":
                response = await self._change(request, control)
                if response is not None:
                    return response
            shown = await self._show(request, accept, control)
            return shown if isinstance(shown, Following) else await self._encoded(request, shown)
        except Exception:  # noqa: BLE001
            # The boundary: whatever fails in here, the daemon and the connection go on.
            self._failed_requests += 1
            self.log.failure(
                "Error while answering {uri}", level=LogLevel.error, uri=printable(request.uri)
            )
            return error(
                "Internal server error",
                HTTPStatus.INTERNAL_SERVER_ERROR,
                as_json=accepts_json(accept),
            )

    async def _change(
        self, request: BoundedRequest, control: ControlAccess | None
    ) -> Response | None:
        """None if the path is not a verb's."""
        found = find_verb(path_segments(request.path))
        if found is None:
            return None
        if control is None:
            return self._only_there(printable(request.uri))
        return await self._perform(request, found, control)

    async def _perform(
        self, request: BoundedRequest, found: Found, control: ControlAccess
    ) -> Response:
        by = await control.who(request)
        await self._turns.finish(self._view.preparing())
        if others := [name for name in _query(request) if name != "pretty"]:
            # Passed over, `?service=NAME` would have a verb act on all.
            response = refusal(
                f"A verb takes nothing from the URL's query: {shortened(others[0], 40)!r}",
                HTTPStatus.BAD_REQUEST,
                "Its fields stand in the body, as JSON",
            )
        else:
            response = await perform(
                control.controls, found, request.body, by, partial(api.signed, self._view)
            )
        self.log.info(
            "{by} asks for {path}: {status}",
            by=by,
            path=printable(request.path),
            status=response.status.phrase if response.status == HTTPStatus.OK else response.text,
        )
        return response

    def _only_there(self, path: str) -> Response:
        remedy = "The control socket is off: see control-socket in pybal.conf"
        if self.control_socket:
            remedy = f"As root: curl -X POST --unix-socket {self.control_socket} http://pybal{path}"
        return refusal(
            "This changes something: it is answered on the control socket alone",
            HTTPStatus.FORBIDDEN,
            remedy,
        )

    async def _show(
        self, request: BoundedRequest, accept: list[str], control: ControlAccess | None
    ) -> Response | Following:
        as_json = accepts_json(accept)
        segments = path_segments(request.path)
        if request.method.decode("latin-1") not in _READING:
            if control is not None and request.method == b"POST":
                return no_verb()
            if find_verb(segments) is not None:
                return not_allowed(("POST",), as_json=True)
            return not_allowed(_READING, as_json=as_json)
        if find_verb(segments) is not None:
            return not_allowed(("POST",), as_json=True)
        match segments:
            case ("metrics",):
                with_servers = _asks(request, "servers")
                return await self._metrics(
                    as_openmetrics=accepts_openmetrics(accept), with_servers=with_servers
                )
            case ("api", "v1", *rest):
                return await self._api(request, tuple(rest), accept)
        if self.html is not None and segments is not None:
            page = await self.html.answer(
                Asked(segments, _query(request), partial(_headers, request))
            )
            if page is not None:
                return page
        return await self._contract(segments, as_json=as_json)

    async def _contract(self, segments: tuple[str, ...] | None, *, as_json: bool) -> Response:
        """What checks and scripts have always read."""
        match segments:
            case ("pools", name, *_):
                await self._turns.finish(self._view.preparing(name))
            case ("alerts",):
                await self._turns.finish(self._view.preparing())
        long = long_answer(self._view, segments, as_json=as_json)
        if long is None:
            return answer(self._view, self._watch.alerts, segments, as_json=as_json)

        async def begin() -> Iterable[bytes]:
            return long.pieces

        pieces = await self._long_answers.get(long.key, begin)
        return Response(HTTPStatus.OK, long.content_type, b"", pieces)

    async def _api(
        self, request: BoundedRequest, segments: tuple[str, ...], accept: list[str]
    ) -> Response | Following:
        query = request.uri.partition(b"?")[2]
        try:
            if parameters_of(segments) is not None:
                return await self._past(request, segments, query, accept)
            return await self._document(segments, query)
        except BadQueryError as why:
            return refused(why, HTTPStatus.BAD_REQUEST)
        except api.NoSuchDocumentError as why:
            return refused(why, HTTPStatus.NOT_FOUND)
        except HistoryBusyError as why:
            return refused(why, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _document(self, segments: tuple[str, ...], query: bytes) -> Response:
        await self._turns.finish(self._view.preparing())
        # Passed over, `?service=NAME` would be taken for a choice.
        values = read_values(query, DOCUMENT_PARAMETERS)
        pretty = flag(values, "pretty")
        if api.reads_kernel(self._view, segments):
            await self._view.refresh()

        async def begin() -> Iterable[bytes]:
            document = api.document(self._view, self._watch.dated, segments)
            return json_pieces(api.signed(self._view, document), pretty=pretty)

        pieces = await self._shared.get(("api", segments, pretty), begin)
        return Response(HTTPStatus.OK, JSON_TYPE, b"", pieces)

    async def _past(
        self, request: BoundedRequest, segments: tuple[str, ...], query: bytes, accept: list[str]
    ) -> Response | Following:
        """What the history has."""
        known = parameters_of(segments) or {}
        values = read_values(query, known)
        follow = flag(values, "follow") if "follow" in values else accepts_event_stream(accept)
        if follow and "follow" in known:
            last_event_id = next(iter(_headers(request, "last-event-id")), None)
            return self._history.following(values, last_event_id)

        async def begin() -> Iterable[bytes]:
            document = await self._history.document(segments, values)
            signed = api.signed(self._view, document)
            return json_pieces(signed, pretty=flag(values, "pretty"))

        pieces = await self._shared.get(("past", segments, query), begin)
        return Response(HTTPStatus.OK, JSON_TYPE, b"", pieces)

    async def _metrics(self, *, as_openmetrics: bool, with_servers: bool) -> Response:
        async def begin() -> Iterable[bytes]:
            return await self._scraper.scrape(
                self._failed_requests, as_openmetrics=as_openmetrics, with_servers=with_servers
            )

        pieces = await self._shared.get(("metrics", as_openmetrics, with_servers), begin)
        content_type = metrics.OPENMETRICS_TYPE if as_openmetrics else metrics.TEXT_TYPE
        return Response(HTTPStatus.OK, content_type, b"", pieces)

    async def _encoded(self, request: BoundedRequest, response: Response) -> Response:
        """As gzip has it, if the client takes that and it is worth while."""
        if response.length < _WORTH_COMPRESSING_BYTES:
            return response
        if not accepts_gzip(_headers(request, "accept-encoding")):
            return response
        pieces = response.pieces or (response.body,)
        compressed = await self._shared.compressed(pieces)
        return response._replace(body=b"", pieces=compressed, encoding="gzip")


class _Answering:
    """Answers every request of one site."""

    def __init__(
        self, pages: StatusPages, control: ControlAccess | None, streams: EventStreams
    ) -> None:
        self._pages = pages
        self._control = control
        self._streams = streams

    def begin(self, request: BoundedRequest) -> None:
        """Answer the request, now or later."""
        serving = Deferred.fromCoroutine(self._serve(request))
        log = self._pages.log
        serving.addErrback(lambda f: log.failure("Cannot answer a request", failure=f))

    async def _serve(self, request: BoundedRequest) -> None:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        await self._pages.turn()
        if gone:
            return
        response = await self._pages.respond(request, self._control)
        if gone:
            return
        if isinstance(response, Following) and self._streams.full:
            response = refusal(
                "As many follow the events as may", HTTPStatus.SERVICE_UNAVAILABLE, _LATER
            )
        if isinstance(response, Following):
            self._streams.serve(request, response)
        else:
            send(self._pages.reactor, request, response)


def _headers(request: Request, name: str) -> list[str]:
    values = request.requestHeaders.getRawHeaders(name.encode()) or []
    return [value.decode("latin-1") for value in values]


def _query(request: Request) -> dict[str, str]:
    # Twisted's own reading passes over what has no value, the library's over no byte but ASCII.
    query = request.uri.partition(b"?")[2].decode("utf-8", "replace")
    return dict(parse_qsl(query, keep_blank_values=True))


def _asks(request: Request, name: str) -> bool:
    return flag({each: [value] for each, value in _query(request).items()}, name)


class BoundedRequest(Request):
    """A request whose body is kept as it is, and no more of it than a verb takes; Twisted would
    parse forms, and put the rest on the disk."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._body = bytearray()

    @property
    def body(self) -> bytes:
        """The body. One that is too long is cut, and still too long."""
        return bytes(self._body)

    def process(self) -> None:
        """All of it has come."""
        self.responseHeaders.setRawHeaders(b"server", [b"PyBal"])
        self.responseHeaders.setRawHeaders(b"date", [datetimeToString()])
        channel: Any = self.channel
        channel.site.answer(self)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        super().requestReceived(command, origin_form(path), version)  # type: ignore[no-untyped-call]  # Twisted's

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002, N802
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        room = self._max_bytes() + 1 - len(self._body)
        self._body += data[:room]

    def _max_bytes(self) -> int:
        return MAX_BODY_BYTES


class ControlRequest(BoundedRequest):
    """A request on the control socket, where a verb may take more. Which verb it is, is looked
    up only when the body has come; who may connect here is trusted with some memory."""

    def _max_bytes(self) -> int:
        return longest_body_bytes()
