"""Our speaker beside FRR, GoBGP, OpenBGPD and ExaBGP, each in its own network namespace."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bgp.rig import OUR_IPV4, OUR_IPV6, ROUTER_IPV4, Speaker, Wire, eventually
from tests.bgp.routers import ROUTERS, Frr, FrrWithBFD, OpenBGPD, Router

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

HOST, HOST6 = "192.0.2.1/32", "2001:db8::1/128"
VIP, VIP6 = "192.0.2.1", "2001:db8::1"
EVERY = pytest.mark.parametrize("kind", ROUTERS, ids=lambda kind: kind.__name__)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made


class Pair:
    """A router and our speaker, ended with the test."""

    def __init__(self, wire: Wire, directory: Path) -> None:
        self.wire = wire
        self.directory = directory
        self.children: list[Router | Speaker] = []

    def router(self, kind: type[Router], **options: Any) -> Router:
        if not kind.installed():
            pytest.skip(f"{kind.program} is not installed")
        router = kind.start(self.wire, self.directory, **options)
        self.children.append(router)
        return router

    def speaker(self, **settings: Any) -> Speaker:
        fsm = {"connect_retry_s": 2, "idle_hold_max_s": 2}
        peer = {"address": ROUTER_IPV4, "asn": 64600, "fsm": fsm} | settings.pop("peer", {})
        settings = {"peers": [peer], "listen": [OUR_IPV4]} | settings
        speaker = Speaker(self.wire, self.directory, **settings)
        self.children.append(speaker)
        return speaker

    def close(self) -> None:
        for child in self.children:
            child.close()


@pytest.fixture
def pair(wire: Wire, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(wire, tmp_path)
    yield made
    made.close()


def wait_routes(router: Router, *prefixes: str, limit_s: float = 15.0) -> dict[str, str]:
    """Its routes, once they are exactly these."""
    found: dict[str, str] = {}

    def same() -> bool:
        found.clear()
        found.update(router.routes())
        return set(found) == set(prefixes)

    try:
        eventually(f"{len(prefixes)} routes", same, limit_s)
    except AssertionError as error:
        raise AssertionError(f"{error}, but {list(found)[:5]}\n{router.log[-2000:]}") from None
    return found


@EVERY
def test_both_families_come_over_one_session_with_their_attributes(
    pair: Pair, kind: type[Router]
) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    wish = {
        "address": VIP,
        "med": 100,
        "communities": [64600 << 16 | 7],
        "large_communities": [[64600, 1, 2]],
    }
    speaker.announce("web", wish, VIP6)
    assert speaker.wait_established()["hold_time_s"] == 30
    routes = wait_routes(router, HOST, HOST6)
    first, second = routes[HOST], routes[HOST6]
    assert re.search(r'"(metric|med)": ?100\b', first)
    assert re.search(r"64600:7|64600, 7|4233625607", first)
    assert re.search(r'64600:1:2|64600, 1, 2|"ASN": 64600, "LocalData1": 1, "LocalData2": 2', first)
    assert re.search(r"\b64512\b", first)
    assert OUR_IPV4 in first
    assert re.search(r'"(metric|med)": ?0\b', second)
    assert OUR_IPV6 in second


@EVERY
def test_a_service_that_goes_takes_its_prefix_and_nothing_else(
    pair: Pair, kind: type[Router]
) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("a", VIP)
    speaker.announce("b", VIP6)
    wait_routes(router, HOST, HOST6)
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
    speaker.end(signal.SIGKILL)
    wait_routes(router, limit_s=3)
    again = pair.speaker()
    again.announce("web", VIP)
    wait_routes(router, HOST)


@EVERY
def test_a_restarted_router_learns_the_routes_again(pair: Pair, kind: type[Router]) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    router.close()
    eventually("we noticed", lambda: not speaker.peer()["established"])
    wait_routes(pair.router(kind), HOST)


@EVERY
def test_4_octet_asns(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, peer_asn=4200000001)
    speaker = pair.speaker(asn=4200000001)
    speaker.announce("web", VIP)
    assert re.search(r"4200000001|64086\.59905", wait_routes(router, HOST)[HOST])


@pytest.mark.parametrize("kind", [Frr, OpenBGPD])
def test_a_route_refresh_is_answered(pair: Pair, kind: type[Router]) -> None:
    # ExaBGP and GoBGP never ask: one keeps no routes, the other keeps them all.
    router, speaker = pair.router(kind), pair.speaker()
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    router.ask_refresh()

    def asked() -> bool:
        return ("routerefresh", "received") in {(k, d) for k, d, _ in speaker.peer()["messages"]}

    eventually("it asked", asked)
    assert speaker.peer()["established"]
    wait_routes(router, HOST, HOST6)


@EVERY
def test_ten_thousand_prefixes(pair: Pair, kind: type[Router]) -> None:
    router, speaker = pair.router(kind), pair.speaker()
    speaker.wait_established()
    ipv4 = [f"10.{i >> 8}.{i & 255}.1" for i in range(5000)]
    ipv6 = [f"2001:db8::{i:x}" for i in range(1, 5001)]
    speaker.announce("web", *ipv4, *ipv6)
    eventually("all", lambda: len(router.routes()) == 10000, 40)
    speaker.ask(withdraw="web")
    eventually("none", lambda: not router.routes(), 40)
    assert speaker.peer()["sessions_lost"] == 0


def test_frr_with_md5_and_gtsm(pair: Pair) -> None:
    extra = f"""
 no neighbor {OUR_IPV4} ebgp-multihop
 neighbor {OUR_IPV4} ttl-security hops 1
 neighbor {OUR_IPV4} password s3cret
"""
    router = pair.router(Frr, extra=extra)
    speaker = pair.speaker(peer={"password": "s3cret", "ttl_security_hops": 1})
    speaker.announce("web", VIP)
    wait_routes(router, HOST)


def test_frr_keeps_the_routes_over_a_graceful_restart(pair: Pair) -> None:
    # RFC 4724, with FRR as the helper.
    router = pair.router(Frr, extra=f"neighbor {OUR_IPV4} graceful-restart-helper")
    restart = {"restart_time_s": 60}
    speaker = pair.speaker(peer=restart)
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    speaker.end(signal.SIGKILL)
    eventually("FRR noticed", lambda: not router.established())
    assert set(router.routes()) == {HOST, HOST6}
    again = pair.speaker(peer=restart, restarting=True)
    again.wait_established()
    again.announce("web", VIP)
    again.ask(complete=True)
    wait_routes(router, HOST)


def test_bfd_with_frr_notices_a_frozen_side_within_a_second(pair: Pair) -> None:
    # RFC 5880, RFC 5881, RFC 5882.
    router = pair.router(FrrWithBFD)
    assert isinstance(router, FrrWithBFD)
    speaker = pair.speaker(peer={"bfd": {"interval_ms": 100, "multiplier": 3}})
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    speaker.child.send_signal(signal.SIGSTOP)
    wait_routes(router, limit_s=1.5)
    speaker.child.send_signal(signal.SIGCONT)
    wait_routes(router, HOST)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    lost = speaker.peer()["sessions_lost"]
    for process in (*router.daemons, router):
        process.child.send_signal(signal.SIGSTOP)
    eventually("we noticed", lambda: speaker.peer()["sessions_lost"] > lost, 1.5)
    for process in (*router.daemons, router):
        process.child.send_signal(signal.SIGCONT)
