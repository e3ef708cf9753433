"""What only BIRD shows, or once is enough to see."""

from __future__ import annotations

import os

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, HOST6, VIP, VIP6, Pair, wait_routes
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, OUR_SECOND_IPV4, ROUTER_IPV4, ROUTER_IPV6, eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def test_an_ipv6_session_carries_both_families(pair: Pair) -> None:
    bird = pair.bird(local=ROUTER_IPV6, neighbor=OUR_IPV6, ipv4=f"next hop address {ROUTER_IPV4};")
    speaker = pair.speaker(peer={"address": ROUTER_IPV6}, listen=[OUR_IPV6])
    speaker.announce("web", VIP, VIP6)
    wait_routes(bird, HOST, HOST6)


def test_a_peer_may_open_the_connection(pair: Pair) -> None:
    speaker = pair.speaker(peer={"fsm": {"passive": True, "connect_retry_s": 600}})
    bird = pair.bird()
    speaker.announce("web", VIP)
    peer = speaker.wait_established()
    assert [c["side"] for c in peer["connections"] if c["state"] == "Established"] == ["passive"]
    wait_routes(bird, HOST)


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
    text = wait_routes(bird, HOST)[HOST]
    assert f"BGP.as_path: {ours}" in text
    four_octet = "4-octet-asn" in speaker.peer()["capabilities_received"]
    assert four_octet is (options == "")


def test_a_4_octet_asn_is_as_trans_to_a_peer_without_capabilities(pair: Pair) -> None:
    bird = pair.bird(peer_asn=23456, options="multihop; capabilities off;")
    speaker = pair.speaker(asn=4200000001)
    speaker.announce("web", VIP)
    text = wait_routes(bird, HOST)[HOST]
    assert "BGP.as_path: 4200000001" in text  # out of AS_TRANS and AS4_PATH (RFC 6793)


def test_an_internal_peer_gets_local_pref_and_an_empty_path(pair: Pair) -> None:
    bird = pair.bird(asn=64512)
    speaker = pair.speaker(peer={"asn": 64512})
    speaker.announce("web", VIP)
    text = wait_routes(bird, HOST)[HOST]
    assert "BGP.local_pref: 100" in text
    assert "BGP.as_path: \n" in text


def test_a_peer_without_capabilities_gets_a_session(pair: Pair) -> None:
    # RFC 5492 section 3.
    bird = pair.bird(options="multihop; capabilities off;")
    speaker = pair.speaker()
    speaker.announce("web", VIP)
    wait_routes(bird, HOST)
    assert speaker.peer()["capabilities_received"] == []


def test_extended_messages_and_ipv6_next_hops_of_ipv4_prefixes(pair: Pair) -> None:
    # RFC 8654 and RFC 8950.
    bird = pair.bird(options="multihop; enable extended messages on;", ipv4="extended next hop on;")
    speaker = pair.speaker(next_hop_ipv4=OUR_IPV6)
    prefixes = [f"10.{i >> 8}.{i & 255}.1" for i in range(3000)]
    speaker.announce("web", *prefixes)
    routes = wait_routes(bird, *(f"{p}/32" for p in prefixes))
    assert f"BGP.next_hop: {OUR_IPV6}" in routes["10.0.0.1/32"]
    sent = {k: n for k, d, n in speaker.peer()["messages"] if d == "sent"}
    assert sent["update"] == 3, "one large UPDATE and two End-of-RIB"
    speaker.ask(withdraw="web")
    wait_routes(bird)


def test_a_stop_withdraws_before_it_says_goodbye(pair: Pair) -> None:
    bird = pair.bird(globals="debug protocols { states, events, routes };")
    speaker = pair.speaker()
    speaker.announce("web", VIP, VIP6)
    wait_routes(bird, HOST, HOST6)
    speaker.stop("deploying version 2")
    log = eventually("the text", lambda: 'shutdown: "deploying version 2"' in bird.log and bird.log)
    goodbye = log.index("Administrative shutdown")
    for prefix in (HOST, HOST6):
        assert -1 < log.index(f"> removed [sole] {prefix}") < goodbye, log[-2000:]


def test_a_frozen_router_is_noticed_by_the_hold_timer(pair: Pair) -> None:
    bird = pair.bird(hold=3)
    speaker = pair.speaker()
    assert speaker.wait_established()["hold_time_s"] == 3
    bird.freeze()
    peer = eventually("noticed", lambda: (p := speaker.peer())["sessions_lost"] and p)
    assert "Hold Timer Expired" in peer["last_error"]
    bird.thaw()
    speaker.wait_established()


def test_when_we_freeze_the_router_drops_the_routes(pair: Pair) -> None:
    bird, speaker = pair.bird(hold=3), pair.speaker()
    speaker.announce("web", VIP)
    wait_routes(bird, HOST)
    speaker.freeze()
    wait_routes(bird)
    speaker.thaw()
    wait_routes(bird, HOST)


@pytest.mark.parametrize("our_id", ["10.77.0.1", "10.99.0.1"])
def test_both_sides_opening_at_once_end_in_one_session(pair: Pair, our_id: str) -> None:
    # RFC 4271 section 6.8, with the higher identifier on either side.
    bird = pair.bird(delay=0)
    for _ in range(5):
        speaker = pair.speaker(router_id=our_id, peer={"fsm": {"idle_hold_s": 0.1}})
        speaker.announce("web", VIP)
        wait_routes(bird, HOST)
        assert bird.established()
        states = [connection["state"] for connection in speaker.peer()["connections"]]
        assert states.count("Established") == 1
        speaker.stop()
        bird.cli("restart pybal")


def test_a_router_that_is_not_configured_is_closed_at_once_and_counted(pair: Pair) -> None:
    speaker = pair.speaker(peer={"address": "10.77.0.99"})
    bird = pair.bird()
    eventually("counted", lambda: speaker.ask(snapshot=True)["unknown_peers_total"] > 0)
    assert not bird.established()


def test_a_graceful_shutdown_is_announced_before_the_withdrawal(pair: Pair) -> None:
    # RFC 8326.
    bird, speaker = pair.bird(), pair.speaker(shutdown_delay_s=3)
    speaker.announce("web", VIP)
    wait_routes(bird, HOST)
    speaker.ask(stop="bye")
    eventually("the community", lambda: "(65535,0)" in bird.routes().get(HOST, ""), 2.9)
    wait_routes(bird, limit_s=AT_ONCE_S)


def test_of_two_directors_the_second_takes_over_when_the_first_stops(pair: Pair) -> None:
    # The lower MED is preferred; the other's route is there all the time.
    bird = pair.bird(
        more=f"protocol bgp second {{ local {ROUTER_IPV4} as 64600; multihop; "
        f"neighbor {OUR_SECOND_IPV4} as 64512; ipv4 {{ import all; export none; }}; }}"
    )
    first = pair.speaker(med=0)
    second = pair.speaker(
        peer={"local_address": OUR_SECOND_IPV4},
        listen=[OUR_SECOND_IPV4],
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
    eventually("the second's", lambda: f"BGP.next_hop: {OUR_SECOND_IPV4}" in best(), AT_ONCE_S)
    assert "BGP.med: 100" in best()
