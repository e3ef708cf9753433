"""A finished HTTP answer, as a value. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from pybal.errors import RefusedError

TEXT_TYPE = "text/plain; charset=utf-8"
JSON_TYPE = "application/json"

Stream = Callable[[Any], None]
"""Begins to write to a request of Twisted, whose head has been written."""


class Response(NamedTuple):
    """Status, content type and body; nothing else differs between answers, but for the methods to
    `allow` instead, the `encoding` of the content and further `headers`, also
    in place of the usual ones. A large body goes on in `pieces`, which are written as fast as the
    client takes them. Of a `stream` only the head is written: it goes on by itself."""

    status: HTTPStatus
    content_type: str
    body: bytes
    pieces: tuple[bytes, ...] = ()
    allow: tuple[str, ...] = ()
    encoding: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    stream: Stream | None = None

    @property
    def length(self) -> int:
        """Bytes of the whole."""
        return len(self.body) + sum(map(len, self.pieces))

    @property
    def text(self) -> str:
        """The body, for people."""
        return self.body.decode("utf-8", "replace")


def text(body: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A plain text answer. What UTF-8 cannot hold is escaped."""
    return Response(status, TEXT_TYPE, body.encode("utf-8", "backslashreplace"))


def json_document(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A JSON answer."""
    return json_text(json.dumps(value), status)


def json_text(body: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """The same, of what is JSON already."""
    return Response(status, JSON_TYPE, body.encode("ascii"))


def error(message: str, status: HTTPStatus, *, as_json: bool) -> Response:
    """A failure, in the form that the client reads."""
    return json_document({"error": message}, status) if as_json else text(message, status)


def refusal(text: str, status: HTTPStatus, remedy: str = "") -> Response:
    """A failure as JSON: what is wrong and, if that is known, what would help."""
    return json_document({"error": text, "remedy": remedy}, status)


def refused(why: RefusedError, status: HTTPStatus) -> Response:
    """The same, of an error that says both."""
    return refusal(str(why), status, why.remedy)


def not_allowed(methods: tuple[str, ...], *, as_json: bool) -> Response:
    """There is nothing at this path that can be done with that method."""
    response = error("Method not allowed", HTTPStatus.METHOD_NOT_ALLOWED, as_json=as_json)
    return response._replace(allow=methods)


def not_found(*, as_json: bool) -> Response:
    """The contract's answer to any unknown path, pool or server."""
    return error("The desired url was not found", HTTPStatus.NOT_FOUND, as_json=as_json)
