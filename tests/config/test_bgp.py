"""Options of BGP beyond those of PyBal 1.15: defaults, forms, peers of their own, mistakes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from pybal.config.problems import Severity
from pybal.config.settings import (
    TCPAO,
    BFDAuth,
    BGPInterfacePeer,
    BGPPeerGroup,
    BGPPeerOptions,
    LinkBandwidth,
)
from tests.config.bgp_texts import LINES, TWO_PEERS, announced, bgp, options
from tests.config.texts import FILE, GLOBAL_BGP, only_problem, parse, service, settings, shown


def test_all_that_can_be_said_of_a_peer() -> None:
    text = (
        "bgp-peer-asn = 14907\nbgp-password = 'a # b'\nbgp-ttl-security = 2\nbgp-hold-time = 30\n"
        "bgp-connect-retry = 2.5\nbgp-graceful-restart = yes\nbgp-graceful-restart-time = 60\n"
        "bgp-bfd = on\nbgp-bfd-interval = 50\nbgp-bfd-multiplier = 5"
    )
    result = parse(f"{GLOBAL_BGP}{text}\n{service()}", FILE)
    assert result.settings is not None and result.settings.bgp is not None
    [found] = [peer.options for peer in result.settings.bgp.peers]
    assert found == BGPPeerOptions(14907, "a # b", 2, 30, 2.5, True, 60, True, 50, 5)


def test_all_that_can_be_said_of_one_peer() -> None:
    lines = """[[peer 198.51.100.1]]
