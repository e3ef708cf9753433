"""What of BGP is well-formed, but will not do what was meant."""

from __future__ import annotations

import pytest

from pybal.config.bgp_report import bgp_items
from pybal.config.problems import Severity
from pybal.config.report import interfaces_note
from tests.config.texts import GLOBAL_BGP, only_problem, parse, service, settings, shown

ERROR, WARNING = Severity.ERROR, Severity.WARNING
PEER = "bgp-peer-address = 198.51.100.1\n"
NAMED = "[[peer 198.51.100.1]]\n"
UNNAMED = GLOBAL_BGP.replace(PEER, "")

OF_ALL = [
    ("bgp-peer-asn = 23456", ERROR, "23456 is nobody's"),
    ("bgp-peer-asn = 65535", WARNING, "65535 is reserved (RFC 7300)"),
    ("bgp-peer-asn = 4294967295", WARNING, "reserved"),
    ("bgp-hold-time = 0", WARNING, "bgp-bfd would tell it"),
    ("bgp-bfd = yes\nbgp-bfd-interval = 10", WARNING, "for dead after 30 ms"),
    ("bgp-bfd = yes\nbgp-bfd-interval = 90\nbgp-bfd-multiplier = 1", WARNING, "after 90 ms"),
    (f"bgp-bfd = yes\n{NAMED}bgp-bfd-interval = 10", WARNING, "after 30 ms"),
    (f"bgp-bfd = yes\nbgp-bfd-interval = 10\n{NAMED}bgp-description = x", WARNING, "after 30 ms"),
    (f"bgp-bfd-interval = 10\n{NAMED}bgp-bfd = yes", WARNING, "after 30 ms"),
    ("bgp-hold-time = 3", WARNING, "keepalives go out every 1 s at most"),
    (f"bgp-hold-time = 3\n{NAMED}bgp-bfd = yes", WARNING, "keepalives go out every 1 s at most"),
    (
        "bgp-confederation-id = 23456\nbgp-peer-asn = 64601",
        ERROR,
        "[global] bgp-confederation-id = '23456': 23456 is nobody's",
    ),
    ("bgp-bfd-interval = 100", WARNING, "has no effect without bgp-bfd"),
    ("bgp-bfd-multihop = yes", WARNING, "has no effect without bgp-bfd"),
    ("bgp-graceful-restart-time = 60", WARNING, "has no effect without bgp-graceful-restart"),
    ("bgp-communities = 64600:1 blackhole", WARNING, "has blackhole: routers may drop"),
    ("bgp-communities = graceful-shutdown", WARNING, "for the last choice"),
    ("bgp-communities = 65535:6", WARNING, "has llgr-stale"),
    ("bgp-router-id = 127.0.0.1", WARNING, "127.0.0.1 is every host's"),
    ("bgp-router-id = 198.51.100.1", WARNING, "is our own bgp-router-id"),
    ("bgp-router-id = 255.255.255.255", ERROR, "not an unspecified, multicast or broadcast one"),
    ("bgp-local-ips = ['192.0.2.9', 'fe80::1']", ERROR, "fe80::1 cannot be listened on"),
    ("bgp-as-path = 64999 64600", WARNING, "begins with 64999, not with bgp-local-asn"),
    ("bgp-as-path = 64600 64601\nbgp-peer-asn = 64601", WARNING, "for a loop"),
    ("bgp-peer-asn = 64600\nbgp-role = customer", WARNING, "towards routers of our AS"),
    ("bgp-peer-asn = 64600\nbgp-prepend = 2", WARNING, "use bgp-local-pref"),
    ("bgp-role-strict = yes", WARNING, "bgp-role-strict = 'yes': has no effect without bgp-role"),
    (
        "bgp-confederation-id = 65000\nbgp-confederation-peers = 65000 64513\nbgp-peer-asn = 64513",
        WARNING,
        "65000 is the confederation, not a member of it",
    ),
    ("bgp-confederation-id = 65000\nbgp-peer-asn = 65000", WARNING, "name the member AS"),
    ("bgp-families = ipv6", WARNING, "no router told of 192.0.2.1"),
    (f"{NAMED}bgp-local-pref = 5\nbgp-peer-asn = 64601", WARNING, "use bgp-med"),
    (f"{NAMED}bgp-peer-limit = 5", WARNING, "it belongs in [[peers PREFIX]]"),
    (
        f"{NAMED}bgp-source-address = 198.51.100.1",
        ERROR,
        "[[peer 198.51.100.1]] bgp-source-address = '198.51.100.1': is the address of the peer: it"
        " must be one of our own",
    ),
    (
        f"{NAMED}bgp-nexthop-ipv4 = 198.51.100.1",
        WARNING,
        "[[peer 198.51.100.1]] bgp-nexthop-ipv4 = '198.51.100.1': is the address of the peer",
    ),
    (f"{NAMED}bgp-nexthop-ipv4 = 127.0.0.1", WARNING, "127.0.0.1 is each router itself"),
    (f"{NAMED}bgp-nexthop-ipv4 = fe80::9", WARNING, "fe80::9 is link-local"),
    (f"{NAMED}bgp-nexthop-ipv6 = ::", ERROR, "it is unspecified"),
    (f"{NAMED}bgp-nexthop-ipv6 = ff02::1", ERROR, "it is multicast"),
    (f"{NAMED}bgp-nexthop-ipv4 = ::ffff:192.0.2.7", WARNING, "write it plainly"),
    (f"{NAMED}bgp-communities = blackhole", WARNING, "has blackhole"),
    ("[[peer eth0]]\nbgp-interface = eth1", WARNING, "the router is looked for on eth0"),
    ("[[peer eth0]]\nbgp-nexthop-ipv4 = 127.0.0.1", WARNING, "127.0.0.1 is each router itself"),
    (
        "[[peers 192.0.2.0/24]]\nbgp-nexthop-ipv4 = 127.0.0.1",
        WARNING,
        "127.0.0.1 is each router itself",
    ),
    (
        "[[peers 192.0.2.0/24]]\n[[peers  192.0.2.0/24]]",
        ERROR,
        "a second sub-section of 192.0.2.0/24",
    ),
    ("[[peers 224.0.0.0/4]]", ERROR, "no router connects from 224.0.0.0/4"),
    ("[[peers ::ffff:0:0/96]]", ERROR, "no router connects from ::ffff:0"),
    ("[[peers ::/0]]", WARNING, "whoever reaches this host may be a peer"),
]


