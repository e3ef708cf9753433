"""BFD (RFC 5880, RFC 5881, RFC 5882) with BIRD and FRR."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, VIP, Pair, wait_routes
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, ROUTER_IPV6, Speaker, eventually
from tests.bgp.routers import Bird, FrrWithBFD

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

BFD = {"interval_ms": 100, "multiplier": 3}
BIRD_BFD: dict[str, Any] = {
    "globals": 'protocol bfd { interface "v0" { interval 100 ms; multiplier 3; }; }',
    "options": "direct; bfd on;",
}


def bfd_pair(pair: Pair) -> tuple[Bird, Speaker]:
    bird = pair.bird(**BIRD_BFD)
    speaker = pair.speaker(peer={"bfd": BFD})
    speaker.announce("web", VIP)
    wait_routes(bird, HOST)
    eventually("BFD is up on our side", lambda: speaker.peer()["bfd"] == "UP")
    eventually("BFD is up on BIRD's side", lambda: " Up " in bird.cli("show bfd sessions"))
    return bird, speaker


def test_bfd_notices_a_frozen_router_long_before_the_hold_timer(pair: Pair) -> None:
    bird, speaker = bfd_pair(pair)
    bird.freeze()
    peer = eventually("noticed", lambda: (p := speaker.peer())["sessions_lost"] and p, AT_ONCE_S)
    assert peer["bfd"] == "DOWN"
    assert "BFD" in peer["last_error"]
    bird.thaw()
    eventually("back", lambda: speaker.peer()["established"])
    eventually("BFD is up again", lambda: speaker.peer()["bfd"] == "UP")


def test_bfd_runs_over_ipv6(pair: Pair) -> None:
    pair.bird(**BIRD_BFD, local=ROUTER_IPV6, neighbor=OUR_IPV6)
    speaker = pair.speaker(peer={"address": ROUTER_IPV6, "bfd": BFD}, listen=[OUR_IPV6])
    speaker.wait_established()
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")


def test_bfd_lets_the_router_drop_our_routes_when_we_freeze(pair: Pair) -> None:
    bird, speaker = bfd_pair(pair)
    speaker.freeze()
    wait_routes(bird, limit_s=AT_ONCE_S)
    speaker.thaw()
    wait_routes(bird, HOST)


def test_a_router_that_knows_waits_while_we_stand_still(pair: Pair) -> None:
    bird, speaker = bfd_pair(pair)
    stand_still(speaker)
    assert "BFD session down" not in bird.log
    speaker.freeze()
    wait_routes(bird, limit_s=1)
    speaker.thaw()


def stand_still(speaker: Speaker) -> None:
    """Far longer than BFD waits, as a search for garbage does at its worst."""
    speaker.ask(stand_still=2.0)
    time.sleep(3)
    peer = speaker.peer()
    assert (peer["bfd"], peer["sessions_lost"]) == ("UP", 0)


def test_a_stop_ends_bfd_on_purpose(pair: Pair) -> None:
    bird, speaker = bfd_pair(pair)
    speaker.stop("bye")
    log = eventually("the text", lambda: "bye" in bird.log and bird.log)
    assert "BFD" not in log[log.index("bye") :].split("State changed to stop")[0]


def test_frr_and_we_notice_each_other_frozen_long_before_the_hold_timer(pair: Pair) -> None:
    router = FrrWithBFD(pair.wire, pair.directory)
    pair.children.append(router)
    speaker = pair.speaker(peer={"bfd": BFD})
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    stand_still(speaker)
    speaker.freeze()
    wait_routes(router, limit_s=AT_ONCE_S)
    speaker.thaw()
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    lost = speaker.peer()["sessions_lost"]
    for process in (*router.daemons, router):
        process.freeze()
    eventually("we noticed", lambda: speaker.peer()["sessions_lost"] > lost, AT_ONCE_S)
    for process in (*router.daemons, router):
        process.thaw()


def bird_bfd(where: str, more: str = "") -> dict[str, Any]:
    """BIRD's side, for what stands in `where` of its protocol bfd."""
    block = f"{where} {{ interval 100 ms; multiplier 3; {more} }};"
    session = "multihop; bfd on;" if where == "multihop" else "direct; bfd on;"
    return {"globals": f"protocol bfd {{ {block} }}", "options": session}


AUTHENTICATION = {
    "SIMPLE": "simple",
    "KEYED_MD5": "keyed md5",
    "METICULOUS_KEYED_MD5": "meticulous keyed md5",
    "KEYED_SHA1": "keyed sha1",
    "METICULOUS_KEYED_SHA1": "meticulous keyed sha1",
}


@pytest.mark.parametrize("kind", AUTHENTICATION)
def test_bfd_with_authentication(pair: Pair, kind: str) -> None:
    secret = f'authentication {AUTHENTICATION[kind]}; password "a-secret" {{ id 7; }};'
    bird = pair.bird(**bird_bfd('interface "v0"', secret))
    speaker = pair.speaker(peer={"bfd": BFD | {"auth": [kind, 7, "a-secret"]}})
    speaker.wait_established()
    eventually("BFD is up on our side", lambda: speaker.peer()["bfd"] == "UP")
    eventually("BFD is up on BIRD's side", lambda: " Up " in bird.cli("show bfd sessions"))
    bird.freeze()
    eventually("noticed", lambda: speaker.peer()["sessions_lost"], AT_ONCE_S)
    bird.thaw()
    eventually("BFD is up again", lambda: speaker.peer()["bfd"] == "UP")


def test_bfd_with_another_key_does_not_come_up_and_says_so(pair: Pair) -> None:
    secret = 'authentication keyed sha1; password "a-secret" { id 7; };'
    pair.bird(**bird_bfd('interface "v0"', secret))
    speaker = pair.speaker(peer={"bfd": BFD | {"auth": ["KEYED_SHA1", 7, "another"]}})
    speaker.wait_established()
    speaker.wait_said("a packet was refused: another key")
    assert speaker.peer()["bfd"] == "DOWN"


FAR = BFD | {"multihop": True, "min_ttl": 0}


def test_bfd_over_several_hops_with_bird(pair: Pair) -> None:
    bird = pair.bird(**bird_bfd("multihop"))
    speaker = pair.speaker(peer={"bfd": FAR, "local_address": OUR_IPV4})
    speaker.wait_established()
    eventually("BFD is up on our side", lambda: speaker.peer()["bfd"] == "UP")
    eventually("BFD is up on BIRD's side", lambda: " Up " in bird.cli("show bfd sessions"))
    bird.freeze()
    eventually("noticed", lambda: speaker.peer()["sessions_lost"], AT_ONCE_S)
    bird.thaw()


def test_bfd_over_several_hops_with_frr(pair: Pair) -> None:
    router = FrrWithBFD(pair.wire, pair.directory, session="neighbor {us} ebgp-multihop 5")
    pair.children.append(router)
    speaker = pair.speaker(peer={"bfd": FAR, "local_address": OUR_IPV4})
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    stand_still(speaker)
    speaker.freeze()
    wait_routes(router, limit_s=AT_ONCE_S)
    speaker.thaw()
    wait_routes(router, HOST)
