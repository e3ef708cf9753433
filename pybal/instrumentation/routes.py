"""From a path to its answer: what is small. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from pybal.instrumentation import pools
from pybal.instrumentation.alerts import headline
from pybal.instrumentation.responses import Response, json_document, not_found, text
from pybal.instrumentation.view import StatusView
from pybal.model import Alert, ServiceSnapshot

_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


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


def _service(view: StatusView, name: str) -> ServiceSnapshot | None:
    service, missing = view.service(name), view.missing(name)
    return service if service is None or missing is None else pools.as_held(service, missing)


def _pool(view: StatusView, name: str, *, as_json: bool) -> Response:
    service = _service(view, name)
    if service is None:
        return not_found(as_json=as_json)
    if as_json:
        return json_document(pools.pool_json(service))
    return text(pools.pool_text(service))


def _server(view: StatusView, name: str, host: str, *, as_json: bool) -> Response:
    service = _service(view, name)
    server = None if service is None else pools.find_server(service, host)
    if server is None:
        return not_found(as_json=as_json)
    return json_document(pools.server_json(server)) if as_json else text(pools.server_text(server))