@pytest.mark.parametrize(("lines", "severity", "message"), OF_ALL)
def test_what_cannot_be_meant_is_said(lines: str, severity: Severity, message: str) -> None:
    problem = only_problem(f"{GLOBAL_BGP}{lines}\n{service()}")
    assert (problem.severity, message in str(problem)) == (severity, True), problem


@pytest.mark.parametrize(
    "lines",
    [
        "bgp-hold-time = 0\nbgp-bfd = yes",
        "bgp-hold-time = 9",
        "bgp-bfd = yes\nbgp-bfd-interval = 50\nbgp-bfd-multiplier = 2",
        "[[peers 2001:db8::/112]]",
        "bgp-bfd-interval = 100\n[[peer 198.51.100.1]]\nbgp-bfd = yes",
        "bgp-graceful-restart-time = 60\n[[peer eth0]]\nbgp-graceful-restart = yes",
        "bgp-communities = no-export local-as 64600:1",
        "bgp-as-path = 64600 64600 64600",
        "bgp-peer-asn = 64601\nbgp-role = customer\nbgp-prepend = 2",
        "[[peers ::/0]]\nbgp-password = s3cret",
        "[[peers ::/0]]\nbgp-ttl-security = yes",
        "[[peers 0.0.0.0/1]]",
        "bgp-families = ipv4",
    ],
)
def test_what_may_be_meant_is_taken_without_a_word(lines: str) -> None:
    assert shown(f"{GLOBAL_BGP}{lines}\n{service()}") == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("0.0.0.0", "0.0.0.0 is no router's: it is unspecified"),
        ("::", ":: is no router's: it is unspecified"),
        ("224.0.0.5", "it is multicast"),
        ("ff02::5", "it is multicast"),
        ("255.255.255.255", "it is broadcast"),
        ("::ffff:198.51.100.7", "must be written as 198.51.100.7"),
        ("2001:db8::1%eth0", "must be written as 2001:db8::1"),
        ("fe80::1", "fe80::1 is link-local: name its interface, as in fe80::1%eth0"),
        ("fe80::1%averyveryverylong", "averyveryverylong must be the name of a network interface"),
        ("198.51.100.1/32", "write it without /32"),
        ("198.51.100.1:179", "write it without :179"),
    ],
)
def test_an_address_that_no_router_has_is_an_error(address: str, message: str) -> None:
    start = GLOBAL_BGP.replace("198.51.100.1", address)
    problem = only_problem(start + service())
    assert (problem.severity, problem.key) == (ERROR, "bgp-peer-address")
    assert message in problem.message


def test_a_next_hop_of_all_that_is_a_routers_own_address() -> None:
    problem = only_problem(GLOBAL_BGP.replace("198.51.100.2", "198.51.100.1") + service())
    assert (problem.severity, problem.section) == (WARNING, "global")
    assert "is the address of the peer 198.51.100.1, which would send all to itself" in str(problem)


