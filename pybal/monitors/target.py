"""What a monitor is given: whom to check, and the outside world to do it with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pybal.httpclient import HTTPClient
from pybal.model import IPAddress


@dataclass(frozen=True, slots=True)
class Target:
    """The real server under check.

    `describe()` gives the server's name and status for log lines: `h (enabled/up/pooled)`.
    """

    service: str
    host: str
    address: IPAddress
    port: int
    describe: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Environment:
    """The injected world. `now()` is the wall clock in Unix seconds; timers and sockets are
    the reactor's (any object that provides IReactorTime, IReactorTCP, IReactorUDP and
    IReactorProcess; Twisted's interfaces cannot be joined into one type)."""

    reactor: Any
    now: Callable[[], float]
    random: random.Random
    http: HTTPClient
