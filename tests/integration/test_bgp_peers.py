"""What is said of one peer: how it is reached, and what it is told otherwise than the others."""

from __future__ import annotations

import os
import re
from ipaddress import IPv6Address

import pytest

from pybal.bgp.rib import FAMILY_LEFT_OUT
from tests.bgp.pair import AT_ONCE_S, HOST, HOST6, VIP, VIP6, Pair, speaker_settings, wait_routes
from tests.bgp.rig import (
    OUR_IPV6,
    OUR_SECOND_IPV4,
    ROUTER_IPV4,
    ROUTER_IPV6,
    eventually,
    run,
)
from tests.bgp.routers import PLAIN, Bird, Frr, GoBGP, OpenBGPD, Router, Terms
from tests.bgp.routers.frr import FrrIntegrated
from tests.bgp.routers.openbgpd import role_lines

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

BIRD_OR_FRR = pytest.mark.parametrize("kind", [Bird, Frr], ids=lambda kind: kind.__name__)
POLICY = {
    "med": 50,
    "prepend": 2,
    "communities": [0xFFFFFF01, 64600 << 16 | 9],
    "next_hop_ipv4": OUR_SECOND_IPV4,
}


@BIRD_OR_FRR
def test_a_peers_own_attributes(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind)
    speaker = pair.speaker(peer={"export": dict(POLICY)})
    speaker.announce("web", {"address": VIP, "med": 7, "communities": [64600 << 16 | 1]})
    text = wait_routes(router, HOST)[HOST]
    assert re.search(r'"?(metric|med)"?: ?50\b', text)
    assert re.search(r"64512 64512 64512", text)
    assert OUR_SECOND_IPV4 in text
    assert re.search(r"64600[:,]9", text)
    assert re.search(r"64600[:,]1", text)
    assert re.search(r"65535[:,]65281|no-export", text, re.IGNORECASE)


def test_a_source_address_of_its_own(pair: Pair) -> None:
    pair.bird(neighbor=OUR_SECOND_IPV4)
    speaker = pair.speaker(peer={"local_address": OUR_SECOND_IPV4}, listen=[OUR_SECOND_IPV4])
    speaker.wait_established()


def test_only_the_families_that_are_wanted(pair: Pair) -> None:
    bird = pair.bird()
    speaker = pair.speaker(peer={"families": ["ipv4"]})
    speaker.announce("web", VIP, VIP6)
    wait_routes(bird, HOST)
    assert speaker.peer()["not_told"] == [[FAMILY_LEFT_OUT, 1]]


def test_a_peer_that_is_to_connect_is_never_connected_to(pair: Pair) -> None:
    bird = pair.bird(Terms(passive=True))
    speaker = pair.speaker(peer={"fsm": {"passive": True, "connect_retry_s": 0.1}})
    with pytest.raises(AssertionError):
        speaker.wait_established(limit_s=2)
    assert not bird.established()


def test_a_peer_that_is_only_connected_to_is_not_let_in(pair: Pair) -> None:
    speaker = pair.speaker(
        peer={
            "connect_only": True,
            "fsm": {"connect_retry_s": 60, "idle_hold_s": 60, "retry_s": 60},
        }
    )
    eventually("it is not there", lambda: "refused" in str(speaker.peer()["last_error"]))
    pair.bird()
    eventually("refused", lambda: speaker.peer()["connections_refused"] > 0)
    assert not speaker.peer()["established"]


def test_a_connection_over_an_interface(pair: Pair) -> None:
    pair.bird(Terms(passive=True))
    speaker = pair.speaker(peer={"interface": "v0", "local_address": OUR_SECOND_IPV4})
    with pytest.raises(AssertionError):
        speaker.wait_established(limit_s=1)
    speaker.ask(reconfigure=speaker_settings(peer={"interface": "v0"}))
    speaker.wait_established()
    speaker.ask(reconfigure=speaker_settings(peer={"interface": "lo"}))
    with pytest.raises(AssertionError):
        speaker.wait_established(limit_s=1)


