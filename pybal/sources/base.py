"""What every pool source is, and the outside world it is given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred

import pybal
from pybal.config.poollist import PoolList, parse_pool_list
from pybal.errors import SourceError
from pybal.http.port import HTTPClient
from pybal.model import ServerSpec, SourceSnapshot

MAX_LIST_BYTES = 4 * 1024 * 1024
"""Twice what the most servers of a list take; a larger one is refused unread."""

USER_AGENT = f"PyBal/{pybal.__version__}"

Publish = Callable[[tuple[ServerSpec, ...]], None]


class Source(Protocol):
    """Observes where a service's pool list comes from and publishes each changed list.

    A list that cannot be had, or that holds no servers, is never published: the last good one
    stays in force. Nothing is published after stop(), which is idempotent.
    """

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def snapshot(self) -> SourceSnapshot: ...


@dataclass(frozen=True, slots=True)
class SourcePorts:
    """The injected world. `reactor` provides IReactorTime (etcd: IReactorFromThreads too),
    `now()` is Unix seconds, `in_thread` runs a function that may block on the disk.
    `state_directory` None: no list is kept over a restart. `ca_file` (PEM) is trusted in place
    of the platform's authorities by sources that speak TLS."""

    reactor: Any
    now: Callable[[], float]
    random: random.Random
    http: HTTPClient
    in_thread: Callable[[Callable[[], None]], Deferred[None]]
    state_directory: Path | None
    ca_file: str | None = None


@lru_cache(maxsize=4)
def parse_bytes(data: bytes, *, json_format: bool) -> PoolList:
    """A pool list from a file's or a server's bytes; SourceError if it cannot be one.

    The last few are kept: dozens of services often share one list, and each reads it twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"not UTF-8 text, at byte {error.start}") from None
    return parse_pool_list(text, json_format=json_format)
