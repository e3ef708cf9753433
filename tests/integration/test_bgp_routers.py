"""Our speaker beside BIRD, FRR, GoBGP, OpenBGPD and ExaBGP, each in its own network namespace."""

from __future__ import annotations

import os
import re

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, HOST6, VIP, VIP6, Pair, wait_routes
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, eventually
from tests.bgp.routers import ROUTERS, Bird, Frr, GoBGP, OpenBGPD, Router, Terms

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

EVERY = pytest.mark.parametrize("kind", ROUTERS, ids=lambda kind: kind.__name__)


@EVERY
def test_routes_come_with_their_attributes_over_one_session_and_go_one_by_one(
    pair: Pair, kind: type[Router]
) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    wish = {
        "address": VIP,
        "med": 100,
        "communities": [64600 << 16 | 7],
        "large_communities": [[64600, 1, 2]],
    }
    speaker.announce("a", wish)
    speaker.announce("b", VIP6)
    assert speaker.wait_established()["hold_time_s"] == 30
    routes = wait_routes(router, HOST, HOST6)
    first, second = routes[HOST], routes[HOST6]
    assert re.search(r'"?(metric|med)"?: ?100\b', first)
    assert re.search(r"64600[:,] ?7\b|4233625607", first)
    assert re.search(r'64600:1:2|64600, 1, 2|"ASN": 64600, "LocalData1": 1, "LocalData2": 2', first)
    assert re.search(r"\b64512\b", first)
    assert OUR_IPV4 in first
    assert re.search(r'"?(metric|med)"?: ?0\b', second)
    assert OUR_IPV6 in second
    speaker.ask(withdraw="a")
    wait_routes(router, HOST6)
    speaker.ask(withdraw="b")
    wait_routes(router)
    assert speaker.peer()["sessions_lost"] == 0


@EVERY
def test_a_stop_leaves_nothing_and_says_why(pair: Pair, kind: type[Router]) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    speaker.stop("deploying version 2")
    eventually("the session ended", lambda: not router.established())
    wait_routes(router)
    if router.shows_shutdown_text:
        eventually("the text", lambda: "deploying version 2" in router.log)


@EVERY
def test_kill_9_of_ours_takes_the_routes_at_once_and_we_come_back(
    pair: Pair, kind: type[Router]
) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.kill()
    wait_routes(router, limit_s=AT_ONCE_S)
    if kind is GoBGP:
        return  # for 5 s after a session it takes none; with graceful restart that is waited for
    again = pair.speaker()
    again.announce("web", VIP)
    wait_routes(router, HOST)


@EVERY
def test_a_restarted_router_learns_the_routes_again(pair: Pair, kind: type[Router]) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    router.end()
    eventually("we noticed", lambda: not speaker.peer()["established"], AT_ONCE_S)
    wait_routes(pair.router(kind), HOST)
    assert speaker.peer()["sessions_lost"] == 1


@EVERY
def test_4_octet_asns(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, Terms(peer_asn=4200000001))
    speaker = pair.speaker(asn=4200000001)
    speaker.announce("web", VIP)
    assert re.search(r"4200000001|64086\.59905", wait_routes(router, HOST)[HOST])


# ExaBGP and GoBGP never ask: one keeps no routes, the other keeps them all.
@pytest.mark.parametrize("kind", [Bird, Frr, OpenBGPD])
def test_a_route_refresh_is_answered_and_keeps_the_routes(pair: Pair, kind: type[Router]) -> None:
    # RFC 2918, RFC 7313: BIRD would drop what is not repeated between the markers.
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    before = speaker.messages()
    router.ask_refresh()
    eventually("asked for both", lambda: speaker.messages()["routerefresh", "received"] == 2)
    eventually(
        "answered", lambda: speaker.messages()["update", "sent"] == before["update", "sent"] + 2
    )
    if kind is Bird:
        eventually("with markers", lambda: speaker.messages()["routerefresh", "sent"] == 4)
    wait_routes(router, HOST, HOST6)
    assert speaker.peer()["sessions_lost"] == 0


@EVERY
def test_ten_thousand_prefixes(pair: Pair, kind: type[Router]) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.wait_established()
    ipv4 = [f"10.{i >> 8}.{i & 255}.1" for i in range(5000)]
    ipv6 = [f"2001:db8::{i:x}" for i in range(1, 5001)]
    speaker.announce("web", *ipv4, *ipv6)
    eventually("all", lambda: router.count_routes() == 10000, 40)
    # 4096 bytes hold 809 IPv4 or 237 IPv6 host routes with these attributes; End-of-RIB is two.
    extended = "extended-message" in speaker.peer()["capabilities_received"]
    assert speaker.messages()["update", "sent"] == (1 + 2 + 2 if extended else 7 + 22 + 2)
    speaker.ask(withdraw="web")
    eventually("none", lambda: router.count_routes() == 0, 40)
    assert speaker.peer()["sessions_lost"] == 0