@pytest.mark.parametrize("far", [False, True])
def test_a_ttl_of_1_reaches_a_neighbour_and_no_further(pair: Pair, far: bool) -> None:
    bird = pair.bird(Terms(ttl_security=far, passive=True))
    speaker = pair.speaker(peer={"ttl": 1})
    if far:
        # A neighbour that insists on 255 hears nothing of a TTL of 1, but for what comes before
        # BIRD has told its kernel so: it may answer our OPEN, never our KEEPALIVE.
        with pytest.raises(AssertionError):
            eventually("its session", bird.established, 2)
    else:
        speaker.wait_established()


def test_ipv6_next_hops_of_ipv4_prefixes_with_frr(pair: Pair) -> None:
    # RFC 8950.
    # FRR announces it on sessions over IPv6 only.
    router = pair.router(Frr, us=OUR_IPV6, session="neighbor {us} capability extended-nexthop")
    speaker = pair.speaker(peer={"address": ROUTER_IPV6}, listen=[OUR_IPV6], next_hop_ipv4=OUR_IPV6)
    speaker.announce("web", VIP)
    assert OUR_IPV6 in wait_routes(router, HOST)[HOST]
    assert speaker.peer()["not_told"] == []


def test_ipv6_next_hops_of_ipv4_prefixes_with_bird(pair: Pair) -> None:
    bird = pair.bird(local=ROUTER_IPV6, neighbor=OUR_IPV6, ipv4="extended next hop on;")
    peer = {"address": ROUTER_IPV6, "local_address": OUR_IPV6}
    speaker = pair.speaker(peer=peer, listen=[OUR_IPV6], next_hop_ipv4=OUR_IPV6)
    speaker.announce("web", VIP, VIP6)
    assert OUR_IPV6 in wait_routes(bird, HOST, HOST6)[HOST]
    assert speaker.peer()["not_told"] == []


def test_ipv6_next_hops_that_a_peer_cannot_be_told_are_shown(pair: Pair) -> None:
    bird = pair.bird()
    speaker = pair.speaker(next_hop_ipv4=OUR_IPV6)
    speaker.announce("web", VIP, VIP6)
    wait_routes(bird, HOST6)
    [[reason, count]] = speaker.peer()["not_told"]
    assert "RFC 8950" in reason
    assert count == 1
    speaker.wait_said("cannot be told of 1 prefix")


WISHES: list[tuple[type[Router], dict[str, str]]] = [
    (Bird, {"ipv4": "add paths on;", "ipv6": "add paths on;"}),
    (
        Frr,
        {
            "families": "neighbor {us} addpath-tx-all-paths\n"
            "  neighbor {us} capability orf prefix-list both\n"
        },
    ),
]


@pytest.mark.parametrize(("kind", "own"), WISHES, ids=lambda one: getattr(one, "__name__", ""))
def test_what_we_do_not_speak_is_not_agreed_on_and_disturbs_nothing(
    pair: Pair, kind: type[Router], own: dict[str, str]
) -> None:
    """ADD-PATH (RFC 7911) and outbound route filters (RFC 5291)."""
    router = pair.router(kind, PLAIN, **own)
    speaker = pair.speaker()
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    asked = set(speaker.peer()["capabilities_received"])
    assert asked >= ({"unknown-69", "unknown-3"} if kind is Frr else {"unknown-69"})
    router.ask_refresh()
    eventually("it asks", lambda: speaker.messages()["routerefresh", "received"] > 0)
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    assert speaker.peer()["sessions_lost"] == 0


CONFEDERATION = "bgp confederation identifier 65000\nbgp confederation peers 64512\n"


def test_frr_of_another_member_of_our_confederation_holds_our_routes(pair: Pair) -> None:
    router = pair.router(Frr, router=CONFEDERATION)
    speaker = pair.speaker(confederation=[65000, [64600]])
    speaker.announce("web", VIP, VIP6)
    routes = wait_routes(router, HOST, HOST6)
    assert "(64512)" in routes[HOST]
    assert re.search(r'"?locPrf"?: ?100\b', routes[HOST])
    assert re.search(r'"?valid"?: ?true', routes[HOST]), routes[HOST]


def test_bird_of_another_member_of_our_confederation_holds_our_routes(pair: Pair) -> None:
    bird = pair.bird(options="multihop; confederation 65000; confederation member yes;")
    speaker = pair.speaker(confederation=[65000, [64600]])
    speaker.announce("web", VIP, VIP6)
    assert "BGP.as_path: (64512)" in wait_routes(bird, HOST, HOST6)[HOST]


