"""A process ends, the next one goes on with its sessions: the router is not to notice."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import stat
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, HOST6, VIP, VIP6, Pair, wait_routes
from tests.bgp.rig import OUR_IPV4, Speaker, eventually
from tests.bgp.routers import Bird, ExaBGP, Frr, GoBGP, OpenBGPD, Router, Terms
from tests.handover.manager import FakeManager
from tests.stage import entered

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

ALL = (Bird, Frr, GoBGP, OpenBGPD, ExaBGP)
SHORT_HOLD_S = 6
"""About as long as ten lives take, and ten times as long as one: on a loaded machine 3 s were once
not enough for the start of one."""
WITH_GRACEFUL_RESTART = pytest.mark.parametrize(
    "terms",
    [Terms(), Terms(graceful_restart=True)],
    ids=["plain", "graceful-restart"],
)


def _is_let_in(pair: Pair) -> bool:
    """Whether a connection to our port is made."""
    with entered(Path("/run/netns") / pair.wire.ours), socket.socket() as client:
        return client.connect_ex((OUR_IPV4, 179)) == 0


def _has_sent(speaker: Speaker, kind: str) -> bool:
    return speaker.messages()[kind, "sent"] > 0


def life(pair: Pair, manager: FakeManager, **own: Any) -> Speaker:
    return pair.speaker(store=manager.address, left=manager.left(), **own)


@WITH_GRACEFUL_RESTART
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_kill_9_and_a_restart_reset_no_session_and_send_no_update(
    pair: Pair, manager: FakeManager, kind: type[Router], terms: Terms
) -> None:
    router = pair.router(kind, terms)
    peer = {"restart_time_s": 60} if terms.graceful_restart else {}
    speaker = life(pair, manager, peer=peer)
    speaker.announce("web", VIP, VIP6)
    speaker.wait_established()
    wait_routes(router, HOST, HOST6)
    speaker.ask(complete=True)
    since = speaker.peer()["since"]
    for how in ("kill", "restart", "kill"):
        if how == "kill":
            speaker.kill()
        else:
            speaker.ask(restart=True)
            speaker.child.wait(10)
        assert _is_let_in(pair), "who connects meanwhile waits"
        assert router.established()
        speaker = life(pair, manager, peer=peer)
        assert speaker.peer()["established"], speaker.log[-3000:]
        assert abs(speaker.peer()["since"] - since) < 0.1
        speaker.announce("web", VIP, VIP6)
        speaker.ask(complete=True)
        eventually("a keepalive", partial(_has_sent, speaker, "keepalive"))
        assert router.established()
        assert set(router.routes()) == {HOST, HOST6}
        assert not _has_sent(speaker, "update")
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.stop()
    wait_routes(router, limit_s=AT_ONCE_S)
    assert manager.kept == {}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_ten_times_kill_9_while_routes_change_leave_the_session_and_the_last_word(
    pair: Pair, manager: FakeManager, kind: type[Router]
) -> None:
    router = pair.router(kind)
    chance = random.Random(kind.__name__)
    speaker = life(pair, manager, peer={"hold_time_s": SHORT_HOLD_S})
    since = speaker.wait_established()["since"]
    told: list[str] = []
    for _ in range(10):
        end = time.monotonic() + chance.uniform(0.05, 0.5)
        killer = threading.Timer(end - time.monotonic(), speaker.kill)
        killer.start()
        with contextlib.suppress(ValueError, OSError):
            speaker.ask(complete=True)
            while True:
                told = [f"192.0.2.{n}" for n in range(1, 255) if chance.random() < 0.5]
                speaker.announce("web", *told)
        killer.join()
        speaker.child.wait(5)
        speaker = life(pair, manager, peer={"hold_time_s": SHORT_HOLD_S})
        peer = speaker.peer()
        assert peer["established"], speaker.log[-3000:]
        assert abs(peer["since"] - since) < 0.1
    speaker.announce("web", *told)
    speaker.ask(complete=True)
    wait_routes(router, *(f"{address}/32" for address in told))
    speaker.wait_said("goes on from the process before us")
    assert "ends:" not in speaker.log


def test_a_peer_with_other_settings_is_told_so_and_begins_anew(
    pair: Pair, manager: FakeManager
) -> None:
    router = pair.bird()
    speaker = life(pair, manager)
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.kill()
    speaker = life(pair, manager, peer={"hold_time_s": 9})
    speaker.wait_established()
    speaker.wait_said("its settings have changed (hold time)")
    eventually("the word", lambda: "Received: Other configuration change" in router.log)
    speaker.kill()
    again = life(pair, manager, peer={"address": "10.77.0.99"})
    again.ask(complete=True)
    eventually("the session ends", lambda: not router.established())
    again.wait_said("it is not configured any more")


@pytest.mark.parametrize("damage", ["place", "record"])
def test_what_cannot_be_trusted_is_not_used(pair: Pair, manager: FakeManager, damage: str) -> None:
    router = pair.bird()
    speaker = life(pair, manager)
    speaker.announce("web", VIP)
    first = speaker.wait_established()["since"]
    wait_routes(router, HOST)
    speaker.kill()
    if damage == "record":
        for descriptor in (one for own in manager.kept.values() for one in own):
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.pwrite(descriptor, b"?", 40)
    own = {"place": "elsewhere"} if damage == "place" else {}
    speaker = life(pair, manager, **own)
    assert speaker.wait_established()["since"] > first
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.wait_said("cannot go on")


def test_bfd_waits_for_a_restart_and_ends_the_session_after_a_crash(
    pair: Pair, manager: FakeManager
) -> None:
    router = pair.bird(
        globals='protocol bfd { interface "v0" { interval 100 ms; multiplier 3; }; }',
        options="direct; bfd on;",
    )
    peer = {"bfd": {"interval_ms": 100, "multiplier": 3}}
    speaker = life(pair, manager, peer=peer)
    speaker.announce("web", VIP)
    since = speaker.wait_established()["since"]
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    wait_routes(router, HOST)
    speaker.ask(complete=True)
    speaker.ask(restart=True)
    speaker.child.wait(10)
    time.sleep(1.5)  # five times what BFD takes to notice
    assert router.established()
    speaker = life(pair, manager, peer=peer)
    assert abs(speaker.wait_established()["since"] - since) < 0.1
    eventually("BFD goes on", lambda: speaker.peer()["bfd"] == "UP")
    speaker.announce("web", VIP)
    speaker.ask(complete=True)
    time.sleep(1)
    assert router.established()
    assert abs(speaker.peer()["since"] - since) < 0.1
    speaker.kill()
    eventually("the router has noticed", lambda: not router.established(), AT_ONCE_S)
