"""The options of a service that are IPVS's alone."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.config.problems import Severity
from pybal.ipvs.model import (
    IPIP,
    Destination,
    DestinationKey,
    Forwarding,
    Persistence,
    Service,
    ServiceEntry,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)
from pybal.ipvs.options import KernelOptions, ServiceOptions
from pybal.model import L4Protocol
from pybal.pool.desired import service_key
from tests.config.texts import (
    FILE,
    only_problem,
    only_service,
    parse,
    problem_of,
    report,
    service,
    settings,
    shown,
)
from tests.pool.reference_entry import service_entry

TUNNEL = Forwarding.TUNNEL
GUE = {"forwarding_method": "tunnel", "tunnel_type": "gue"}
UDP = {"protocol": "udp", "persistence_timeout": "60"}


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ({}, ServiceOptions(Forwarding.DIRECT, IPIP, 0, 0, None, "", 0, 0, None)),
        ({"tunneling": "no"}, ServiceOptions()),
        ({"tunneling": "yes"}, ServiceOptions(TUNNEL)),
        ({"forwarding_method": "direct"}, ServiceOptions()),
        ({"forwarding_method": "direct", "tunneling": "no"}, ServiceOptions()),
        ({"forwarding_method": "tunnel"}, ServiceOptions(TUNNEL)),
        ({"forwarding_method": "tunnel", "tunneling": "yes"}, ServiceOptions(TUNNEL)),
        ({"forwarding_method": "masquerade"}, ServiceOptions(Forwarding.MASQUERADE)),
        ({"tunneling": "yes", "tunnel_type": "ipip"}, ServiceOptions(TUNNEL)),
        (
            {"tunneling": "yes", "tunnel_type": "gre"},
            ServiceOptions(TUNNEL, Tunnel(TunnelType.GRE)),
        ),
        (
            {"tunneling": "yes", "tunnel_type": "gre", "tunnel_checksum": "yes"},
            ServiceOptions(TUNNEL, Tunnel(TunnelType.GRE, 0, 1)),
        ),
        ({**GUE, "tunnel_port": "6080"}, ServiceOptions(TUNNEL, Tunnel(TunnelType.GUE, 6080))),
        (
            {**GUE, "tunnel_port": "6080", "tunnel_checksum": "remote"},
            ServiceOptions(TUNNEL, Tunnel(TunnelType.GUE, 6080, 2)),
        ),
        ({"scheduler": "sh", "scheduler_flags": "sh-port"}, ServiceOptions(scheduler_flags=2)),
        (
            {"scheduler": "mh", "scheduler_flags": "mh-port, mh-fallback"},
            ServiceOptions(scheduler_flags=3),
        ),
        ({"persistence_timeout": "300"}, ServiceOptions(persistence=Persistence(300, 32))),
        (
            {"persistence_timeout": "300", "persistence_netmask": "255.255.255.0"},
            ServiceOptions(persistence=Persistence(300, 24)),
        ),
        (
            {"ip": "2001:db8::1", "persistence_timeout": "300", "persistence_netmask": "64"},
            ServiceOptions(persistence=Persistence(300, 64)),
        ),
        (
            {**UDP, "persistence_engine": "sip", "ops": "yes"},
            ServiceOptions(persistence=Persistence(60, 32), persistence_engine="sip"),
        ),
        (
            {"upper_threshold": "1000", "lower_threshold": "900"},
            ServiceOptions(upper_threshold=1000, lower_threshold=900),
        ),
        ({"fwmark": "4294967295"}, ServiceOptions(fwmark=2**32 - 1)),
        ({"server_address_family": "ipv4"}, ServiceOptions(server_version=4)),
        (
            {"server_address_family": "ipv6", "tunneling": "yes"},
            ServiceOptions(TUNNEL, server_version=6),
        ),
    ],
)
def test_a_service_takes_what_is_set(keys: dict[str, str], options: ServiceOptions) -> None:
    assert only_service(service(**keys)).ipvs == options


FLAGS = "must be some of sh-fallback, sh-port, mh-fallback, mh-port, separated by commas"


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"forwarding_method": "dsr"}, "forwarding-method", "must be one of direct, tunnel or"),
        (
            {"tunneling": "yes", "forwarding_method": "masquerade"},
            "tunneling",
            "must be no, or left out, with forwarding-method = masquerade",
        ),
        (
            {"tunneling": "no", "forwarding_method": "tunnel"},
            "tunneling",
            "must be yes, or left out, with forwarding-method = tunnel",
        ),
        ({"tunnel_type": "gre"}, "tunnel-type", "must not be set without forwarding-method = tu"),
        ({"tunnel_checksum": "no"}, "tunnel-checksum", "must not be set without forwarding-metho"),
        (GUE, "tunnel-port", "not set; must be a port from 1 to 65535, because tunnel-type is gue"),
        ({**GUE, "tunnel_port": "0"}, "tunnel-port", "must be a port from 1 to 65535"),
        ({"tunneling": "yes", "tunnel_port": "5"}, "tunnel-port", "must not be set without tunnel"),
        ({"tunneling": "yes", "tunnel_type": "vxlan"}, "tunnel-type", "must be one of ipip, gue o"),
        (
            {"tunneling": "yes", "tunnel_checksum": "yes"},
            "tunnel-checksum",
            "must be no: ipip has no checksum",
        ),
        (
            {"tunneling": "yes", "tunnel_type": "gre", "tunnel_checksum": "remote"},
            "tunnel-checksum",
            "must not be remote with gre: that is gue's alone",
        ),
        (
            {"scheduler": "sh", "scheduler_flags": "mh-port"},
            "scheduler-flags",
            "mh-port is not of scheduler sh, which has sh-fallback and sh-port",
        ),
        (
            {"scheduler_flags": "sh-port"},
            "scheduler-flags",
            "sh-port is not of scheduler wrr, which has no flags",
        ),
        ({"scheduler_flags": "sh-prt"}, "scheduler-flags", FLAGS + "; 'sh-prt' is none; did you"),
        ({"persistence_timeout": "0"}, "persistence-timeout", "must be seconds from 1 to 2678400"),
        (
            {"persistence_netmask": "24"},
            "persistence-netmask",
            "must not be set without persistence-timeout",
        ),
        (
            {"persistence_timeout": "5", "persistence_netmask": "255.0.255.0"},
            "persistence-netmask",
            "must be a prefix length from 1 to 32, or a netmask such as 255.255.255.0",
        ),
        (
            {"ip": "2001:db8::1", "persistence_timeout": "5", "persistence_netmask": "129"},
            "persistence-netmask",
            "must be a prefix length from 1 to 128",
        ),
        (
            {"protocol": "udp", "persistence_engine": "sip"},
            "persistence-engine",
            "must not be set without persistence-timeout",
        ),
        ({**UDP, "persistence_engine": "rtp"}, "persistence-engine", "must be sip"),
        (
            {**UDP, "protocol": "tcp", "persistence_engine": "sip"},
            "persistence-engine",
            "must not be sip with tcp: it is for udp",
        ),
        (
            {"upper_threshold": "5", "lower_threshold": "6"},
            "lower-threshold",
            "must be at most upper-threshold, which is 5",
        ),
        ({"lower_threshold": "1"}, "lower-threshold", "must be at most upper-threshold, which i"),
        ({"upper_threshold": "-1"}, "upper-threshold", "must be a number of connections from 0"),
        ({"fwmark": "0"}, "fwmark", "must be a firewall mark from 1 to 4294967295"),
        (
            {"server_address_family": "ipv6"},
            "server-address-family",
            "must be ipv4, as ip is: only a tunnel leads to the other family",
        ),
        ({"protocol": "sctp", "ops": "yes"}, "ops", "must be no with sctp: one-packet schedulin"),
    ],
)
def test_what_cannot_be_says_what_would_be_right(
    keys: dict[str, str], key: str, message: str
) -> None:
    problem = problem_of(key, "[global]\n" + service(**keys))
    assert (problem.severity, problem.section) == (Severity.ERROR, "svc")
    assert problem.message.startswith(message)


HASHES = (
    ("mh", "mh-port", "mh, without mh-fallback,"),
    ("sh", "", "sh, without sh-fallback,"),
    ("sh", "sh-port", "sh, without sh-fallback,"),
    ("dh", "", "dh, which has no fallback,"),
)


@pytest.mark.parametrize(("scheduler", "flags", "words"), HASHES)
def test_a_hash_that_will_lead_clients_to_refusal_is_warned_of(
    scheduler: str, flags: str, words: str
) -> None:
    for key, value, server in (
        ("depool_method", "drain", "that drains"),
        ("upper_threshold", "5", "that has so many connections"),
    ):
        options = {"scheduler": scheduler, "scheduler_flags": flags, key: value}
        problem = only_problem("[global]\n" + service(**options))
        assert (problem.severity, problem.key) == (Severity.WARNING, key.replace("_", "-"))
        refusal = f"scheduler {words} refuses new clients whose hash is of a server {server}"
        assert problem.message == refusal


@pytest.mark.parametrize(
    "options",
    [
        {"scheduler": "mh", "scheduler_flags": "mh-fallback", "depool_method": "drain"},
        {"scheduler": "sh", "scheduler_flags": "sh-port, sh-fallback", "upper_threshold": "5"},
        {"scheduler": "sh", "scheduler_flags": "sh-fallback", "upper_threshold": "5"},
        {"scheduler": "wrr", "depool_method": "drain", "upper_threshold": "5"},
        {"scheduler": "sh"},
    ],
)
def test_a_hash_with_fallback_or_with_nothing_to_fall_back_from_is_not_warned_of(
    options: dict[str, str],
) -> None:
    assert shown("[global]\n" + service(**options)) == []


def test_a_threshold_without_connections_to_count_is_warned_of() -> None:
    options = {"protocol": "udp", "ops": "yes", "upper_threshold": "5"}
    problem = only_problem("[global]\n" + service(**options))
    assert (problem.severity, problem.key) == (Severity.WARNING, "upper-threshold")
    assert problem.message == "has no effect with ops: no connections stay to be counted"


def test_one_mistake_is_one_error() -> None:
    for keys in (
        {"forwarding_method": "x", "tunnel_type": "gre"},
        {"tunneling": "x", "tunnel_type": "gre"},
        {"tunneling": "yes", "tunnel_type": "x", "tunnel_port": "5"},
        {"persistence_timeout": "x", "persistence_netmask": "24"},
        {"upper_threshold": "x", "lower_threshold": "5"},
    ):
        problem = only_problem("[global]\n" + service(**keys))
        assert problem.value == "x"


def test_marks_collide_only_with_equal_marks_of_their_family() -> None:
    marked = {"fwmark": "5"}
    text = service("a", **marked) + service("b", port="81", **marked)
    problem = only_problem("[global]\n" + text)
    assert (problem.key, problem.message) == ("fwmark", "fwmark 5 IPv4 is already [a] (line 2)")
    others = service("b", ip="2001:db8::1", **marked) + service("c", fwmark="6") + service("d")
    assert len(settings("[global]\n" + service("a", **marked) + others).services) == 4


def test_all_of_it_reaches_the_kernels_entry() -> None:
    text = service(
        protocol="udp",
        port="5060",
        scheduler="mh",
        scheduler_flags="mh-port, mh-fallback",
        ops="yes",
        **GUE,
        tunnel_port="6080",
        persistence_timeout="60",
        persistence_netmask="24",
        persistence_engine="sip",
        upper_threshold="9",
        lower_threshold="5",
        server_address_family="ipv6",
    )
    # A threshold with ops is warned of.
    result = parse("[global]\n" + text, FILE)
    assert result.settings is not None
    (found,) = result.settings.services
    address = ip_address("2001:db8::9")
    key = DestinationKey(address, 5060)
    tunnel = Tunnel(TunnelType.GUE, 6080)
    expected = Service(
        ServiceKey(L4Protocol.UDP, ip_address("192.0.2.1"), 5060),
        "mh",
        one_packet=True,
        scheduler_flags=3,
        persistence=Persistence(60, 24),
        persistence_engine="sip",
    )
    assert service_entry(found, [(address, 3)]) == ServiceEntry(
        expected, {key: Destination(key, 3, TUNNEL, 9, 5, tunnel)}
    )
    assert found.server_version == 6


def test_a_marked_service_leaves_ports_as_they_are() -> None:
    found = only_service(service(fwmark="5"))
    assert service_key(found) == ServiceKey.marked(5, 4)
    (destination,) = service_entry(found, [(ip_address("198.51.100.1"), 1)]).destinations
    assert destination.port == 0


def test_all_of_it_is_shown() -> None:
    text = "[global]\n" + service(
        protocol="udp", scheduler="sh", scheduler_flags="sh-port", ops="yes", fwmark="5",
        **GUE, tunnel_port="6080", tunnel_checksum="remote", server_address_family="ipv6",
        persistence_timeout="60", persistence_engine="sip",
        upper_threshold="9", lower_threshold="5",
    )  # fmt: skip
    lines = report(parse(text, FILE))
    assert (
        "[svc] udp 192.0.2.1:80, sh (sh-port), tunneling (GUE port 6080, remote checksum),"
        " packets marked 5, one-packet, persistent for 60 s (/32 by sip),"
        " at most 9 connections a server, again below 5, servers of IPv6"
    ) in lines
    assert "[svc] tcp 192.0.2.1:80, wrr, masquerading" in report(
        parse("[global]\n" + service(forwarding_method="masquerade"), FILE)
    )


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        ("", KernelOptions()),
        (
            "ipvs-tcp-timeout = 900\nipvs-tcpfin-timeout = 60\nipvs-udp-timeout = 2147483\n",
            KernelOptions(Timeouts(900, 60, 2147483)),
        ),
        ("ipvs-sync-daemon = none\n", KernelOptions(sync=())),
        (
            "ipvs-sync-daemon = both\nipvs-sync-interface = eth0\nipvs-sync-id = 7\n",
            KernelOptions(sync=tuple(SyncDaemon(role, "eth0", 7) for role in SyncRole)),
        ),
        (
            "ipvs-sync-daemon = backup\nipvs-sync-interface = eth0.5\nipvs-sync-group = ff02::5\n"
            "ipvs-sync-port = 9000\nipvs-sync-ttl = 3\n",
            KernelOptions(
                sync=(SyncDaemon(SyncRole.BACKUP, "eth0.5", 0, ip_address("ff02::5"), 9000, 3),)
            ),
        ),
    ],
)
def test_global_options_say_what_all_services_share(lines: str, options: KernelOptions) -> None:
    assert settings("[global]\n" + lines + service()).ipvs.kernel == options


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        ("ipvs-tcp-timeout = 0", "ipvs-tcp-timeout", "must be seconds from 1 to 2147483"),
        ("ipvs-sync-daemon = slave", "ipvs-sync-daemon", "must be one of none, master, backup or"),
        ("ipvs-sync-daemon = master", "ipvs-sync-interface", "not set; must be the name of a ne"),
        ("ipvs-sync-id = 5", "ipvs-sync-id", "must not be set without ipvs-sync-daemon"),
        ("ipvs-sync-group = 192.0.2.1", "ipvs-sync-group", "must be a multicast address"),
        ("ipvs-sync-interface = a-name-that-is-long", "ipvs-sync-interface", "must be the name o"),
    ],
)
def test_wrong_options_of_what_all_share_say_what_would_be_right(
    lines: str, key: str, message: str
) -> None:
    problem = problem_of(key, f"[global]\n{lines}\n{service()}")
    assert problem.message.startswith(message)


def test_a_sync_daemon_and_servers_of_the_other_family_exclude_one_another() -> None:
    sync = "ipvs-sync-daemon = master\nipvs-sync-interface = eth0\n"
    mixed = service(tunneling="yes", server_address_family="ipv6")
    problem = only_problem("[global]\n" + sync + mixed)
    assert problem.key == "server-address-family"
    assert "ipvs-sync-daemon" in problem.message


def test_what_all_share_is_shown_where_it_is_set() -> None:
    text = "ipvs-tcpfin-timeout = 60\nipvs-sync-daemon = master\nipvs-sync-interface = eth0\n"
    lines = report(parse("[global]\n" + text + service(), FILE))
    assert "    IPVS timeouts      tcpfin 60 s" in lines
    assert (
        "    IPVS sync          the master sync daemon on eth0 (id 0, 224.0.0.81:8848, TTL 1)"
    ) in lines


def test_a_netmask_is_written_as_its_family_has_it() -> None:
    def length(ip: str, **keys: str) -> int | None:
        found = only_service(service(ip=ip, persistence_timeout="300", **keys)).ipvs.persistence
        return None if found is None else found.prefix_length

    assert length("192.0.2.1", persistence_netmask="128.0.0.0") == 1
    assert length("192.0.2.1", persistence_netmask="255.255.255.255") == 32
    assert length("2001:db8::1") == 128
    assert length("2001:db8::1", persistence_netmask="64") == 64
    text = service(ip="2001:db8::1", persistence_timeout="300", persistence_netmask="255.255.255.0")
    assert only_problem(f"[global]\n{text}").message == "must be a prefix length from 1 to 128"


def test_a_threshold_is_as_much_as_the_kernel_can_count() -> None:
    most = "2147483647"
    assert only_service(service(upper_threshold=most)).ipvs.upper_threshold == int(most)
    problem = only_problem("[global]\n" + service(upper_threshold="2147483648"))
    assert problem.key == "upper-threshold"


@pytest.mark.parametrize(
    ("key", "good", "wrong"),
    [
        ("ipvs-tcp-timeout", ("1", "2147483"), ("0", "2147484")),
        ("ipvs-sync-interface", ("i", "a-15-byte-name."), ("a-16-byte-name..", "a b", "a:b", "..")),
        ("ipvs-sync-id", ("0", "255"), ("-1", "256")),
        ("ipvs-sync-ttl", ("1", "255"), ("0", "256")),
    ],
)
def test_what_the_kernel_takes_has_its_bounds(
    key: str, good: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    start = "[global]\nipvs-sync-daemon = master\n"
    if key != "ipvs-sync-interface":
        start += "ipvs-sync-interface = eth0\n"
    for value in good:
        assert shown(f"{start}{key} = {value}\n{service()}") == []
    for value in wrong:
        assert only_problem(f"{start}{key} = {value}\n{service()}").key == key
