"""HTTP for the checks, with the standard library alone: they are started anew each minute."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from pybal.errors import PyBalError

DEFAULT_URL = "http://localhost:9090"
MAX_BYTES = 256 * 2**20
"""With the counts of single servers the largest real `/metrics` has some tens of MB."""


class AskingError(PyBalError):
    """No answer that can be used."""


class Ask(Protocol):
    """Gives the body of the answer to a GET of a path, or of a whole URL. Raises AskingError."""

    def __call__(self, path: str, accept: str = "*/*") -> str: ...


class HTTPAsk:
    """Asks below a URL, without proxies, within `timeout_s` for each wait."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._base = url.rstrip("/")
        self._timeout_s = timeout_s
        # What http_proxy says is for the outside world.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __call__(self, path: str, accept: str = "*/*") -> str:
        """See Ask."""
        url = self._base + path
        if urlsplit(url).scheme not in ("http", "https"):
            raise AskingError(f"{url} is no URL of http or https")
        request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                body: bytes = answer.read(MAX_BYTES + 1)
                missing: int = answer.length or 0
        except urllib.error.HTTPError as error:
            with error:
                raise AskingError(f"{url}: HTTP status {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AskingError(f"{url}: {_words(error, self._timeout_s)}") from error
        if len(body) > MAX_BYTES:
            raise AskingError(f"{url}: the answer is larger than {MAX_BYTES // 2**20} MiB")
        if missing:
            # A bounded read takes a connection that breaks off for the end.
            raise AskingError(f"{url}: the answer was cut off, {missing} bytes are missing")
        return body.decode("utf-8", "replace")


def ask_json(ask: Ask, *segments: str) -> Any:
    """The document at `/api/v1/…`. Raises AskingError."""
    path = "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)
    body = ask(path, "application/json")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AskingError(f"{path}: what answers there is no JSON: is it PyBal?") from error


def _words(error: Exception, timeout_s: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(cause, socket.gaierror):
        return f"the name is not known ({cause.strerror})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[:1].lower() + cause.strerror[1:]
    return str(cause) or type(cause).__name__
