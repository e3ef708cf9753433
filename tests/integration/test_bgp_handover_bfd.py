"""kill -9 with BFD: the next process goes on with its session, too, if it is there in time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, VIP, Pair, wait_routes
from tests.bgp.rig import Speaker, eventually
from tests.bgp.routers import FrrWithBFD, Router
from tests.handover.manager import FakeManager
from tests.integration.test_bgp_restart_bfd import watching

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

INTERVAL_MS, MULTIPLIER = 300, 15
"""4.5 seconds: a start within the tests' rig takes one or two on a busy machine."""
BIRD_BFD = """protocol bfd {{ interface "v0" {{ interval 300 ms; multiplier 15; {auth} }}; }}"""
SECRET = 'authentication {}; password "a-secret" {{ id 7; }};'
AUTH = {
    "meticulous keyed sha1": ["METICULOUS_KEYED_SHA1", 7, "a-secret"],
    "keyed md5": ["KEYED_MD5", 7, "a-secret"],
}


def bird(pair: Pair, auth: str | None) -> Router:
    said = SECRET.format(auth) if auth else ""
    return pair.bird(globals=BIRD_BFD.format(auth=said), options="direct; bfd on;")


def frr(pair: Pair, auth: str | None) -> Router:
    assert auth is None
    if not FrrWithBFD.installed():
        pytest.skip("FRR is not installed")
    router = FrrWithBFD(pair.wire, pair.directory, session="")
    pair.children.append(router)
    return router


def life(pair: Pair, manager: FakeManager, auth: str | None) -> Speaker:
    bfd: dict[str, Any] = {"interval_ms": INTERVAL_MS, "multiplier": MULTIPLIER}
    if auth:
        bfd["auth"] = AUTH[auth]
    return pair.speaker(store=manager.address, left=manager.left(), peer={"bfd": bfd})


@pytest.mark.parametrize(
    ("kind", "auth"),
    [(bird, None), (frr, None), *((bird, auth) for auth in AUTH)],
    ids=["bird", "frr", *(f"bird {auth}" for auth in AUTH)],
)
def test_kill_9_ends_no_session_of_bfd_nor_of_bgp(
    pair: Pair,
    manager: FakeManager,
    kind: Callable[[Pair, str | None], Router],
    auth: str | None,
) -> None:
    router = kind(pair, auth)
    speaker = life(pair, manager, auth)
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    since = speaker.peer()["since"]
    time.sleep(1.0)
    with watching(router) as watch:
        for _ in range(2):
            speaker.kill()
            speaker = life(pair, manager, auth)
            speaker.announce("web", VIP)
            speaker.ask(complete=True)
            assert speaker.peer()["bfd"] == "UP", speaker.log[-3000:]
            time.sleep(1.0)
        # Longer than the peer would wait for one that is silent.
        time.sleep(INTERVAL_MS * MULTIPLIER / 1000 + 1)
    assert watch.lost_s == 0
    # BGP and BFD, in two lives.
    eventually(
        "each life says so",
        lambda: speaker.log.count("goes on from the process before us") == 4,
    )
    peer = speaker.peer()
    assert (peer["bfd"], peer["sessions_lost"]) == ("UP", 0)
    assert abs(peer["since"] - since) < 0.1
    speaker.stop()
    wait_routes(router, limit_s=AT_ONCE_S)
    assert manager.kept == {}
