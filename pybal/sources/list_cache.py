"""The last good pool list of each service on disk, for a start while its source is away."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from twisted.logger import Logger

from pybal.config.pool_list import MAX_WEIGHT
from pybal.kept_change import ListPast
from pybal.model import ServerSpec
from pybal.net.addresses import is_host
from pybal.state.state_file import (
    Document,
    StateFile,
    StateFileError,
    WriteBehind,
)
from pybal.state.state_writing import StateWriting

_FORMAT = 1
_MAX_NAME = 200
_LATEST = 6e10
"""Year 3871, and as long before 1970: a clock may be so wrong, and it can still be shown."""


_NO_PAST = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What Python raises for a document of another shape."""


class CachedList(NamedTuple):
    """A good list, when it was got, in Unix seconds, and what lists had taken away by then.
    `same_clock`: whether the times of `past` are of the clock that still runs. `other_source`:
    where it came from, if the service has another source now."""

    servers: tuple[ServerSpec, ...]
    saved_at: float
    past: ListPast | None = None
    same_clock: bool = True
    other_source: str = ""


class ListCache:
    """One service's list in one file. Nothing that goes wrong here is more than a log line."""

    def __init__(
        self,
        file: StateFile[CachedList],
        writing: StateWriting,
        log: Logger,
        *,
        read_only: bool,
    ) -> None:
        self._read_only = read_only
        self._newest = CachedList((), 0.0)
        self._file = file
        self._writer = WriteBehind(
            self._file,
            lambda: self._newest,
            writing,
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

    def stop(self) -> None:
        """See WriteBehind: as after a reload."""
        self._writer.stop()


def list_file(
    directory: Path, service: str, url: str, boot: str | None = None
) -> StateFile[CachedList]:
    """Where a service's list is kept: in `directory`, which is made if needed. If it did not come
    from `url` that is said: another source's servers must not be put in force. `boot` is that of
    the kernel whose clock runs."""
    return StateFile(
        directory / file_name(service),
        _FORMAT,
        lambda cached: _encode(cached, url, boot),
        lambda document: _decode(document, url, boot),
    )


def file_name(service: str) -> str:
    """A file name of its own for any section name."""
    name = quote(service, safe="")
    if len(name) > _MAX_NAME:
        digest = hashlib.sha256(service.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{name[: _MAX_NAME - len(digest) - 1]}-{digest}"
    return f"{name}.json"


def _encode(cached: CachedList, url: str, boot: str | None) -> Document:
    return {
        "source": url,
        "saved_at": cached.saved_at,
        "servers": {s.host: {"enabled": s.enabled, "weight": s.weight} for s in cached.servers},
        "past": None if cached.past is None else {"boot": boot, **asdict(cached.past)},
    }


def _decode(document: Document, url: str, boot: str | None) -> CachedList:
    """Not a list that is in part bad."""
    source = document["source"]
    if not isinstance(source, str):
        raise StateFileError("it is damaged: it has no source")
    other = "" if source == url else source
    saved_at = float(document["saved_at"])
    if not abs(saved_at) <= _LATEST:
        raise StateFileError("it is damaged: it has no date")
    servers = tuple(
        ServerSpec(host, attributes["weight"], attributes["enabled"])
        for host, attributes in document["servers"].items()
    )
    if not servers or not all(map(_is_good, servers)):
        raise StateFileError("it holds no good list")
    try:
        past = _past(document["past"])
    except _NO_PAST:
        return CachedList(servers, saved_at, other_source=other)
    same_clock = boot is not None and document["past"].get("boot") == boot
    return CachedList(servers, saved_at, past, same_clock, other)


def _past(document: Document) -> ListPast:
    """One of _NO_PAST if there is none, or it is damaged."""
    past = ListPast(
        at_s=float(document["at_s"]),
        taken=tuple((str(host), float(when)) for host, when in document["taken"]),
        counts=tuple(
            (float(when), int(first), int(most), int(last))
            for when, first, most, last in document["counts"]
        ),
        reference=None if document["reference"] is None else int(document["reference"]),
        kept=tuple((str(host), float(when)) for host, when in document["kept"]),
        unproven=tuple(map(str, document["unproven"])),
        moving=tuple((str(host), str(address)) for host, address in document["moving"]),
        departed=tuple((str(key), float(when)) for key, when in document["departed"]),
    )
    hosts = (*past.taken, *past.kept, *past.departed)
    times = (past.at_s, *(when for _, when in hosts), *(each[0] for each in past.counts))
    if not all(abs(when) <= _LATEST and when <= past.at_s for when in times):
        raise ValueError("times that cannot be")
    return past


def _is_good(server: ServerSpec) -> bool:
    return (
        is_host(server.host)
        and type(server.weight) is int
        and 0 <= server.weight <= MAX_WEIGHT
        and type(server.enabled) is bool
    )