def test_gobgp_of_another_member_of_our_confederation_holds_our_routes(pair: Pair) -> None:
    members = "[global.confederation.config]\nenabled = true\nidentifier = 65000\n"
    router = pair.router(GoBGP, more=f"{members}member-as-list = [64512]\n")
    speaker = pair.speaker(confederation=[65000, [64600]])
    speaker.announce("web", VIP, VIP6)
    routes = wait_routes(router, HOST, HOST6)
    # AS_CONFED_SEQUENCE is type 3.
    assert re.search(r'"segment_type": 3, "num": 1, "asns": \[64512\]', routes[HOST])


@BIRD_OR_FRR
def test_a_router_outside_of_our_confederation_sees_its_identifier(
    pair: Pair, kind: type[Router]
) -> None:
    router = pair.router(kind, Terms(peer_asn=65000))
    speaker = pair.speaker(confederation=[65000, [64513]])
    speaker.announce("web", VIP)
    text = wait_routes(router, HOST)[HOST]
    assert "65000" in text
    assert "64512" not in text


WITH_ROLES = pytest.mark.parametrize("kind", [Bird, Frr, OpenBGPD], ids=lambda kind: kind.__name__)


def router_with_role(pair: Pair, kind: type[Router], role: str, *, strict: bool) -> Router:
    if kind is OpenBGPD:
        return pair.router(OpenBGPD, options=role_lines(role, strict=strict))
    if kind is Frr:
        mode = "strict-mode" if strict else ""
        return pair.router(Frr, session=f"neighbor {{us}} local-role {role} {mode}")
    required = "require roles yes;" if strict else ""
    return pair.bird(options=f"multihop; local role {role}; {required}")


@WITH_ROLES
def test_roles_that_fit(pair: Pair, kind: type[Router]) -> None:
    # RFC 9234.
    router = router_with_role(pair, kind, "provider", strict=True)
    speaker = pair.speaker(peer={"role": 3, "role_strict": True})
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    assert "role-provider" in speaker.peer()["capabilities_received"]


@WITH_ROLES
def test_roles_that_do_not_fit(pair: Pair, kind: type[Router]) -> None:
    router_with_role(pair, kind, "customer", strict=False)
    speaker = pair.speaker(peer={"role": 3})
    eventually("the reason", lambda: "Role Mismatch" in str(speaker.peer()["last_error"]))


def test_what_we_say_as_a_provider_is_only_for_customers(pair: Pair) -> None:
    bird = router_with_role(pair, Bird, "customer", strict=True)
    speaker = pair.speaker(peer={"role": 0})
    speaker.announce("web", VIP)
    assert "BGP.otc: 64512" in wait_routes(bird, HOST)[HOST]


@BIRD_OR_FRR
def test_extended_communities_link_bandwidth_and_an_aggregate(
    pair: Pair, kind: type[Router]
) -> None:
    router = pair.router(kind)
    speaker = pair.speaker(extended_communities=["0002fc5800000001"])
    wish = {"address": VIP, "link_bandwidth": 1.25e9, "aggregate": "192.0.2.0/24"}
    speaker.announce("web", wish)
    routes = wait_routes(router, HOST, "192.0.2.0/24")
    assert re.search(r"RT:64600:1|rt, 64600, 1", routes[HOST])
    assert re.search(r"LB:64512:1250000000|unknown 0x4004, 64512, 1318388473", routes[HOST])


UNNUMBERED = """
router bgp 64600
 bgp router-id 10.77.0.2
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor v0 interface remote-as 64512
 neighbor v0 timers connect 1
 address-family ipv4 unicast
  neighbor v0 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor v0 activate
 exit-address-family
"""


def test_an_unnumbered_peer_is_found_and_told_next_hops_on_the_link(pair: Pair) -> None:
    # `neighbor v0 interface` of FRR, `[[peer v0]]` of ours: RFC 8950 over link-local addresses.
    router = pair.router(FrrIntegrated, text=UNNUMBERED)
    interface = {"name": "v0", "asn": 64600}
    speaker = pair.speaker(peers=[], interfaces=[interface], listen=["::"])
    speaker.announce("web", VIP, VIP6)
    routes = wait_routes(router, HOST, HOST6, limit_s=25)
    for text in routes.values():
        assert re.search(r'"?valid"?: ?true', text), text
        assert "fe80::" in text
    peer = speaker.peer()
    assert (peer["address"], peer["established"]) == ("v0", True)


