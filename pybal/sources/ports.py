"""What every pool source is, and the outside world it is given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pybal
from pybal.http.port import HostLookUp, HTTPClient
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList, SourceSnapshot
from pybal.runtime.threads import InThread
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.file_watches import FileWatches
from pybal.state.file_access import FileAccess
from pybal.state.state_writing import StateWriting

USER_AGENT = f"PyBal/{pybal.__version__}"

Publish = Callable[[SourceList], None]


class Source(Protocol):
    """Observes where a service's pool list comes from and publishes each changed list.

    A list that cannot be had, or that holds no servers, is never published: the last good one
    stays in force. A damaged list takes no server out. Nothing is published after stop(), which is
    idempotent.
    """

    def start(self) -> None:
        """Begin to observe."""

    def stop(self) -> None:
        """Idempotent."""

    def follow(self, servers: tuple[ServerSpec, ...], *, falls_back: bool) -> None:
        """Before start(): these are in force already, from a source in whose place this one comes.
        As long as its list is not whole, they stay. If it `falls_back` on them they are also its
        first list while there is no other; what was ever kept on disk is not."""

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        """What of the published list is in force, and what lists have taken away lately: both are
        to be kept for the next start."""

    def snapshot(self) -> SourceSnapshot:
        """As it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePorts:
    """The injected world. `reactor` provides IReactorTime (etcd: IReactorFromThreads too),
    `now()` is Unix seconds, `in_thread` runs a function that takes its time, and fires
    with what it returns or raises; `writing` is for what is to be done before the process ends;
    services that share a pool file share `time_slices` when it changes. `state_directory` None: no
    list is kept over a restart; `read_only`: that of the last run is used, and none is written.
    `ca_file` (PEM) is trusted in place of the platform's authorities by sources that speak TLS.
    `boot` names the boot of the kernel whose clock `reactor` shows; None: it is not known. `files`
    reads pool files; `watches` knows when they need not be looked at."""

    reactor: Any
    time_slices: TimeSlices
    now: Callable[[], float]
    random: random.Random
    http: HTTPClient
    names: HostLookUp
    in_thread: InThread
    state_directory: Path | None
    writing: StateWriting
    files: FileAccess
    watches: FileWatches
    ca_file: str | None = None
    read_only: bool = False
    boot: str | None = None
