"""Our speaker and BIRD 2, each in its own network namespace."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bgp.rig import (
    OUR_IPV4,
    OUR_IPV6,
    OUR_SECOND_IPV4,
    ROUTER_IPV4,
    ROUTER_IPV6,
    Bird,
    Process,
    Speaker,
    Wire,
    eventually,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(shutil.which("bird") is None, reason="BIRD 2 (bird2) is not installed"),
]

VIP, VIP6 = "192.0.2.1", "2001:db8::1"


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made


class Pair:
    """Starts BIRD and our speaker with what a test wants of them; all ends with the test."""

    def __init__(self, wire: Wire, directory: Path) -> None:
        self.wire = wire
        self.directory = directory
        self.children: list[Bird | Speaker] = []

    def bird(self, **values: Any) -> Bird:
        bird = Bird(self.wire, self.directory, **values)
        self.children.append(bird)
        return bird

    def speaker(self, *, listen: tuple[str, ...] = (OUR_IPV4,), **settings: Any) -> Speaker:
        peer = {"address": ROUTER_IPV4, "asn": 64600} | settings.pop("peer", {})
        settings = {"peers": [peer], "listen": list(listen)} | settings
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


def learned(bird: Bird, *prefixes: str) -> Callable[[], dict[str, str] | None]:
    def check() -> dict[str, str] | None:
        routes = bird.routes()
        return routes if set(prefixes) == set(routes) else None

    return check


def gone(bird: Bird) -> Callable[[], bool]:
    return lambda: not bird.routes()


HOSTS = (f"{VIP}/32", f"{VIP6}/128")


def test_both_families_come_over_one_ipv4_session_with_their_attributes(pair: Pair) -> None:
    bird = pair.bird()
    speaker = pair.speaker(peer={"hold_time_s": 180})
    speaker.announce(
        "web",
        {
            "address": VIP,
            "med": 100,
            "communities": [64600 << 16 | 7],
            "large_communities": [[64600, 1, 2]],
        },
        VIP6,
    )
    peer = speaker.wait_established()
    routes = eventually("both routes", learned(bird, *HOSTS))
    first, second = routes[HOSTS[0]], routes[HOSTS[1]]
    assert "BGP.med: 100" in first
    assert "BGP.community: (64600,7)" in first
    assert "BGP.large_community: (64600, 1, 2)" in first
    assert f"BGP.next_hop: {OUR_IPV4}" in first
    assert "BGP.as_path: 64512" in first
    assert "BGP.origin: IGP" in first
    assert f"BGP.next_hop: {OUR_IPV6}" in second
    assert "BGP.med: 0" in second
    assert peer["hold_time_s"] == 30
    details = bird.cli("show protocols all pybal")
    assert "Hold timer:" in details
    assert "/30" in details


def test_a_service_that_goes_takes_only_its_own_prefix(pair: Pair) -> None:
    bird, speaker = pair.bird(), pair.speaker()
    speaker.announce("a", VIP, VIP6)
    speaker.announce("b", VIP)
    eventually("both", learned(bird, *HOSTS))
    speaker.ask(withdraw="a")
    eventually("one", learned(bird, HOSTS[0]))
    speaker.ask(withdraw="b")
    eventually("none", gone(bird))
    assert speaker.peer()["sessions_lost"] == 0


def test_an_ipv6_session_carries_both_families(pair: Pair) -> None:
    bird = pair.bird(local=ROUTER_IPV6, neighbor=OUR_IPV6, ipv4=f"next hop address {ROUTER_IPV4};")
    speaker = pair.speaker(peer={"address": ROUTER_IPV6}, listen=(OUR_IPV6,))
    speaker.announce("web", VIP, VIP6)
    eventually("both routes", learned(bird, *HOSTS))


def test_a_peer_may_open_the_connection(pair: Pair) -> None:
    speaker = pair.speaker(peer={"fsm": {"passive": True, "connect_retry_s": 600}})
    bird = pair.bird()
    speaker.announce("web", VIP)
    peer = speaker.wait_established()
    assert [c["side"] for c in peer["connections"] if c["state"] == "Established"] == ["passive"]
    eventually("the route", learned(bird, HOSTS[0]))


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (64512, 64600, "enable as4 off;"),
        (4200000001, 64600, ""),
        (4200000001, 4200000002, ""),
    ],
)
def test_2_and_4_octet_asns(pair: Pair, ours: int, theirs: int, options: str) -> None:
    bird = pair.bird(peer_asn=ours, asn=theirs, options="multihop;" + options)
    speaker = pair.speaker(asn=ours, peer={"asn": theirs})
    speaker.announce("web", VIP)
    text = eventually("the route", learned(bird, HOSTS[0]))[HOSTS[0]]
    assert f"BGP.as_path: {ours}" in text
    four_octet = "4-octet-asn" in speaker.peer()["capabilities_received"]
    assert four_octet is (options == "")


def test_a_4_octet_asn_is_as_trans_to_a_peer_without_capabilities(pair: Pair) -> None:
    bird = pair.bird(peer_asn=23456, options="multihop; capabilities off;")
    speaker = pair.speaker(asn=4200000001)
    speaker.announce("web", VIP)
    text = eventually("the route", learned(bird, HOSTS[0]))[HOSTS[0]]
    assert "BGP.as_path: 4200000001" in text  # out of AS_TRANS and AS4_PATH (RFC 6793)


def test_an_internal_peer_gets_local_pref_and_an_empty_path(pair: Pair) -> None:
    bird = pair.bird(asn=64512)
    speaker = pair.speaker(peer={"asn": 64512})
    speaker.announce("web", VIP)
    text = eventually("the route", learned(bird, HOSTS[0]))[HOSTS[0]]
    assert "BGP.local_pref: 100" in text
    assert "BGP.as_path: \n" in text


def test_a_peer_without_capabilities_gets_a_session(pair: Pair) -> None:
    # RFC 5492 section 3.
    bird = pair.bird(options="multihop; capabilities off;")
    speaker = pair.speaker()
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    assert speaker.peer()["capabilities_received"] == []


def test_extended_messages_and_ipv6_next_hops_of_ipv4_prefixes(pair: Pair) -> None:
    # RFC 8654 and RFC 8950.
    bird = pair.bird(options="multihop; enable extended messages on;", ipv4="extended next hop on;")
    speaker = pair.speaker(next_hop_ipv4=OUR_IPV6)
    prefixes = [f"10.{i >> 8}.{i & 255}.1" for i in range(3000)]
    speaker.announce("web", *prefixes)
    routes = eventually("all", learned(bird, *(f"{p}/32" for p in prefixes)))
    assert f"BGP.next_hop: {OUR_IPV6}" in routes["10.0.0.1/32"]
    sent = {k: n for k, d, n in speaker.peer()["messages"] if d == "sent"}
    assert sent["update"] == 3, "one large UPDATE and two End-of-RIB"
    speaker.ask(withdraw="web")
    eventually("none", gone(bird))


NEIGHBOURS = pytest.mark.parametrize(
    ("local", "neighbor", "passive"),
    [
        (ROUTER_IPV4, OUR_IPV4, False),
        (ROUTER_IPV4, OUR_IPV4, True),
        (ROUTER_IPV6, OUR_IPV6, False),
        (ROUTER_IPV6, OUR_IPV6, True),
    ],
)


@NEIGHBOURS
def test_md5_protects_the_session(pair: Pair, local: str, neighbor: str, passive: bool) -> None:
    # RFC 2385, both as the side that connects and as the one that listens.
    fsm = {"passive": passive, "connect_retry_s": 600 if passive else 2}
    options = 'multihop; password "s3cret";' + ("" if passive else " passive;")
    bird = pair.bird(local=local, neighbor=neighbor, options=options)
    speaker = pair.speaker(
        peer={"address": local, "password": "s3cret", "fsm": fsm}, listen=(neighbor,)
    )
    speaker.announce("web", VIP6)
    eventually("the route", learned(bird, HOSTS[1]))


def test_a_wrong_md5_password_gets_no_connection(pair: Pair) -> None:
    bird = pair.bird(options='multihop; password "s3cret";')
    speaker = pair.speaker(peer={"password": "other", "fsm": {"connect_retry_s": 1}})
    speaker.announce("web", VIP)
    with pytest.raises(AssertionError, match="not within"):
        speaker.wait_established(4)
    assert not bird.established()


@NEIGHBOURS
def test_gtsm_accepts_a_neighbour(pair: Pair, local: str, neighbor: str, passive: bool) -> None:
    # RFC 5082.
    fsm = {"passive": passive, "connect_retry_s": 600 if passive else 2}
    options = "direct; ttl security yes;" + ("" if passive else " passive;")
    bird = pair.bird(local=local, neighbor=neighbor, options=options)
    speaker = pair.speaker(
        peer={"address": local, "ttl_security_hops": 1, "fsm": fsm}, listen=(neighbor,)
    )
    speaker.announce("web", VIP6)
    eventually("the route", learned(bird, HOSTS[1]))


@pytest.mark.parametrize("passive", [False, True])
def test_gtsm_drops_a_peer_with_an_ordinary_ttl(pair: Pair, passive: bool) -> None:
    fsm = {"passive": passive, "connect_retry_s": 600 if passive else 1}
    options = "multihop;" + ("" if passive else " passive;")
    pair.bird(options=options)
    speaker = pair.speaker(peer={"ttl_security_hops": 1, "fsm": fsm})
    with pytest.raises(AssertionError, match="not within"):
        speaker.wait_established(4)


def test_a_route_refresh_keeps_the_routes_and_is_answered(pair: Pair) -> None:
    # RFC 2918, RFC 7313: BIRD would drop what is not repeated between the markers.
    bird, speaker = pair.bird(), pair.speaker()
    speaker.announce("web", VIP, VIP6)
    eventually("both", learned(bird, *HOSTS))
    before = counts(speaker)
    bird.cli("reload in pybal")
    eventually("refreshed", lambda: counts(speaker)["routerefresh", "sent"] >= 4)
    after = counts(speaker)
    assert after["routerefresh", "received"] == 2, "one for each family"
    assert after["update", "sent"] == before["update", "sent"] + 2
    assert set(bird.routes()) == set(HOSTS)


def counts(speaker: Speaker) -> dict[tuple[str, str], int]:
    found = {(kind, direction): n for kind, direction, n in speaker.peer()["messages"]}
    return {("routerefresh", "sent"): 0, ("routerefresh", "received"): 0} | found


def test_a_stop_withdraws_before_it_says_goodbye(pair: Pair) -> None:
    bird = pair.bird(globals="debug protocols { states, events, routes };")
    speaker = pair.speaker()
    speaker.announce("web", VIP, VIP6)
    eventually("both", learned(bird, *HOSTS))
    speaker.stop("deploying version 2")
    log = eventually("the text", lambda: 'shutdown: "deploying version 2"' in bird.log and bird.log)
    goodbye = log.index("Administrative shutdown")
    for prefix in HOSTS:
        assert -1 < log.index(f"> removed [sole] {prefix}") < goodbye, log[-2000:]


def test_kill_9_of_ours_without_graceful_restart_drops_the_routes(pair: Pair) -> None:
    bird, speaker = pair.bird(), pair.speaker()
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    speaker.end(signal.SIGKILL)
    eventually("gone", gone(bird), 2)


def test_kill_9_of_ours_with_graceful_restart_keeps_the_routes_over_the_restart(
    pair: Pair,
) -> None:
    # RFC 4724: BIRD keeps the stale route, marked, until End-of-RIB of our next life.
    bird = pair.bird(options="multihop; graceful restart on;")
    restart = {"restart_time_s": 60}
    speaker = pair.speaker(peer=restart)
    speaker.announce("web", VIP, VIP6)
    eventually("both", learned(bird, *HOSTS))
    speaker.end(signal.SIGKILL)
    eventually("BIRD noticed", lambda: not bird.established())
    assert set(bird.routes()) == set(HOSTS)
    again = pair.speaker(peer=restart, restarting=True)
    again.wait_established()
    assert set(bird.routes()) == set(HOSTS), "kept before anything was announced"
    again.announce("web", VIP)
    again.ask(complete=True)
    eventually("what was not announced again is gone", learned(bird, HOSTS[0]))


def test_a_planned_restart_keeps_the_routes_and_a_stop_does_not(pair: Pair) -> None:
    bird = pair.bird(options="multihop; graceful restart on;")
    restart = {"restart_time_s": 60}
    speaker = pair.speaker(peer=restart)
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    speaker.ask(restart=True)
    speaker.child.wait(10)
    eventually("BIRD noticed", lambda: not bird.established())
    assert set(bird.routes()) == {HOSTS[0]}
    again = pair.speaker(peer=restart, restarting=True)
    again.announce("web", VIP)
    again.ask(complete=True)
    again.wait_established()
    again.stop()
    eventually("gone", gone(bird), 2)


def test_a_restarted_router_is_found_again(pair: Pair) -> None:
    bird, speaker = pair.bird(), pair.speaker()
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    bird.end(signal.SIGKILL)
    eventually("we noticed", lambda: not speaker.peer()["established"], 3)
    again = pair.bird()
    eventually("the route", learned(again, HOSTS[0]))
    assert speaker.peer()["sessions_lost"] == 1


def test_a_frozen_router_is_noticed_by_the_hold_timer(pair: Pair) -> None:
    bird = pair.bird(hold=3)
    speaker = pair.speaker()
    assert speaker.wait_established()["hold_time_s"] == 3
    bird.child.send_signal(signal.SIGSTOP)
    peer = eventually("noticed", lambda: (p := speaker.peer())["sessions_lost"] and p, 5)
    assert "Hold Timer Expired" in peer["last_error"]
    bird.child.send_signal(signal.SIGCONT)
    speaker.wait_established()


def test_when_we_freeze_the_router_drops_the_routes(pair: Pair) -> None:
    bird, speaker = pair.bird(hold=3), pair.speaker()
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    freeze(speaker)
    eventually("gone", gone(bird), 6)
    speaker.child.send_signal(signal.SIGCONT)
    eventually("back", learned(bird, HOSTS[0]))


def freeze(process: Process) -> None:
    process.child.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("our_id", ["10.77.0.1", "10.99.0.1"])
def test_both_sides_opening_at_once_end_in_one_session(pair: Pair, our_id: str) -> None:
    # RFC 4271 section 6.8, with the higher identifier on either side.
    bird = pair.bird(delay=0)
    for _ in range(5):
        speaker = pair.speaker(router_id=our_id, peer={"fsm": {"idle_hold_s": 0.1}})
        speaker.announce("web", VIP)
        eventually("the route", learned(bird, HOSTS[0]))
        assert bird.established()
        states = [connection["state"] for connection in speaker.peer()["connections"]]
        assert states.count("Established") == 1
        speaker.stop()
        bird.cli("restart pybal")


def test_ten_thousand_prefixes(pair: Pair) -> None:
    bird, speaker = pair.bird(), pair.speaker()
    speaker.wait_established()
    ipv4 = [f"10.{i >> 8}.{i & 255}.1" for i in range(5000)]
    ipv6 = [f"2001:db8::{i:x}" for i in range(1, 5001)]
    speaker.announce("web", *ipv4, *ipv6)
    eventually("all", lambda: "10000 of 10000 routes" in bird.cli("show route count"))
    # 4096 bytes hold 809 IPv4 or 237 IPv6 host routes with these attributes.
    assert counts(speaker)["update", "sent"] == 7 + 22 + 2
    speaker.ask(withdraw="web")
    eventually("none", lambda: " 0 of 0 routes" in bird.cli("show route count"))


def test_a_router_that_is_not_configured_is_closed_at_once_and_counted(pair: Pair) -> None:
    speaker = pair.speaker(peer={"address": "10.77.0.99"})
    bird = pair.bird()
    eventually("counted", lambda: speaker.ask(snapshot=True)["unknown_peers_total"] > 0)
    assert not bird.established()


def test_a_graceful_shutdown_is_announced_before_the_withdrawal(pair: Pair) -> None:
    # RFC 8326.
    bird, speaker = pair.bird(), pair.speaker(shutdown_delay_s=1.5)
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    speaker.ask(stop="bye")
    eventually("the community", lambda: "(65535,0)" in bird.routes().get(HOSTS[0], ""), 1.4)
    eventually("gone", gone(bird), 3)


def test_of_two_directors_the_second_takes_over_when_the_first_stops(pair: Pair) -> None:
    # The lower MED is preferred; the other's route is there all the time.
    bird = pair.bird(
        more=f"protocol bgp second {{ local {ROUTER_IPV4} as 64600; multihop; "
        f"neighbor {OUR_SECOND_IPV4} as 64512; ipv4 {{ import all; export none; }}; }}"
    )
    first = pair.speaker(med=0)
    second = pair.speaker(
        peer={"local_address": OUR_SECOND_IPV4},
        listen=(OUR_SECOND_IPV4,),
        router_id=OUR_SECOND_IPV4,
        next_hop_ipv4=OUR_SECOND_IPV4,
        med=100,
    )
    for director in (first, second):
        director.announce("web", VIP)

    def best() -> str:
        return bird.cli(f"show route primary all for {VIP}")

    eventually("both", lambda: "2 of 2 routes" in bird.cli("show route count table master4"))
    assert f"BGP.next_hop: {OUR_IPV4}" in best()
    first.stop()
    eventually("the second's", lambda: f"BGP.next_hop: {OUR_SECOND_IPV4}" in best(), 1)
    assert "BGP.med: 100" in best()


BFD = {"interval_ms": 100, "multiplier": 3}
BIRD_BFD = {
    "globals": 'protocol bfd { interface "v0" { interval 100 ms; multiplier 3; }; }',
    "options": "direct; bfd on;",
}


def bfd_pair(pair: Pair) -> tuple[Bird, Speaker]:
    bird = pair.bird(**BIRD_BFD)
    speaker = pair.speaker(peer={"bfd": BFD})
    speaker.announce("web", VIP)
    eventually("the route", learned(bird, HOSTS[0]))
    eventually("BFD is up on our side", lambda: speaker.peer()["bfd"] == "UP")
    eventually("BFD is up on BIRD's side", lambda: " Up " in bird.cli("show bfd sessions"))
    return bird, speaker


def test_bfd_notices_a_frozen_router_long_before_the_hold_timer(pair: Pair) -> None:
    # RFC 5880, RFC 5881, RFC 5882.
    bird, speaker = bfd_pair(pair)
    bird.child.send_signal(signal.SIGSTOP)
    peer = eventually("noticed", lambda: (p := speaker.peer())["sessions_lost"] and p, 1)
    assert peer["bfd"] == "DOWN"
    assert "BFD Down" in peer["last_error"] or "BFD" in peer["last_error"]
    bird.child.send_signal(signal.SIGCONT)
    eventually("back", lambda: speaker.peer()["established"])
    eventually("BFD is up again", lambda: speaker.peer()["bfd"] == "UP")


def test_bfd_runs_over_ipv6(pair: Pair) -> None:
    pair.bird(**BIRD_BFD, local=ROUTER_IPV6, neighbor=OUR_IPV6)
    speaker = pair.speaker(peer={"address": ROUTER_IPV6, "bfd": BFD}, listen=(OUR_IPV6,))
    speaker.wait_established()
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")


def test_bfd_lets_the_router_drop_our_routes_when_we_freeze(pair: Pair) -> None:
    bird, speaker = bfd_pair(pair)
    freeze(speaker)
    eventually("gone", gone(bird), 1)
    speaker.child.send_signal(signal.SIGCONT)
    eventually("back", learned(bird, HOSTS[0]))


def test_a_stop_ends_bfd_on_purpose(pair: Pair) -> None:
    bird, speaker = bfd_pair(pair)
    speaker.stop("bye")
    log = eventually("the text", lambda: "bye" in bird.log and bird.log)
    assert "BFD" not in log[log.index("bye") :].split("State changed to stop")[0]
