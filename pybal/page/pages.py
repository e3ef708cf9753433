"""What a browser is answered: `/status`, `/status/SERVICE`, and what these need."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from twisted.logger import Logger

from pybal.instrumentation.alert_watch import AlertWatch
from pybal.instrumentation.negotiation import prefers_html
from pybal.instrumentation.page_port import Asked
from pybal.instrumentation.responses import Response, text
from pybal.instrumentation.view import StatusView
from pybal.page.assets import Asset, read_assets
from pybal.page.composer import Composer
from pybal.page.html import Markup, path_to
from pybal.page.layout import Frame, missing_document, overview_document, service_document
from pybal.page.live import MAX_VIEWERS, Live
from pybal.page.search import LONGEST, Match, found_section, matches
from pybal.page.topic import Topic
from pybal.runtime.time_slices import TimeSlices

HTML_TYPE = "text/html; charset=utf-8"
EVENTS_TYPE = "text/event-stream; charset=utf-8"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Nothing of elsewhere, nothing inline; the form is the filter of browsers without JavaScript."""
_HEADERS = (
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
)
_PIECE_BYTES = 32 * 1024


class StatusSite:
    """The pages. `now()` is Unix seconds, `clock` IReactorTime."""

    def __init__(
        self,
        clock: Any,
        view: StatusView,
        watch: AlertWatch,
        time_slices: TimeSlices,
        now: Callable[[], float],
        log: Logger,
    ) -> None:
        self._view = view
        self._time_slices = time_slices
        self._now = now
        self._assets = read_assets()
        self._build = "-".join(asset.tag for asset in self._assets.values())
        composer = Composer(view, watch, now)
        self._live = Live(
            clock=clock,
            view=view,
            composer=composer,
            time_slices=time_slices,
            now=now,
            log=log,
            build=self._build,
        )

    def stop(self) -> None:
        """Make no page anew any more. Idempotent."""
        self._live.stop()

    async def answer(self, asked: Asked) -> Response | None:
        """See Pages."""
        match asked.segments:
            case ("",) if prefers_html(asked.headers("accept")):
                return _redirect("/status")
            case ("status",):
                return await self._overview(asked)
            case ("status", name):
                return await self._service(name, asked)
            case ("status.stream",):
                return await self._stream(asked)
            case (name,) if name in self._assets:
                return _asset(self._assets[name], asked)
        return None

    async def _overview(self, asked: Asked) -> Response:
        topic = await self._live.fresh(None)
        if topic is None:
            raise AssertionError("the director itself is always there")
        frame = self._frame(topic, asked)
        found = None if not frame.query else await self._found(frame.query)
        return _html(overview_document(frame, topic.rendered.slot, found))

    async def _found(self, query: str) -> Markup:
        found: list[Match] = []
        for match in matches(self._view.services(), query):
            if match is None:
                await self._time_slices.pause()
            else:
                found.append(match)
        return found_section(query, found)

    async def _service(self, name: str, asked: Asked) -> Response:
        topic = await self._live.fresh(name)
        if topic is None:
            names = [service.name for service in self._view.services()]
            missing = missing_document(self._frame(None, asked), names)
            return _html(missing)._replace(status=HTTPStatus.NOT_FOUND)
        frame = self._frame(topic, asked, name)
        return _html(service_document(frame, name, topic.rendered.slot))

    async def _stream(self, asked: Asked) -> Response:
        service = asked.query.get("of") or None
        if self._live.viewers >= MAX_VIEWERS:
            return _busy()
        topic = await self._live.fresh(service)
        if topic is None:
            return text("There is no such service", HTTPStatus.NOT_FOUND)
        if self._live.viewers >= MAX_VIEWERS:
            return _busy()  # All who asked while the page was made have waited for it.
        state = (asked.headers("last-event-id") or [asked.query.get("state", "")])[0]

        def begin(request: Any) -> None:
            self._live.watch(request, topic, state)

        # Proxies hold back what they might compress or put together.
        headers = (("x-accel-buffering", "no"), ("cache-control", "no-store, no-transform"))
        return Response(HTTPStatus.OK, EVENTS_TYPE, b"", headers=headers, stream=begin)

    def _frame(self, topic: Topic | None, asked: Asked, service: str = "") -> Frame:
        icon, style, script = (
            path_to(name, v=self._assets[name].tag)
            for name in ("status.svg", "status.css", "status.js")
        )
        state = "" if topic is None else topic.rendered.state
        return Frame(
            self._view.daemon().host or "this director",
            icon,
            style,
            script,
            state,
            self._build,
            path_to("status.stream", of=service),
            asked.query.get("q", "").strip()[:LONGEST],
            self._now(),
        )


def _busy() -> Response:
    busy = text(f"{MAX_VIEWERS} viewers already", HTTPStatus.SERVICE_UNAVAILABLE)
    return busy._replace(headers=(("retry-after", "30"),))


def _html(document: bytes) -> Response:
    pieces = tuple(
        document[start : start + _PIECE_BYTES] for start in range(0, len(document), _PIECE_BYTES)
    )
    return Response(HTTPStatus.OK, HTML_TYPE, b"", pieces, headers=_HEADERS)


def _redirect(path: str) -> Response:
    found = text(f"See {path}\n", HTTPStatus.FOUND)
    return found._replace(headers=(("location", path),))


def _asset(asset: Asset, asked: Asked) -> Response:
    """A link with the right version may be kept for good: with another content it is another."""
    tag = f'"{asset.tag}"'
    kept = (
        "public, max-age=31536000, immutable" if asked.query.get("v") == asset.tag else "no-cache"
    )
    headers = (("etag", f"W/{tag}"), ("cache-control", kept), ("vary", "accept-encoding"))
    known = ",".join(asked.headers("if-none-match"))
    if tag in known or known.strip() == "*":
        return Response(HTTPStatus.NOT_MODIFIED, asset.content_type, b"", headers=headers)
    return Response(HTTPStatus.OK, asset.content_type, asset.content, headers=headers)