BFD = {"interval_ms": 100}


def test_bfd_with_an_unnumbered_peer(pair: Pair) -> None:
    text = UNNUMBERED.replace("remote-as 64512\n", "remote-as 64512\n neighbor v0 bfd\n")
    router = pair.router(FrrIntegrated, text=text)
    interface = {"name": "v0", "asn": 64600, "bfd": BFD}
    speaker = pair.speaker(peers=[], interfaces=[interface], listen=["::"])
    speaker.announce("web", VIP)
    wait_routes(router, HOST, limit_s=25)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")


def test_bfd_with_a_link_local_peer(pair: Pair) -> None:
    theirs, ours = link_local(pair.wire.router), link_local(pair.wire.ours)
    bird = pair.bird(
        local=f"{theirs}%v0", neighbor=f"{ours}%v0", options="direct; bfd on;",
        globals='protocol bfd { interface "v0" { interval 100 ms; multiplier 3; }; }',
    )  # fmt: skip
    speaker = pair.speaker(peer={"address": f"{theirs}%v0", "bfd": BFD}, listen=["::"])
    speaker.announce("web", VIP6)
    wait_routes(bird, HOST6)
    eventually("BFD is up", lambda: speaker.peer()["bfd"] == "UP")
    speaker.freeze()
    wait_routes(bird, limit_s=AT_ONCE_S)
    speaker.thaw()
    wait_routes(bird, HOST6)


def test_an_unnumbered_peer_is_found_again_on_an_interface_that_was_made_anew(pair: Pair) -> None:
    own = {"peers": [], "listen": ["::"]}
    ours = pair.speaker(interfaces=[{"name": "v0", "asn": 64600}], **own)
    them = {"asn": 64600, "as_path": [64600], "router_id": ROUTER_IPV4}
    other = [{"name": "v0", "asn": 64512}]
    pair.speaker(namespace=pair.wire.router, interfaces=other, **them, **own)
    ours.wait_established(limit_s=25)
    before = link_local(pair.wire.router)
    pair.wire.rewire()
    anew = link_local(pair.wire.router)
    assert anew != before

    def with_the_new_one() -> bool:
        peers = ours.ask(snapshot=True)["peers"]
        ends = [end for peer in peers if peer["established"] for end in peer["connections"]]
        return any(str(end["remote_ip"]).startswith(f"{anew}%") for end in ends)

    eventually("a session with it", with_the_new_one, 60)


def test_a_link_local_peer_by_address(pair: Pair) -> None:
    theirs, ours = link_local(pair.wire.router), link_local(pair.wire.ours)
    bird = pair.bird(
        local=f"{theirs}%v0", neighbor=f"{ours}%v0", options="direct;",
        ipv4="extended next hop on;",
    )  # fmt: skip
    peer = {"address": f"{theirs}%v0"}
    speaker = pair.speaker(peer=peer, listen=["::"])
    speaker.announce("web", VIP, VIP6)
    routes = wait_routes(bird, HOST, HOST6)
    assert all(str(ours) in text for text in routes.values())


def link_local(namespace: str) -> IPv6Address:
    """Of the wire in a namespace."""
    text = run("ip", "-n", namespace, "-6", "-o", "addr", "show", "dev", "v0", "scope", "link")
    match = re.search(r"inet6 (fe80:[0-9a-f:]+)/", text)
    assert match is not None, text
    return IPv6Address(match[1])


@pytest.mark.parametrize("password", [None, "s3cret"])
def test_a_router_out_of_a_prefix_connects(pair: Pair, password: str | None) -> None:
    group = {"network": "10.77.0.0/28", "limit": 2, "asn": 64600}
    if password is not None:
        group["password"] = password
    speaker = pair.speaker(peers=[], groups=[group])
    bird = pair.bird(Terms(password=password), delay=0)
    speaker.announce("web", VIP)
    wait_routes(bird, HOST)
    assert speaker.peer()["address"] == "10.77.0.2"
