"""The outside world that a pool source is given."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pybal
from pybal.http.port import HostLookUp, HTTPClient
from pybal.model import SourceList
from pybal.runtime.threads import InThread
from pybal.runtime.time_slices import TimeSlices
from pybal.sources.file_watches import FileWatches
from pybal.state.file_access import FileAccess
from pybal.state.state_writing import StateWriting

USER_AGENT = f"PyBal/{pybal.__version__}"

Publish = Callable[[SourceList], None]


class SourcePorts(NamedTuple):
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
