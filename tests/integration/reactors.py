"""A real reactor for one test: made, run until a coroutine has ended, and thrown away."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.http.client import BoundedHTTPClient
from pybal.http.port import HTTPClient
from pybal.names.resolver import Resolver
from pybal.names.stub_resolver import SystemNames
from pybal.net.sockets import SocketNetwork
from tests.fakes.files import FilesHere

T = TypeVar("T")


def run_in_reactor(
    main: Callable[[Any], Coroutine[Deferred[Any], Any, T]], *, limit_s: float = 60.0
) -> T:
    """Run `main(reactor)` in a reactor of its own; gives its result or raises its error."""
    reactor: Any = EPollReactor()
    results: list[T] = []
    failures: list[Failure] = []

    def begin() -> None:
        ended = Deferred.fromCoroutine(main(reactor))
        limit = reactor.callLater(limit_s, ended.cancel)
        ended.addCallbacks(results.append, failures.append)
        ended.addCallback(lambda _: limit.active() and limit.cancel())
        # Aborted connections are closed in the reactor's next round.
        ended.addCallback(lambda _: reactor.callLater(0.01, reactor.stop))

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    reactor.removeAll()
    if failures:
        failures[0].raiseException()
    return results[0]


async def sleep(reactor: Any, delay_s: float) -> None:
    """Let `delay_s` seconds pass in the reactor."""
    passed: Deferred[None] = Deferred()
    reactor.callLater(delay_s, passed.callback, None)
    await passed


async def until(reactor: Any, condition: Callable[[], bool], *, limit_s: float = 40.0) -> None:
    """Wait until `condition()` holds; fails after `limit_s`."""
    deadline = reactor.seconds() + limit_s
    while not condition():
        assert reactor.seconds() < deadline, f"{condition} did not come to hold in {limit_s} s"
        await sleep(reactor, 0.02)


def real_client(
    reactor: Any,
    hosts: Path = Path("/etc/hosts"),
    resolv_conf: Path = Path("/etc/resolv.conf"),
    dns_port: int = 53,
) -> HTTPClient:
    """The daemon's HTTP client."""
    names = SystemNames(reactor, hosts, resolv_conf, dns_port)
    resolver = Resolver(reactor, random.Random(1), names, Logger(), None)
    return BoundedHTTPClient(reactor, SocketNetwork(reactor), resolver, files=FilesHere())