def test_keys_of_a_section_of_nobody_are_looked_at_all_the_same() -> None:
    first, second = shown(f"{GLOBAL_BGP}[[peer /]]\nnosuch = 1\n{service()}")
    assert "must be [[peer ADDRESS]] or [[peer INTERFACE]]" in first
    assert "nosuch: unknown key" in second or "nosuch = '1': unknown key" in second


def test_a_next_hop_that_is_a_services_own_address() -> None:
    text = f"{GLOBAL_BGP}{NAMED}bgp-nexthop-ipv6 = 2001:db8::9\n{service(ip='2001:db8::9')}"
    words = "that of 198.51.100.1 is the address of [svc], which is announced"
    assert words in str(only_problem(text))


def test_an_aggregate_that_holds_our_next_hop() -> None:
    text = GLOBAL_BGP.replace(PEER, "bgp-peer-address = 203.0.113.1\n")
    text += service(ip="198.51.100.9", bgp_aggregate="198.51.100.0/24")
    assert "holds 198.51.100.2, by which routers reach" in str(only_problem(text))


def test_what_is_not_announced_or_has_no_address_is_not_compared_with_routers() -> None:
    start = GLOBAL_BGP.replace("198.51.100.1", "192.0.2.1")
    assert shown(start + service(bgp="no")) == []
    assert only_problem(GLOBAL_BGP + service(ip="nonsense")).key == "ip"


def test_services_of_one_address_are_compared_though_what_counts_for_the_others_is_bad() -> None:
    services = service("a", bgp_communities="64600:1")
    services += service("b", port="81", bgp_communities="64600:2")
    services += service("c", port="82")
    first, second = shown(f"{GLOBAL_BGP}bgp-communities = nonsense\n{services}")
    assert "[global] bgp-communities" in first
    assert "[b] bgp-communities" in second and "differs from that of [a]" in second


def test_one_router_in_two_spellings_is_one_or_an_error() -> None:
    both = "['198.51.100.1', '::ffff:198.51.100.1']"
    problem = only_problem(GLOBAL_BGP.replace("198.51.100.1", both) + service())
    assert problem.severity is ERROR


@pytest.mark.parametrize("asn", ["23456", "65535"])
def test_our_own_as_number_is_one_that_may_be_had(asn: str) -> None:
    text = GLOBAL_BGP.replace("64600", asn) + service()
    assert only_problem(text).key == "bgp-local-asn"


def test_many_routers_without_sections_are_told_of_once() -> None:
    peers = "['198.51.100.1', '198.51.100.3', '198.51.100.4']"
    start = GLOBAL_BGP.replace("198.51.100.1", peers)
    assert len(shown(f"{start}bgp-peer-asn = 64600\nbgp-prepend = 2\n{service()}")) == 1
    assert len(shown(f"{start}bgp-confederation-id = 65000\n{service()}")) == 1


def test_a_service_whose_address_a_router_has() -> None:
    start = GLOBAL_BGP.replace("198.51.100.1", "192.0.2.1")
    assert "192.0.2.1 is the address of [svc]" in str(only_problem(start + service()))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bgp_aggregate": "0.0.0.0/0"}, "is the default route"),
        ({"bgp_aggregate": "128.0.0.0/1"}, "holds 198.51.100.1, by which routers reach"),
        ({"bgp_aggregate": "192.0.2.0/24", "bgp": "no"}, "has no effect: bgp = no"),
        ({"bgp_communities": "blackhole"}, "has blackhole"),
    ],
)
def test_a_service_that_is_announced_as_nobody_means_it(keys: dict[str, str], message: str) -> None:
    problem = only_problem(GLOBAL_BGP + service(**keys))
    assert (problem.severity, problem.section) == (WARNING, "svc")
    assert message in problem.message


