"""BFD beside graceful restart (RFC 5882 section 4.3): how long a router is without our route.

docs/bgp.md has what is measured here as a table."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, VIP, Pair, wait_routes
from tests.bgp.rig import Speaker, eventually
from tests.bgp.routers import Bird, FrrWithBFD, Router, Terms

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

ABSENCE_S = 1.5
"""Between two lives: five times as long as BFD takes to notice."""
PEER: dict[str, Any] = {"restart_time_s": 30, "bfd": {"interval_ms": 100, "multiplier": 3}}
HELPER = Terms(graceful_restart=True)
BIRD_BFD = 'protocol bfd { interface "v0" { interval 100 ms; multiplier 3; }; }'


@dataclass
class Watch:
    """How long the route was not there, as far as has been seen."""

    lost_s: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, router: Router) -> None:
        before, there = time.monotonic(), True
        while not self.stop.is_set():
            now = time.monotonic()
            if not there:
                self.lost_s += now - before
            before, there = now, HOST in router.routes()
            time.sleep(0.01)


@contextmanager
def watching(router: Router) -> Iterator[Watch]:
    watch = Watch()
    thread = threading.Thread(target=watch.run, args=(router,))
    thread.start()
    try:
        yield watch
    finally:
        watch.stop.set()
        thread.join()


def bird_strict(pair: Pair) -> Router:
    return pair.bird(HELPER, globals=BIRD_BFD, options="direct; graceful restart on; bfd on;")


def bird_graceful(pair: Pair) -> Router:
    options = "direct; graceful restart on; bfd graceful;"
    return pair.bird(HELPER, globals=BIRD_BFD, options=options)


def _frr(pair: Pair, more: str) -> Router:
    session = "neighbor {us} graceful-restart-helper\n" + more
    router = FrrWithBFD(pair.wire, pair.directory, session=session)
    pair.children.append(router)
    return router


def frr_strict(pair: Pair) -> Router:
    return _frr(pair, "")


def frr_graceful(pair: Pair) -> Router:
    return _frr(pair, "neighbor {us} bfd check-control-plane-failure\n")


ROUTERS = [bird_strict, bird_graceful, frr_strict, frr_graceful]
EVERY = pytest.mark.parametrize("kind", ROUTERS, ids=lambda router: router.__name__)


def bird_authenticated(pair: Pair) -> Router:
    secret = 'authentication meticulous keyed sha1; password "a-secret" { id 7; };'
    globals_ = BIRD_BFD.replace("multiplier 3;", f"multiplier 3; {secret}")
    assert secret in globals_
    return pair.bird(HELPER, globals=globals_, options="direct; graceful restart on; bfd on;")


def own(pair: Pair, router: Router) -> dict[str, Any]:
    """What our side needs for this router."""
    settings: dict[str, Any] = {"peer": PEER}
    config = pair.directory / "bird.conf"
    if isinstance(router, Bird) and "a-secret" in config.read_text("utf-8"):
        auth = ["METICULOUS_KEYED_SHA1", 7, "a-secret"]
        settings = {"peer": PEER | {"bfd": PEER["bfd"] | {"auth": auth}}}
    return settings | {"state": str(pair.directory)}


def start(pair: Pair, router: Router) -> Speaker:
    speaker = pair.speaker(**own(pair, router))
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    time.sleep(0.5)
    return speaker


def next_life(pair: Pair, router: Router) -> Speaker:
    time.sleep(ABSENCE_S)
    again = pair.speaker(**own(pair, router), restarting=True)
    again.announce("web", VIP)
    again.ask(complete=True)
    again.wait_established()
    wait_routes(router, HOST)
    time.sleep(1.0)
    return again


@pytest.mark.parametrize("kind", [*ROUTERS, bird_authenticated], ids=lambda router: router.__name__)
def test_a_planned_restart_loses_no_route_for_any_time(
    pair: Pair, kind: Callable[[Pair], Router]
) -> None:
    router = kind(pair)
    speaker = start(pair, router)
    with watching(router) as watch:
        speaker.ask(restart=True)
        speaker.child.wait(10)
        again = next_life(pair, router)
    print(f"{kind.__name__}: planned restart, without a route for {watch.lost_s:.2f} s")
    assert watch.lost_s == 0
    eventually("BFD is up", lambda: again.peer()["bfd"] == "UP")
    assert again.peer()["sessions_lost"] == 0


@EVERY
def test_kill_9_of_the_daemon_loses_the_route_only_where_bfd_counts_in_any_case(
    pair: Pair, kind: Callable[[Pair], Router]
) -> None:
    """The kernel closes the connection at once: with graceful restart that comes first."""
    router = kind(pair)
    speaker = start(pair, router)
    with watching(router) as watch:
        speaker.kill()
        next_life(pair, router)
    print(f"{kind.__name__}: crash, without a route for {watch.lost_s:.2f} s")
    assert (watch.lost_s > 0.5) is (kind is bird_strict)


@EVERY
def test_a_host_that_hangs_loses_the_route_unless_bfd_is_made_to_heed_graceful_restart(
    pair: Pair, kind: Callable[[Pair], Router]
) -> None:
    router = kind(pair)
    speaker = start(pair, router)
    speaker.freeze()
    if kind in (bird_graceful, frr_graceful):
        time.sleep(1.5)
        assert HOST in router.routes(), "until the restart time is over"
    else:
        wait_routes(router, limit_s=AT_ONCE_S)
    speaker.thaw()
    wait_routes(router, HOST)


@EVERY
def test_a_stop_takes_the_route_at_once(pair: Pair, kind: Callable[[Pair], Router]) -> None:
    router = kind(pair)
    speaker = start(pair, router)
    speaker.stop("bye")
    wait_routes(router, limit_s=AT_ONCE_S)