bgp-description = "spine 1, rack B"
bgp-source-address = 198.51.100.3
bgp-interface = vrf-blue
bgp-peer-port = 1179
bgp-passive = yes
bgp-multihop = 4
bgp-families = ipv4
bgp-prepend = 2
bgp-nexthop-ipv4 = 2001:db8::9
bgp-nexthop-ipv6 = 2001:db8::a
bgp-med = 50
bgp-local-pref = 200
bgp-communities = [ "no-export", "64600:1" ]
bgp-large-communities = 64600:1:2
"""
    assert options(lines) == BGPPeerOptions(
        description="spine 1, rack B",
        source_address=ip_address("198.51.100.3"),
        interface="vrf-blue",
        port=1179,
        passive=True,
        multihop=4,
        families=(4,),
        prepend=2,
        nexthop_ipv4=ip_address("2001:db8::9"),
        nexthop_ipv6=IPv6Address("2001:db8::a"),
        med=50,
        local_pref=200,
        communities=(0xFFFFFF01, 64600 << 16 | 1),
        large_communities=((64600, 1, 2),),
    )


def test_what_can_be_said_for_all_peers_is_said_again_for_one() -> None:
    text = (
        "bgp-passive = yes\nbgp-families = ipv4\nbgp-prepend = 1\nbgp-multihop = 2\n"
        "bgp-role = rs-client\nbgp-role-strict = yes\n"
        "[[peer 2001:db8::1]]\nbgp-passive = no\nbgp-families = ipv6 IPv4\nbgp-connect-only = yes"
    )
    first, second = (peer.options for peer in bgp(text, TWO_PEERS).peers)
    assert first == BGPPeerOptions(
        passive=True, families=(4,), prepend=1, multihop=2, role="rs-client", role_strict=True
    )
    assert second == BGPPeerOptions(
        connect_only=True, prepend=1, multihop=2, role="rs-client", role_strict=True
    )


def test_well_known_communities_have_names() -> None:
    names = (
        "graceful-shutdown accept-own llgr-stale no-llgr blackhole no-export no-advertise"
        " NO-EXPORT-SUBCONFED no-peer Accept_Own_Nexthop standby-pe route-filter-v4"
        " route-filter-v6 route-filter-translated-v4 route-filter-translated-v6"
    )
    low = (0, 1, 6, 7, 666, 0xFF01, 0xFF02, 0xFF03, 0xFF04, 8, 9, 3, 5, 2, 4)
    assert bgp("bgp-communities = local-as").communities == (0xFFFFFF03,)
    result = parse(f"{GLOBAL_BGP}bgp-communities = {names}\n{service()}", FILE).settings
    assert result is not None and result.bgp is not None
    assert result.bgp.communities == tuple(0xFFFF0000 | n for n in low)
    [found] = shown(f"{GLOBAL_BGP}bgp-communities = no-exprot\n{service()}")
    assert "'no-exprot' is none; did you mean no-export?" in found


def test_a_confederation() -> None:
    lines = "bgp-confederation-id = 65000\nbgp-confederation-peers = 64513 64514\nbgp-peer-asn = 1"
    found = bgp(lines)
    assert (found.confederation_id, found.confederation_peers) == (65000, (64513, 64514))
    [error] = shown(f"{GLOBAL_BGP}{lines.replace('bgp-peer-asn = 1', '')}\n{service()}")
    assert "bgp-peer-asn: not set; in a confederation it tells" in error
    [error] = shown(f"{GLOBAL_BGP}bgp-confederation-peers = 64513\n{service()}")
    assert "bgp-confederation-id: not set" in error


@pytest.mark.parametrize(
    ("lines", "severity", "message"),
    [
        (
            "bgp-hold-time = 3",
            "warning",
            "bgp-hold-time = '3': keepalives go out every 1 s at most",
        ),
        (
            "bgp-graceful-restart = yes\nbgp-bfd = yes",
            "warning",
            "bgp-bfd = 'yes': where PyBal crashes or hangs, BFD may have",
        ),
        (
            "bgp-bfd = yes\n[[peer 198.51.100.1]]\nbgp-graceful-restart = yes",
            "warning",
            "[[peer 198.51.100.1]] bgp-graceful-restart = 'yes': where PyBal crashes",
        ),
        (
            "bgp-local-ips = 198.51.100.1",
            "error",
            "bgp-peer-address = '198.51.100.1': 198.51.100.1 is in bgp-local-ips",
        ),
        (
            "[[peer 198.51.100.1]]\nbgp-nexthop-ipv4 = 198.51.100.1",
            "warning",
            "bgp-nexthop-ipv4 = '198.51.100.1': is the address of the peer 198.51.100.1",
        ),
        (
            "bgp-passive = yes\nbgp-connect-only = yes",
            "error",
            "bgp-connect-only = 'yes': bgp-passive and bgp-connect-only together",
        ),
        (
            "bgp-ttl-security = yes\n[[peer 198.51.100.1]]\nbgp-multihop = 3",
            "error",
            "bgp-multihop = '3': with bgp-ttl-security the TTL is 255",
        ),
        (
            "[[peer 198.51.100.1]]\nbgp-source-address = 2001:db8::9",
            "error",
            "bgp-source-address = '2001:db8::9': must be an IPv4 address, as the peer's",
        ),
    ],
)
def test_what_would_not_do_what_is_meant_is_said(lines: str, severity: str, message: str) -> None:
    problem = only_problem(f"{GLOBAL_BGP}{lines}\n{service()}")
    assert problem.severity is (Severity.ERROR if severity == "error" else Severity.WARNING)
    assert message in str(problem)


@pytest.mark.parametrize(
    ("peers", "severity", "message"),
    [
        ("fe80::1", Severity.ERROR, "link-local: name its interface, as in fe80::1%eth0"),
        (
            "['198.51.100.1', '198.51.100.1', '2001:db8:0::1', '2001:db8::1']",
            Severity.WARNING,
            "names 198.51.100.1 2 times",
        ),
        ("198.51.100.2", Severity.WARNING, "bgp-nexthop-ipv4 = '198.51.100.2': is the address of"),
        ("2001:db8::2", Severity.WARNING, "bgp-nexthop-ipv6 = '2001:db8::2': is the address of"),
    ],
)
def test_peers_that_cannot_be_meant(peers: str, severity: Severity, message: str) -> None:
    text = GLOBAL_BGP.replace("= 198.51.100.1", f"= {peers}")
    first, *_ = parse(f"{text}{service()}", FILE).problems
    assert first.severity is severity
    assert message in str(first)


def test_with_ipv6_next_hops_of_ipv4_prefixes() -> None:
    text = GLOBAL_BGP.replace("ipv4 = 198.51.100.2", "ipv4 = 2001:db8::2")
    assert bgp("", text).nexthop_ipv4 == ip_address("2001:db8::2")


@pytest.mark.parametrize(
    ("more", "is_warned_of"),
    [
        ("", True),
        ("bgp-local-ips = [ '0.0.0.0', '::' ]", True),
        ("bgp-router-id = 192.0.2.8", False),
        ("bgp-local-ips = 192.0.2.8", False),
        ("bgp-peer-address = ['2001:db8::1', '192.0.2.1']", False),
    ],
)
def test_a_router_id_that_every_host_would_have_is_warned_of(more: str, is_warned_of: bool) -> None:
    text = GLOBAL_BGP.replace("ipv4 = 198.51.100.2", "ipv4 = 2001:db8::2")
    peer = "bgp-peer-address = 198.51.100.1\n"
    text = text.replace(peer, "" if "peer-address" in more else "bgp-peer-address = 2001:db8::1\n")
    warned = [each.key for each in parse(f"{text}{more}\n{service()}", FILE).warnings]
    assert ("bgp-router-id" in warned) is is_warned_of


def test_all_that_can_be_said_of_what_is_announced() -> None:
    found = bgp(
        "bgp-router-id = 192.0.2.8\nbgp-communities = 64600:100  65535:65281 64600:100\n"
        "bgp-large-communities = [ '64600:1:2', '4294967295:0:4294967295' ]\n"
        "bgp-local-pref = 0\nbgp-shutdown-delay = 1.5"
    )
    assert found.router_id == IPv4Address("192.0.2.8")
    assert found.communities == (64600 << 16 | 100, 0xFFFFFF01)
    assert found.large_communities == ((64600, 1, 2), (4294967295, 0, 4294967295))
    assert (found.local_pref, found.shutdown_delay_s) == (0, 1.5)


@pytest.mark.parametrize(
    ("text", "hops"), [("no", None), ("0", None), ("yes", 1), ("1", 1), ("254", 254)]
)
def test_ttl_security_is_a_switch_or_a_number_of_hops(text: str, hops: int | None) -> None:
    assert options(f"bgp-ttl-security = {text}").ttl_security_hops == hops


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("9", 9), ("65535", 65535)])
def test_the_least_and_the_greatest_hold_time(text: str, value: int) -> None:
    assert options(f"bgp-hold-time = {text}\nbgp-bfd = yes").hold_time_s == value


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("bgp-hold-time", "2", "0 or a whole number of seconds from 3 to 65535"),
        ("bgp-hold-time", "65536", "0 or a whole number of seconds from 3 to 65535"),
        ("bgp-ttl-security", "255", "no, yes (a neighbour) or a number of hops from 1 to 254"),
        ("bgp-ttl-security", "near", "no, yes (a neighbour) or a number of hops from 1 to 254"),
        ("bgp-peer-asn", "0", "an AS number from 1 to 4294967295"),
        ("bgp-connect-retry", "0", "a number of seconds above 0"),
        ("bgp-router-id", "2001:db8::1", "an IPv4 address"),
        ("bgp-router-id", "0.0.0.0", "an IPv4 address"),
        ("bgp-graceful-restart", "60", "yes or no"),
        ("bgp-graceful-restart-time", "4096", "a whole number of seconds from 1 to 4095"),
        ("bgp-bfd-interval", "9", "a whole number of milliseconds from 10 to 60000"),
        ("bgp-bfd-multiplier", "256", "a whole number from 1 to 255"),
        ("bgp-local-pref", "-1", "a whole number from 0 to 4294967295"),
        ("bgp-shutdown-delay", "61", "a number of seconds from 0 to 60"),
        ("bgp-communities", "64600", "communities such as 64600:100"),
        ("bgp-communities", "[ 64600 ]", "communities such as 64600:100"),
        ("bgp-communities", "64600:70000", "communities such as 64600:100"),
        ("bgp-communities", "64600:1, 64600:2", "communities such as 64600:100"),
        ("bgp-families", "ipv5", "ipv4, ipv6, or both"),
        ("bgp-long-lived-graceful-restart", "16777216", "a whole number of seconds from 0 to"),
        ("bgp-role", "client", "one of customer, provider, peer, rs-client or rs"),
        ("bgp-prepend", "21", "a number of times from 0 to 20"),
        ("bgp-multihop", "0", "a number of hops from 1 to 255"),
        ("bgp-confederation-id", "0", "an AS number from 1 to 4294967295"),
        ("bgp-large-communities", "64600:1", "large communities such as 64600:1:2"),
    ],
)
@pytest.mark.parametrize("switch", ["yes", "no"])
def test_a_bad_value_is_an_error_that_says_what_would_be_right(
    key: str, value: str, wanted: str, switch: str
) -> None:
    start = GLOBAL_BGP.replace("bgp = yes", f"bgp = {switch}")
    problem = only_problem(f"{start}{key} = {value}\n{service()}")
    assert (problem.severity, problem.line, problem.key) == (Severity.ERROR, LINES + 1, key)
    assert problem.value == value
    assert problem.message.startswith(f"must be {wanted}")


def test_how_maintenance_moves_traffic_away() -> None:
    found = bgp(
        "bgp-maintenance-med = 500\nbgp-maintenance-prepend = 3\nbgp-maintenance-withdraw = 5"
    )
    assert found.maintenance_med == 500
    assert (found.maintenance_prepend, found.maintenance_withdraw_s) == (3, 5.0)
    assert bgp("bgp-maintenance-withdraw = no").maintenance_withdraw_s is None
    assert bgp("").maintenance_withdraw_s == 30.0


def test_link_bandwidth_is_said_for_all_and_otherwise_for_a_service() -> None:
    texts = {"auto": LinkBandwidth(), "10G": LinkBandwidth(1e10), "2.5m": LinkBandwidth(2.5e6)}
    for text, wanted in texts.items():
        found = settings(f"{GLOBAL_BGP}bgp-link-bandwidth = {text}\n{service()}")
        assert found.services[0].bgp.link_bandwidth == wanted
    own = service(bgp_link_bandwidth="no")
    found = settings(f"{GLOBAL_BGP}bgp-link-bandwidth = auto\n{own}")
    assert found.services[0].bgp.link_bandwidth is None
    assert announced(bgp_link_bandwidth="100").bgp.link_bandwidth == LinkBandwidth(100)


def test_extended_communities_of_all_a_service_and_a_peer() -> None:
    key = "bgp-extended-communities"
    text = f"{key} = rt:1:2\n[[peer 198.51.100.1]]\n{key} = rt:1:3"
    found = bgp(text)
    assert found.extended_communities == (bytes.fromhex("0002000100000002"),)
    assert found.peers[0].options.extended_communities == (bytes.fromhex("0002000100000003"),)
    own = announced(bgp_extended_communities="[ 'soo:1:2' ]")
    assert own.bgp.extended_communities == (bytes.fromhex("0003000100000002"),)


def test_an_aggregate_holds_the_address() -> None:
    found = announced(bgp_aggregate="192.0.2.0/24", bgp_aggregate_only="yes")
    assert found.bgp.aggregate == ip_network("192.0.2.0/24")
    assert found.bgp.aggregate_only
    for keys, message in (
        ({"bgp_aggregate": "192.0.3.0/24"}, "must hold ip, which is 192.0.2.1"),
        ({"bgp_aggregate": "192.0.2.1/24"}, "192.0.2.1/24 has host bits set"),
        ({"bgp_aggregate": "web"}, "must be a prefix such as 198.51.100.0/24"),
        ({"bgp_aggregate_only": "yes"}, "without bgp-aggregate nothing would be announced"),
        ({"bgp_link_bandwidth": "fast"}, "must be no, auto, or bits a second such as 10G"),
        ({"bgp_extended_communities": "rt:1"}, "'rt:1' is none"),
        ({"bgp_extended_communities": "rt:1.2.3.4:65536"}, "65536 is above 65535"),
    ):
        assert message in str(only_problem(GLOBAL_BGP + service(**keys)))


def test_peers_of_a_link_and_out_of_a_prefix() -> None:
    lines = (
        "bgp-hold-time = 30\n[[peer eth0]]\nbgp-peer-asn = 64601\n"
        "[[peers 192.0.2.0/24]]\nbgp-peer-limit = 3\nbgp-peer-asn = 64602"
    )
    without = GLOBAL_BGP.replace("bgp-peer-address = 198.51.100.1\n", "")
    for start in (GLOBAL_BGP, without):
        found = bgp(lines, start)
        assert found.interface_peers == (
            BGPInterfacePeer("eth0", BGPPeerOptions(asn=64601, hold_time_s=30)),
        )
        group = BGPPeerOptions(asn=64602, hold_time_s=30, limit=3)
        assert found.groups == (BGPPeerGroup(ip_network("192.0.2.0/24"), group),)
    assert "bgp-peer-address: not set" in str(only_problem(without + service()))


def test_long_lived_graceful_restart_needs_graceful_restart() -> None:
    key = "bgp-long-lived-graceful-restart"
    assert options(f"bgp-graceful-restart = yes\n{key} = 3600").long_lived_stale_s == 3600
    problem = only_problem(f"{GLOBAL_BGP}{key} = 3600\n{service()}")
    assert problem.severity is Severity.WARNING
    assert "has no effect without bgp-graceful-restart" in str(problem)


def test_tcp_ao_has_an_algorithm_two_numbers_and_a_key() -> None:
    found = options("bgp-password = s3cret\nbgp-tcp-ao = hmac-sha-1-96 100 101").tcp_ao
    assert found == TCPAO("hmac(sha1)", 100, 101)
    assert options("bgp-tcp-ao = no").tcp_ao is None
    for text, message in (
        ("bgp-tcp-ao = hmac-sha-1-96 1 2", "needs bgp-password or bgp-password-file"),
        ("bgp-tcp-ao = hmac-md5 1 2", "must be no, or hmac-sha-1-96, aes-128-cmac-96 with"),
        ("bgp-tcp-ao = hmac-sha-1-96 1 256", "must be no, or"),
    ):
        assert message in str(only_problem(f"{GLOBAL_BGP}{text}\n{service()}"))


def test_bfd_with_authentication_has_a_type_a_key_and_its_number() -> None:
    lines = "bgp-bfd = yes\nbgp-bfd-password = s3cret\nbgp-bfd-auth = "
    for kind in (
        "simple", "keyed-md5", "meticulous-keyed-md5", "keyed-sha1", "meticulous-keyed-sha1"
    ):  # fmt: skip
        found = options(f"{lines}{kind} 7")
        assert (found.bfd_auth, found.bfd_password) == (BFDAuth(kind, 7), "s3cret")
    longest = "bgp-bfd = yes\nbgp-bfd-password = 1234567890123456\nbgp-bfd-auth = keyed-md5 1"
    assert options(longest).bfd_password == "1234567890123456"
    assert options("bgp-bfd-auth = no").bfd_auth is None
    for text, message in (
        (
            "bgp-bfd = yes\nbgp-bfd-auth = simple 1",
            "needs bgp-bfd-password or bgp-bfd-password-file",
        ),
        (f"{lines}keyed-md4 1", "must be no, or simple, keyed-md5"),
        (f"{lines}simple 256", "must be no, or"),
        (f"{lines}simple", "must be no, or"),
        (
            "bgp-bfd = yes\nbgp-bfd-password = 12345678901234567\nbgp-bfd-auth = keyed-md5 1",
            "has 16 bytes at most",
        ),
        ("bgp-bfd-password = s3cret", "has no effect without bgp-bfd-auth"),
    ):
        problem = str(only_problem(f"{GLOBAL_BGP}{text}\n{service()}"))
        assert message in problem
        assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("bgp-bfd = yes\nbgp-bfd-auth = simple 1", "bgp-bfd-auth"),
        (
            "bgp-bfd = yes\nbgp-bfd-auth = simple 1\nbgp-bfd-password = s3cret\n"
            "[[peer 198.51.100.1]]\nbgp-bfd-password = 12345678901234567",
            "bgp-bfd-password",
        ),
    ],
)
def test_a_key_that_does_not_fit_is_said_where_it_is(lines: str, key: str) -> None:
    assert only_problem(f"{GLOBAL_BGP}{lines}\n{service()}").key == key


def test_bfd_of_one_hop_to_a_peer_behind_routers_is_warned_of() -> None:
    for far in ("bgp-multihop = 2", "bgp-ttl-security = 2"):
        problem = only_problem(f"{GLOBAL_BGP}{far}\nbgp-bfd = yes\n{service()}")
        assert "bgp-bfd-multihop = yes" in str(problem)
        found = options(f"{far}\nbgp-bfd = yes\nbgp-bfd-multihop = yes")
        assert found.bfd_multihop
    for near in ("", "bgp-multihop = 1", "bgp-ttl-security = 1"):
        assert options(f"{near}\nbgp-bfd = yes").bfd


def test_who_may_listen_to_what_peers_say() -> None:
    assert options("").imports == "no"
    for text, wanted in (("yes", "yes"), ("Shared", "shared"), ("off", "no")):
        assert options(f"bgp-import = {text}").imports == wanted
    problem = only_problem(f"{GLOBAL_BGP}bgp-import = maybe\n{service()}")
    assert "must be no, yes or shared" in str(problem)
