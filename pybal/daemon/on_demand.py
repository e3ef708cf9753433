"""Code that most configurations do without: each piece is loaded with the first that needs it. And
what the first checks do without."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pybal.config.settings import (
    EtcdSource,
    HTTPSource,
    KubernetesSource,
    MonitorSettings,
    Settings,
    SourceSettings,
)
from pybal.errors import said_by
from pybal.monitors.proxyfetch import ProxyFetchSettings
from pybal.monitors.registry import BUILT_IN
from pybal.runtime.file_stamp import file_stamp
from pybal.runtime.lean_imports import import_when_used

_PACKAGE = Path(__file__).parent.parent


class Piece(NamedTuple):
    """What is loaded together: by its `module`, which imports the rest of the `files`. Its name and
    who needs it are for people."""

    name: str
    needed_by: str
    module: str
    files: tuple[Path, ...]
    wanted: Callable[[Settings], bool]


class CodeOnDemand:
    """Knows the files of that code as they were when this process began. Only those are loaded: an
    upgrade of the package leaves the running daemon alone, and the code of one version does not
    fit into a process of another."""

    def __init__(self, pieces: Iterable[Piece] | None = None, answers: Piece | None = None) -> None:
        self._pieces = tuple(PIECES if pieces is None else pieces)
        self._answers = answers or ANSWERS
        known = (*self._pieces, self._answers)
        self._found = {file: file_stamp(file) for each in known for file in each.files}

    def load(self, settings: Settings) -> str | None:
        """Load what these settings need, in any thread; what is in the way of that."""
        for piece in self._pieces:
            if piece.wanted(settings):
                obstacle = self._load(piece)
                if obstacle is not None:
                    return obstacle
        return None

    def load_answers(self) -> str | None:
        """Load what answers requests, in any thread; what is in the way of that for good. Raises
        whatever code may raise while it is loaded, which may pass."""
        # Of the client for Prometheus what writes metrics down: what counts them is as much again.
        import_when_used("prometheus_client")
        if obstacle := self._other_version(self._answers):
            return obstacle
        importlib.import_module(self._answers.module)
        return None

    def _load(self, piece: Piece) -> str | None:
        if obstacle := self._other_version(piece):
            return obstacle
        try:
            importlib.import_module(piece.module)
        except (ImportError, OSError) as error:
            file = getattr(error, "filename", None)
            why = f"{file}: {said_by(error)}" if file else said_by(error)
            return f"{piece.name}'s code cannot be loaded: {why}"
        return None

    def _other_version(self, piece: Piece) -> str | None:
        if piece.module in sys.modules or all(
            file_stamp(file) == self._found[file] for file in piece.files
        ):
            return None
        return (
            f"{piece.name}'s code is not loaded, as no {piece.needed_by} needed it, and PyBal has"
            " been upgraded since this process began: `systemctl restart pybal` runs the new"
            " version"
        )


def _speaks_bgp(settings: Settings) -> bool:
    return settings.bgp is not None


def _has_etcd(settings: Settings) -> bool:
    return any(isinstance(service.source, EtcdSource) for service in settings.services)


def _speaks_tls(settings: Settings) -> bool:
    return any(
        _source_speaks_tls(service.source) or any(map(_monitor_speaks_tls, service.monitors))
        for service in settings.services
    )


def _source_speaks_tls(source: SourceSettings) -> bool:
    if isinstance(source, HTTPSource):
        return _is_https(source.url)
    return isinstance(source, KubernetesSource)


def _monitor_speaks_tls(monitor: MonitorSettings) -> bool:
    """Of another package's monitor nothing is known."""
    if isinstance(monitor, ProxyFetchSettings):
        return any(map(_is_https, monitor.urls))
    return monitor.monitor not in BUILT_IN


def _is_https(url: str) -> bool:
    return url.lower().startswith("https:")


def _files(*names: str) -> tuple[Path, ...]:
    return tuple(_PACKAGE / name for name in names)


def _folders(*names: str) -> tuple[Path, ...]:
    """All files of these folders, which may be more than the piece's."""
    return tuple(file for name in names for file in sorted((_PACKAGE / name).glob("*.py")))


PIECES = (
    Piece(
        "BGP",
        "configuration",
        "pybal.daemon.bgp_speaking",
        (
            *_files("daemon/bgp_speaking.py", "handover/memory.py"),
            *_folders("announce", "bgp", "bgp/bfd"),
        ),
        _speaks_bgp,
    ),
    Piece(
        "etcd",
        "service",
        "pybal.sources.etcd",
        _files(
            "sources/etcd.py",
            "sources/etcd_client.py",
            "sources/etcd_connection.py",
            "sources/etcd_values.py",
        ),
        _has_etcd,
    ),
    Piece(
        "TLS",
        "check or pool list",
        "pybal.http.tls_exchange",
        _files("http/tls_exchange.py", "net/tls.py", "net/tls_groups.py"),
        _speaks_tls,
    ),
)

ANSWERS = Piece(
    "HTTP",
    "request",
    "pybal.daemon.http_answers",
    (*_files("daemon/http_answers.py", "history/moments.py"), *_folders("instrumentation", "page")),
    lambda _: True,
)
"""All need it, but not before their first checks."""
