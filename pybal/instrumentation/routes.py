"""From a path to its answer, but for what api.py and the history have. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from pybal.instrumentation import pools
from pybal.instrumentation.alerts import headline
from pybal.instrumentation.responses import (
    JSON_TYPE,
    TEXT_TYPE,
    Response,
    json_document,
    json_text,
    not_found,
    text,
)
from pybal.instrumentation.view import StatusView
from pybal.model import Alert

_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


_LONG = 500
"""Pools with fewer servers are rendered at once: 2 ms."""


class LongAnswer(NamedTuple):
    """An answer that is rendered as `pieces` are gone through. Those of equal keys are the same, as
    long as `shown` is held: the key has its identity, which another object may have after it."""

    key: Hashable
    shown: object
    content_type: str
    pieces: Iterable[bytes]


def origin_form(target: bytes) -> bytes:
    """A request's target without the scheme and host that it may have (RFC 9112 section 3.2.2)."""
    match = _ABSOLUTE.match(target)
    if match is None:
        return target
    rest = target[match.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def path_segments(path: bytes) -> tuple[str, ...] | None:
    """The decoded segments of a request's path; None if they are not UTF-8.

    One trailing slash is ignored. `%2F` is part of a segment, not a separator.
    """
    raw = path.removeprefix(b"/").split(b"/")
    if len(raw) > 1 and not raw[-1]:
        raw.pop()
    try:
        return tuple(unquote_to_bytes(segment).decode("utf-8") for segment in raw)
    except UnicodeDecodeError:
        return None


def answer(
    view: StatusView,
    alerts: Callable[[], Iterable[Alert]],
    segments: tuple[str, ...] | None,
    *,
    as_json: bool,
) -> Response:
    """The answer to a path, in JSON or text."""
    match segments:
        case ("alerts",):
            line = headline(alerts())
            return json_document(line.as_json()) if as_json else text(line.as_text())
        case ("pools",):
            names = view.service_names()
            return json_document(list(names)) if as_json else text(pools.names_text(names))
        case ("pools", name):
            return _pool(view, name, as_json=as_json)
        case ("pools", name, host):
            return _server(view, name, host, as_json=as_json)
    return not_found(as_json=as_json)


def long_answer(
    view: StatusView, segments: tuple[str, ...] | None, *, as_json: bool
) -> LongAnswer | None:
    """That to the path of a pool that is too long for one turn; None: `answer` has it."""
    match segments:
        case ("pools", name):
            service, missing = view.service(name), view.missing(name)
            if service is None or len(service.servers) < _LONG:
                return None
            # The very same servers are shown in the same way.
            shown = service.servers
            key = ("pool", name, id(shown), missing, as_json)
            held = pools.as_held(service, missing)
            pieces = pools.pool_json(held) if as_json else pools.pool_text(held)
            encoded = (piece.encode("utf-8", "backslashreplace") for piece in pieces)
            return LongAnswer(key, shown, JSON_TYPE if as_json else TEXT_TYPE, encoded)
    return None


def _pool(view: StatusView, name: str, *, as_json: bool) -> Response:
    service = view.service(name)
    if service is None:
        return not_found(as_json=as_json)
    servers = pools.as_held(service, view.missing(name))
    if as_json:
        return json_text("".join(pools.pool_json(servers)))
    return text("".join(pools.pool_text(servers)))


def _server(view: StatusView, name: str, host: str, *, as_json: bool) -> Response:
    service, missing = view.service(name), view.missing(name)
    server = None if service is None else pools.server_as_held(service, missing, host)
    if server is None:
        return not_found(as_json=as_json)
    return json_document(pools.server_json(server)) if as_json else text(pools.server_text(server))
