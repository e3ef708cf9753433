"""The last good pool list of each service on disk, for a start while its source is away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.config.poollist import parse_pool_list, render_pool_list_json
from pybal.errors import SourceError
from pybal.model import ServerSpec
from pybal.state.files import read_regular_file, write_atomically

_FORMAT = 1
_MAX_BYTES = 32 * 1024 * 1024
_MAX_NAME = 200
_LATEST = 6e10
"""Year 3871, and as long before 1970: a clock may be so wrong, and it can still be shown."""


@dataclass(frozen=True, slots=True)
class CachedList:
    """A good list and when it was got, in Unix seconds."""

    servers: tuple[ServerSpec, ...]
    saved_at: float


class ListCache:
    """One service's list in one file of `directory`, which is made if needed.

    Nothing that goes wrong here is more than a log line. The list is only given back to the
    same source (`url`): another one's servers must not be put in force.
    """

    def __init__(
        self,
        directory: Path,
        service: str,
        url: str,
        in_thread: Callable[[Callable[[], None]], Deferred[None]],
        log: Logger,
    ) -> None:
        self._path = directory / file_name(service)
        self._url = url
        self._in_thread = in_thread
        self._log = log
        self._waiting: CachedList | None = None
        self._writing = False
        self._warned = False

    def load(self) -> CachedList | None:
        """The list of the last run, or None if there is none that can be used."""
        try:
            data = read_regular_file(self._path, _MAX_BYTES).data
        except FileNotFoundError:
            return None
        except (OSError, SourceError) as error:
            self._log.warn("No pool list on disk: {error}", error=str(error))
            return None
        try:
            return decode(data, self._url)
        except SourceError as error:
            self._log.warn(
                "The pool list kept in {path} is not used: {error}",
                path=str(self._path),
                error=str(error),
            )
            return None

    def save(self, cached: CachedList) -> None:
        """Write the list, in a thread; while that is under way the newest waits its turn."""
        self._waiting = cached
        if not self._writing:
            self._write_next()

    def _write_next(self) -> None:
        cached, self._waiting = self._waiting, None
        if cached is None:
            return
        self._writing = True
        data = encode(cached, self._url)
        written = self._in_thread(lambda: write_atomically(self._path, data))
        written.addCallbacks(self._kept, self._failed)
        written.addCallback(self._written)

    def _written(self, _: object) -> None:
        self._writing = False
        self._write_next()

    def _kept(self, _: None) -> None:
        self._warned = False

    def _failed(self, failure: Failure) -> None:
        if not self._warned:
            self._warned = True
            self._log.warn(
                "The pool list cannot be kept for the next start: {error}",
                error=failure.getErrorMessage(),
            )


def file_name(service: str) -> str:
    """A file name of its own for any section name."""
    name = quote(service, safe="")
    if len(name) > _MAX_NAME:
        digest = hashlib.sha256(service.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{name[: _MAX_NAME - len(digest) - 1]}-{digest}"
    return f"{name}.json"


def encode(cached: CachedList, url: str) -> bytes:
    """The file's content."""
    return json.dumps(
        {
            "format": _FORMAT,
            "source": url,
            "saved_at": cached.saved_at,
            "servers": json.loads(render_pool_list_json(cached.servers)),
        }
    ).encode()


def decode(data: bytes, url: str) -> CachedList:
    """The list of such a content; SourceError if it is damaged, another's, or in part bad."""
    try:
        content = json.loads(data)
        if content["format"] != _FORMAT:
            raise SourceError(f"its format is {content['format']!r:.20}")
        if content["source"] != url:
            raise SourceError(f"it came from another source, {content['source']!r:.200}")
        saved_at = float(content["saved_at"])
        if not abs(saved_at) <= _LATEST:
            raise SourceError("it is damaged: it has no date")
        servers = json.dumps(content["servers"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise SourceError(f"it is damaged ({type(error).__name__}: {error})") from None
    parsed = parse_pool_list(servers, json_format=True)
    if parsed.problems or not parsed.servers:
        raise SourceError("it holds no good list")
    return CachedList(parsed.servers, saved_at)
