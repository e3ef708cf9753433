"""The last good pool list of each service on disk, for a start while its source is away."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.config.poollist import MAX_WEIGHT
from pybal.model import ServerSpec
from pybal.net.addresses import is_host
from pybal.state.state_file import (
    Document,
    StateFile,
    StateFileError,
    WriteBehind,
)

_FORMAT = 1
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
        *,
        read_only: bool = False,
    ) -> None:
        self._read_only = read_only
        self._newest = CachedList((), 0.0)
        self._file = list_file(directory, service, url)
        self._writer = WriteBehind(
            self._file,
            lambda: self._newest,
            in_thread,
            lambda why: log.warn("The pool list cannot be kept for the next start: {why}", why=why),
        )

    def load(self) -> CachedList | None:
        """The list of the last run, None if there is none; StateFileError if it is unusable."""
        return self._file.load()

    def save(self, cached: CachedList) -> None:
        """Write the list, in a thread; while that is under way the newest waits its turn."""
        self._newest = cached
        if not self._read_only:
            self._writer.changed()


def list_file(directory: Path, service: str, url: str) -> StateFile[CachedList]:
    """Where a service's list is kept."""
    return StateFile(
        directory / file_name(service),
        _FORMAT,
        lambda cached: _encode(cached, url),
        lambda document: _decode(document, url),
    )


def file_name(service: str) -> str:
    """A file name of its own for any section name."""
    name = quote(service, safe="")
    if len(name) > _MAX_NAME:
        digest = hashlib.sha256(service.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{name[: _MAX_NAME - len(digest) - 1]}-{digest}"
    return f"{name}.json"


def _encode(cached: CachedList, url: str) -> Document:
    return {
        "source": url,
        "saved_at": cached.saved_at,
        "servers": {s.host: {"enabled": s.enabled, "weight": s.weight} for s in cached.servers},
    }


def _decode(document: Document, url: str) -> CachedList:
    """Not a list that is another source's, or in part bad."""
    if document["source"] != url:
        raise StateFileError(f"it came from another source, {document['source']!r:.200}")
    saved_at = float(document["saved_at"])
    if not abs(saved_at) <= _LATEST:
        raise StateFileError("it is damaged: it has no date")
    servers = tuple(
        ServerSpec(host, attributes["weight"], attributes["enabled"])
        for host, attributes in document["servers"].items()
    )
    if not servers or not all(map(_is_good, servers)):
        raise StateFileError("it holds no good list")
    return CachedList(servers, saved_at)


def _is_good(server: ServerSpec) -> bool:
    return (
        is_host(server.host)
        and type(server.weight) is int
        and 0 <= server.weight <= MAX_WEIGHT
        and type(server.enabled) is bool
    )
