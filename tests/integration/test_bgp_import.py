"""What real routers say of an address of ours that they, too, announce (bgp-import)."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.bgp.pair import HOST, VIP, Pair
from tests.bgp.rig import ROUTER_IPV4, Speaker, eventually
from tests.bgp.routers import Bird, ExaBGP, Frr, GoBGP, OpenBGPD, Router
from tests.handover.manager import FakeManager

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def bird_too(pair: Pair) -> Router:
    static = f"protocol static {{ ipv4; route {HOST} blackhole; }}"
    return pair.bird(ipv4="export where source = RTS_STATIC; next hop self;", more=static)


def frr_too(pair: Pair) -> Router:
    router = pair.router(Frr, router="no bgp network import-check")
    assert isinstance(router, Frr)
    router.configure("router bgp 64600", "address-family ipv4 unicast", f"network {HOST}")
    return router


def gobgp_too(pair: Pair) -> Router:
    router = pair.router(GoBGP)
    router._ask("gobgp", "global", "rib", "add", HOST, "nexthop", ROUTER_IPV4)
    return router


def openbgpd_too(pair: Pair) -> Router:
    router = pair.router(OpenBGPD, outwards="allow")
    assert isinstance(router, OpenBGPD)
    router.tell("network", "add", HOST)
    return router


def exabgp_too(pair: Pair) -> Router:
    return pair.router(ExaBGP, routes=f"route {HOST} next-hop self;")


TOO = {
    "BIRD": bird_too,
    "FRR": frr_too,
    "GoBGP": gobgp_too,
    "OpenBGPD": openbgpd_too,
    "ExaBGP": exabgp_too,
}


def others(speaker: Speaker) -> Any:
    [own] = speaker.ask(snapshot=True)["own"]
    return own["preferred"] == "others" and own["others"]


@pytest.mark.parametrize("too", TOO.values(), ids=TOO)
def test_a_router_that_announces_it_itself_is_heard(
    pair: Pair, too: Callable[[Pair], Router]
) -> None:
    too(pair)
    speaker = pair.speaker(peer={"imports": True})
    speaker.ask(own=[VIP])
    speaker.wait_established()
    [route] = eventually("it is heard", lambda: others(speaker))
    assert (route["prefix"], route["peer"]) == (HOST, ROUTER_IPV4)
    assert (route["as_path"], route["path_length"]) == ([64600], 1)
    assert route["next_hop"] == ROUTER_IPV4
    speaker.announce("web", VIP)
    speaker.stop()
    assert "Nobody else announces" not in speaker.log


def test_the_next_process_hears_it_again_over_the_same_session(
    pair: Pair, manager: FakeManager
) -> None:
    bird = bird_too(pair)
    for life in range(2):
        speaker = pair.speaker(peer={"imports": True}, store=manager.address, left=manager.left())
        speaker.ask(own=[VIP])
        speaker.wait_established()
        eventually("it is heard", partial(others, speaker))
        if life == 0:
            speaker.kill()
    assert isinstance(bird, Bird)
    assert bird.log.count("BGP session established") == 1