def test_the_report_names_all_routers_and_what_is_not_as_usual() -> None:
    text = (
        GLOBAL_BGP
        + "bgp-link-bandwidth = auto\nbgp-extended-communities = rt:64600:7\nbgp-peer-asn = 64601\n"
        + "[[peer eth0]]\nbgp-graceful-restart = yes\nbgp-long-lived-graceful-restart = 900\n"
        + "bgp-import = yes\n[[peers 192.0.2.0/24]]\nbgp-peer-limit = 3\nbgp-password = s3cret\n"
        + "bgp-tcp-ao = hmac-sha-1-96 1 2\nbgp-bfd = yes\nbgp-bfd-multihop = yes\n"
        + "bgp-bfd-auth = keyed-md5 1\nbgp-bfd-password = s3cret\nbgp-prepend = 1\n"
    )
    found = dict[str, list[str]]()
    for name, said in bgp_items(settings(text + service()).bgp):
        found.setdefault(name, []).append(said)
    assert found["BGP"] == ["AS 64600, peers 198.51.100.1, on eth0, up to 3 of 192.0.2.0/24"]
    assert found["BGP peer"] == [
        "198.51.100.1, AS 64601, hold time 180 s",
        "on eth0, AS 64601, hold time 180 s, graceful restart within 120 s, then stale for 900 s,"
        " asked who else announces our addresses",
        "up to 3 of 192.0.2.0/24, AS 64601, hold time 180 s, with TCP-AO, BFD 3 x 300 ms over"
        " several hops with keyed-md5, our AS prepended 1 time",
    ]
    assert found["BGP bandwidth"] == ["by the weights of the servers that are up"]
    assert found["BGP communities"] == ["rt:64600:7"]


def test_interfaces_that_this_host_has_not_are_noted() -> None:
    text = (
        UNNAMED.replace("[global]\n", "[global]\nbgp-peer-address = fe80::1%eth7\n")
        + "[[peer eth0]]\n[[peer eth8]]\n[[peers 192.0.2.0/24]]\nbgp-interface = vrf-blue\n"
    )
    found = settings(text + service())
    notes = interfaces_note(found, lambda name: name == "eth0")
    assert [note.split()[2] for note in notes] == ["eth7", "eth8", "vrf-blue"]
    assert interfaces_note(settings("[global]\n" + service()), lambda _: False) == []


def test_a_section_that_is_wrong_is_not_told_of_its_keys_as_well() -> None:
    result = parse(f"{GLOBAL_BGP}[[peers 192.0.2.1/24]]\nbgp-peer-limit = 4\n{service()}", "f")
    assert ["host bits" in str(problem) for problem in result.problems] == [True]


@pytest.mark.parametrize(
    ("lines", "item"),
    [
        ("bgp-large-communities = 64600:1:2", ("BGP communities", "64600:1:2")),
        ("bgp-extended-communities = rt:64600:1", ("BGP communities", "rt:64600:1")),
        ("bgp-link-bandwidth = 10G", ("BGP bandwidth", "1e+10 bit/s")),
        (
            "bgp-link-bandwidth = auto",
            ("BGP bandwidth", "by the weights of the servers that are up"),
        ),
        (
            "bgp-confederation-id = 65000\nbgp-peer-asn = 64601",
            ("BGP confederation", "AS 65000, other members none"),
        ),
        (
            "bgp-confederation-id = 65000\nbgp-confederation-peers = 64513 64514\n"
            "bgp-peer-asn = 64513",
            ("BGP confederation", "AS 65000, other members 64513 64514"),
        ),
    ],
)
def test_what_is_told_of_all_is_in_the_report(lines: str, item: tuple[str, str]) -> None:
    assert item in bgp_items(settings(f"{GLOBAL_BGP}{lines}\n{service()}").bgp)


def test_the_report_says_for_how_long_routes_are_kept() -> None:
    lines = "bgp-graceful-restart = yes\nbgp-long-lived-graceful-restart = 1"
    items = bgp_items(settings(f"{GLOBAL_BGP}{lines}\n{service()}").bgp)
    (peer,) = [text for name, text in items if name == "BGP peer"]
    assert "then stale for 1 s" in peer


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("0.0.0.0", "no host's: it is unspecified"),
        ("::", "no host's: it is unspecified"),
        ("224.0.0.1", "no host's: it is multicast"),
        ("ff02::1", "no host's: it is multicast"),
        ("255.255.255.255", "no host's: it is broadcast"),
        ("::ffff:192.0.2.1", "must be written as 192.0.2.1"),
        ("127.0.0.1", "no router forwards to it"),
        ("::1", "no router forwards to it"),
        ("169.254.0.1", "no router forwards to it"),
        ("fe80::1", "no router forwards to it"),
    ],
)
def test_what_no_router_can_forward_to_is_not_announced_in_silence(
    address: str, wrong: str
) -> None:
    key = "advertised_instrumentation_ips"
    problem = only_problem(f"{GLOBAL_BGP}{key} = {address}\n{service()}")
    assert (problem.key, problem.line) == (key, 1 + GLOBAL_BGP.count("\n"))
    assert wrong in problem.message
    problems = parse(GLOBAL_BGP + service(ip=address)).problems
    assert [problem.key for problem in problems if problem.section == "svc"][:1] == ["ip"]
    quiet = parse(GLOBAL_BGP + service(ip=address, bgp="no")).errors
    assert bool(quiet) == ("forwards" not in wrong)
