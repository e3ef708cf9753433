"""URLs taken apart, and the heads of requests. No I/O."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from pybal.http.port import HTTPRequest
from pybal.net.addresses import bracketed, endpoint

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """A URL taken apart; `host` has no brackets, `authority` is the Host header's value."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str


@lru_cache(maxsize=1024)
def parse_url(url: str) -> Target:
    """Take an absolute http(s) URL apart; ValueError if it is none that can be asked for."""
    if not _VISIBLE.fullmatch(url):
        raise ValueError("the URL holds a character that is not visible ASCII")
    parts = urlsplit(url)
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if default_port is None:
        raise ValueError("neither an http nor an https URL")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if parts.username is not None:
        raise ValueError("a user name in the URL is not supported")
    port = parts.port if parts.port is not None else default_port
    host = parts.hostname
    return Target(
        tls=parts.scheme == "https",
        host=host,
        port=port,
        authority=bracketed(host) if port == default_port else endpoint(host, port),
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def request_head(request: HTTPRequest, target: Target) -> bytes:
    """All that is sent; ValueError if a header cannot be."""
    return _head(request.method, target, tuple(request.headers.items()))


@lru_cache(maxsize=1024)
def _head(method: str, target: Target, given: tuple[tuple[str, str], ...]) -> bytes:
    headers = {"Host": target.authority, **dict(given), "Connection": "close"}
    for name, value in headers.items():
        if not _VISIBLE.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} holds a character that cannot be sent")
    lines = [f"{method} {target.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
