"""Each key of pybal.conf is changed in a running daemon, and what was touched is what the table of
reload/keys.py says, no more and no less."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from pybal.reload.keys import (
    BGP_KEYS,
    GLOBAL_KEYS,
    ONE_PEER_KEYS,
    PEER_KEYS,
    SERVICE_KEYS,
    SWITCHES,
    Effect,
    Key,
)
from tests.reload.site import BASE, ONE, TWO, Site, Walk, lines_of


def _set(key: str, value: str, with_: str = "", before: str | None = None) -> Walk:
    return Walk(f"{key} = {before}" if before is not None else "", f"{key} = {value}", with_)


GLOBAL = {
    "dryrun": _set("dryrun", "yes"),
    "dry-run-bgp": _set("dry-run-bgp", "yes"),
    "state-directory": _set(
        "state-directory", "FOLDER/other", "history-size = 0", before="FOLDER/state"
    ),
    "handover": _set("handover", "no"),
    "control-socket": _set("control-socket", "FOLDER/other.sock", before="FOLDER/c.sock"),
    "control-socket-group": _set("control-socket-group", "root", "control-socket = FOLDER/c.sock"),
    "runcommand-user": _set("runcommand-user", "nobody"),
    "instrumentation": _set("instrumentation", "yes", "instrumentation_port = PORT"),
    "instrumentation_port": _set(
        "instrumentation_port",
        "OTHER_PORT",
        "instrumentation = yes\ninstrumentation_ips = [ '127.0.0.1' ]",
        before="PORT",
    ),
    "instrumentation_ips": _set(
        "instrumentation_ips",
        "[ '127.0.0.1', '127.0.0.2' ]",
        "instrumentation = yes\ninstrumentation_port = PORT",
        before="[ '127.0.0.1' ]",
    ),
    "isolation": _set("isolation", "no"),
    "isolation-threshold": _set("isolation-threshold", ".5"),
    "isolation-window": _set("isolation-window", "30"),
    "isolation-hold": _set("isolation-hold", "60"),
    "list-floor": _set("list-floor", ".9"),
    "list-window": _set("list-window", "60"),
    "list-hold": _set("list-hold", "60"),
    "flap-damping": _set("flap-damping", "no"),
    "runcommand-concurrency": _set("runcommand-concurrency", "3"),
    "strict": _set("strict", "yes"),
    "log-level": _set("log-level", "warning"),
    "history-retention": _set("history-retention", "1d"),
    "history-size": _set("history-size", "0"),
    "ipvs-audit-interval": _set("ipvs-audit-interval", "5"),
    "ipvs-cleanup": _set("ipvs-cleanup", "none"),
    "ipvs-statistics": _set("ipvs-statistics", "no"),
    "ipvs-tcp-timeout": _set("ipvs-tcp-timeout", "600"),
    "ipvs-tcpfin-timeout": _set("ipvs-tcpfin-timeout", "60"),
    "ipvs-udp-timeout": _set("ipvs-udp-timeout", "60"),
    "ipvs-sync-daemon": _set(
        "ipvs-sync-daemon", "backup", "ipvs-sync-interface = eth0", before="master"
    ),
    "ipvs-sync-interface": _set(
        "ipvs-sync-interface", "eth1", "ipvs-sync-daemon = master", before="eth0"
    ),
    **{
        f"ipvs-sync-{key}": _set(
            f"ipvs-sync-{key}", value, "ipvs-sync-daemon = master\nipvs-sync-interface = eth0"
        )
        for key, value in (("id", "7"), ("group", "224.0.0.9"), ("port", "8849"), ("ttl", "3"))
    },
    "bgp": Walk("bgp = yes", "bgp = no"),
    "bgp-peer-address": Walk(
        f"bgp-peer-address = ['{ONE}']", f"bgp-peer-address = ['{ONE}', '{TWO}']"
    ),
    "bgp-local-asn": Walk("bgp-local-asn = 64600", "bgp-local-asn = 64700"),
    "bgp-router-id": _set("bgp-router-id", "192.0.2.77"),
    "bgp-confederation-id": _set(
        "bgp-confederation-id", "64999", "bgp-peer-asn = 64601", before="64998"
    ),
    "bgp-confederation-peers": _set(
        "bgp-confederation-peers",
        "64602",
        "bgp-confederation-id = 64999\nbgp-peer-asn = 64601",
    ),
    "bgp-as-path": _set("bgp-as-path", "64600 64600"),
    "bgp-nexthop-ipv4": Walk("bgp-nexthop-ipv4 = 192.0.2.254", "bgp-nexthop-ipv4 = 192.0.2.253"),
    "bgp-nexthop-ipv6": _set("bgp-nexthop-ipv6", "2001:db8::254"),
    "bgp-med": _set("bgp-med", "100"),
    "bgp-communities": _set("bgp-communities", "[ '64600:1' ]"),
    "bgp-large-communities": _set("bgp-large-communities", "[ '64600:1:2' ]"),
    "bgp-extended-communities": _set("bgp-extended-communities", "[ 'rt:64600:1' ]"),
    "bgp-link-bandwidth": _set("bgp-link-bandwidth", "10G"),
    "bgp-local-pref": _set("bgp-local-pref", "200"),
    "bgp-local-ips": _set("bgp-local-ips", "[ '192.0.2.254' ]"),
    "bgp-local-port": _set("bgp-local-port", "1179"),
    "advertised_instrumentation_ips": _set("advertised_instrumentation_ips", "[ '192.0.2.254' ]"),
    "bgp-shutdown-delay": _set("bgp-shutdown-delay", "1"),
    "bgp-maintenance-med": _set("bgp-maintenance-med", "200"),
    "bgp-maintenance-prepend": _set("bgp-maintenance-prepend", "2"),
    "bgp-maintenance-withdraw": _set("bgp-maintenance-withdraw", "60"),
}

PEER = {
    "bgp-peer-asn": _set("bgp-peer-asn", "64601"),
    "bgp-ttl-security": _set("bgp-ttl-security", "1"),
    "bgp-hold-time": _set("bgp-hold-time", "90"),
    "bgp-connect-retry": _set("bgp-connect-retry", "5"),
    "bgp-graceful-restart": _set("bgp-graceful-restart", "yes"),
    "bgp-graceful-restart-time": _set(
        "bgp-graceful-restart-time", "60", "bgp-graceful-restart = yes"
    ),
    "bgp-bfd": _set("bgp-bfd", "yes"),
    "bgp-bfd-interval": _set("bgp-bfd-interval", "500", "bgp-bfd = yes"),
    "bgp-bfd-multiplier": _set("bgp-bfd-multiplier", "5", "bgp-bfd = yes"),
    "bgp-bfd-multihop": _set("bgp-bfd-multihop", "yes", "bgp-bfd = yes"),
    "bgp-bfd-auth": _set("bgp-bfd-auth", "simple 1", "bgp-bfd = yes\nbgp-bfd-password = one"),
    "bgp-bfd-password": Walk(
        "bgp-bfd-password = one",
        "bgp-bfd-password = two",
        "bgp-bfd = yes\nbgp-bfd-auth = simple 1",
    ),
    "bgp-bfd-password-file": Walk(
        "bgp-bfd-password = one",
        "bgp-bfd-password-file = FOLDER/secret",
        "bgp-bfd = yes\nbgp-bfd-auth = simple 1",
    ),
    "bgp-import": _set("bgp-import", "yes"),
    "bgp-passive": _set("bgp-passive", "yes"),
    "bgp-connect-only": _set("bgp-connect-only", "yes"),
    "bgp-multihop": _set("bgp-multihop", "4"),
    "bgp-families": _set("bgp-families", "ipv4"),
    "bgp-tcp-ao": _set("bgp-tcp-ao", "hmac-sha-1-96 1 1", "bgp-password = one"),
    "bgp-long-lived-graceful-restart": _set(
        "bgp-long-lived-graceful-restart", "3600", "bgp-graceful-restart = yes"
    ),
    "bgp-role": _set("bgp-role", "customer"),
    "bgp-role-strict": _set("bgp-role-strict", "yes", "bgp-role = customer"),
    "bgp-prepend": _set("bgp-prepend", "1"),
    "bgp-password": Walk("bgp-password = one", "bgp-password = two"),
    "bgp-password-file": _set("bgp-password-file", "FOLDER/secret"),
}

ONE_PEER = {
    "bgp-source-address": _set("bgp-source-address", "192.0.2.254"),
    "bgp-interface": _set("bgp-interface", "eth0"),
    "bgp-peer-port": _set("bgp-peer-port", "1179"),
    "bgp-description": _set("bgp-description", "spine"),
    "bgp-nexthop-ipv4": _set("bgp-nexthop-ipv4", "192.0.2.250"),
    "bgp-nexthop-ipv6": _set("bgp-nexthop-ipv6", "2001:db8::250"),
    "bgp-med": _set("bgp-med", "7"),
    "bgp-local-pref": _set("bgp-local-pref", "7"),
    "bgp-communities": _set("bgp-communities", "[ '64600:7' ]"),
    "bgp-large-communities": _set("bgp-large-communities", "[ '64600:7:7' ]"),
    "bgp-extended-communities": _set("bgp-extended-communities", "[ 'rt:64600:7' ]"),
}
"""`bgp-peer-limit` is of peers of a prefix alone, which are no peers of an address."""

SERVICE = {
    "protocol": Walk("protocol = tcp", "protocol = udp"),
    "ip": Walk("ip = 198.51.100.1", "ip = 198.51.100.9"),
    "port": Walk("port = 80", "port = 81"),
    "fwmark": _set("fwmark", "7"),
    "server-address-family": _set("server-address-family", "ipv6", "tunneling = yes"),
    "scheduler": Walk("scheduler = wrr", "scheduler = sh"),
    "ops": _set("ops", "yes", "protocol = udp"),
    "scheduler-flags": _set("scheduler-flags", "sh-port", "scheduler = sh"),
    "tunneling": _set("tunneling", "yes"),
    "forwarding-method": _set("forwarding-method", "masquerade"),
    "tunnel-type": _set("tunnel-type", "gre", "tunneling = yes", before="ipip"),
    "tunnel-port": _set("tunnel-port", "6081", "tunneling = yes\ntunnel-type = gue", before="6080"),
    "tunnel-checksum": _set(
        "tunnel-checksum", "yes", "tunneling = yes\ntunnel-type = gue\ntunnel-port = 6080"
    ),
    "persistence-timeout": _set("persistence-timeout", "300"),
    "persistence-netmask": _set("persistence-netmask", "24", "persistence-timeout = 300"),
    "persistence-engine": _set(
        "persistence-engine", "sip", "persistence-timeout = 300\nprotocol = udp"
    ),
    "upper-threshold": _set("upper-threshold", "100"),
    "lower-threshold": _set("lower-threshold", "50", "upper-threshold = 100"),
    "config": Walk("config = file://FOLDER/pool", "config = file://FOLDER/same"),
    "depool-threshold": _set("depool-threshold", ".9"),
    "list-floor": _set("list-floor", ".9"),
    "list-window": _set("list-window", "60"),
    "list-hold": _set("list-hold", "60"),
    "flap-damping": _set("flap-damping", "no"),
    "depool-method": _set("depool-method", "drain"),
    "drain-timeout": _set("drain-timeout", "60", "depool-method = drain"),
    "bgp": _set("bgp", "no"),
    "bgp-med": _set("bgp-med", "50"),
    "bgp-communities": _set("bgp-communities", "[ '64600:5' ]"),
    "bgp-large-communities": _set("bgp-large-communities", "[ '64600:5:5' ]"),
    "bgp-extended-communities": _set("bgp-extended-communities", "[ 'rt:64600:5' ]"),
    "bgp-link-bandwidth": _set("bgp-link-bandwidth", "1G"),
    "bgp-aggregate": _set("bgp-aggregate", "198.51.100.0/24"),
    "bgp-aggregate-only": _set("bgp-aggregate-only", "yes", "bgp-aggregate = 198.51.100.0/24"),
    "bgp-withdraw-on-down": _set("bgp-withdraw-on-down", "yes"),
    "monitors": Walk(
        "monitors = ['IdleConnection', 'TCPCheck']",
        "monitors = ['IdleConnection', 'TCPCheck', 'Ping']",
    ),
}


def effects(keys: tuple[Key, ...]) -> dict[str, Effect]:
    return {name: key.effect for key in keys for name in key.names}


WALKS = [
    *(("global", name, walk) for name, walk in GLOBAL.items()),
    *(("global", name, walk) for name, walk in PEER.items()),
    *(("peer", name, walk) for name, walk in {**PEER, **ONE_PEER}.items()),
    *(("service", name, walk) for name, walk in SERVICE.items()),
]


def test_the_walk_goes_by_every_key() -> None:
    assert GLOBAL.keys() == effects((*GLOBAL_KEYS, *BGP_KEYS, *SWITCHES)).keys()
    assert PEER.keys() == effects(PEER_KEYS).keys()
    assert ONE_PEER.keys() == effects(ONE_PEER_KEYS).keys() - {"bgp-peer-limit"}
    assert SERVICE.keys() == effects(SERVICE_KEYS).keys()


@pytest.mark.parametrize(("where", "key", "walk"), WALKS, ids=lambda each: str(each)[:40])
def test_what_a_changed_key_touches_is_what_the_table_says(
    where: str, key: str, walk: Walk, tmp_path: Path
) -> None:
    before, after = lines_of(where, walk)
    table = {
        "global": effects((*GLOBAL_KEYS, *BGP_KEYS, *PEER_KEYS, *SWITCHES)),
        "peer": effects((*PEER_KEYS, *ONE_PEER_KEYS)),
        "service": effects(SERVICE_KEYS),
    }
    effect = table[where][key]
    site = Site(tmp_path, before)
    services = {name: site.service(name) for name in ("one", "other")}
    monitors = {name: site.monitors(name) for name in ("one", "other")}
    other, sessions = site.entries("203.0.113.2"), site.sessions
    assert all(since is not None for since in monitors["one"].values())
    site.run(3)
    steps = site.reload(after)
    assert steps
    needs_restart = site.bench.daemon.view.config().needs_restart
    assert bool(needs_restart) is (effect is Effect.RESTART), steps
    # The other service is never touched, whatever the key.
    assert site.service("other") is services["other"]
    assert site.monitors("other") == monitors["other"]
    assert site.entries("203.0.113.2") == other
    if effect is Effect.SERVICE_ANEW:
        assert site.service("one") is not services["one"]
    else:
        assert site.service("one") is services["one"]
        now = site.monitors("one")
        assert {each: now[each] for each in monitors["one"]} == monitors["one"]
    anew = effect is Effect.PEER_ANEW
    expected = tuple(
        count + (anew and (where == "global" or number == 0))
        for number, count in enumerate(sessions)
    )
    if key == "bgp-peer-address":
        assert site.sessions[0] == sessions[0]
    elif key in ("bgp", "bgp-passive"):
        # Sessions end, and we open none.
        assert site.sessions == sessions
    else:
        assert site.sessions == expected, steps
    assert site.reload(after, then_s=0) == (steps if effect is Effect.RESTART else ())
    site.bench.stop()


def test_the_control_socket_moves_and_its_group_is_let_in(tmp_path: Path) -> None:
    first, second = tmp_path / "c.sock", tmp_path / "other.sock"
    text = f"state-directory = none\ncontrol-socket = {first}"
    site = Site(tmp_path, {**BASE, "global": text})
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    group = grp.getgrgid(os.getgid()).gr_name
    site.reload({**BASE, "global": f"{text}\ncontrol-socket-group = {group}"})
    assert stat.S_IMODE(first.stat().st_mode) == 0o660
    site.reload({**BASE, "global": text})
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    site.reload({**BASE, "global": text.replace("c.sock", "other.sock")})
    assert not first.exists()
    assert stat.S_ISSOCK(second.stat().st_mode)
    # Where none can be made, the former one stays.
    in_the_way = tmp_path / "in-the-way.sock"
    in_the_way.write_text("no socket")
    site.reload({**BASE, "global": text.replace("c.sock", "in-the-way.sock")})
    assert second.exists()
    in_the_way.unlink()
    site.run(120)
    assert stat.S_ISSOCK(in_the_way.stat().st_mode)
    assert not second.exists()
    site.bench.stop()


def test_a_router_id_that_was_chosen_outlives_what_it_was_chosen_from(tmp_path: Path) -> None:
    site = Site(tmp_path, BASE)
    chosen, sessions = site.bench.daemon.view.bgp().router_id, site.sessions
    moved = BASE["global"].replace("192.0.2.254", "192.0.2.253")
    site.reload({**BASE, "global": moved + "\nbgp-local-ips = [ '192.0.2.252' ]"})
    assert (site.bench.daemon.view.bgp().router_id, site.sessions) == (chosen, sessions)
    site.reload({**BASE, "global": moved + "\nbgp-router-id = 192.0.2.77"})
    assert site.bench.daemon.view.bgp().router_id == "192.0.2.77"
    assert site.sessions == tuple(count + 1 for count in sessions)
    site.bench.stop()


def test_a_reload_changes_what_is_logged(tmp_path: Path) -> None:
    site = Site(tmp_path, BASE)
    quiet = {**BASE, "global": BASE["global"] + "\nlog-level = warning"}
    assert any("log-level" in step for step in site.reload(quiet))
    site.reload(BASE)
    assert site.bench.log_levels == ["warning", "info"]
    site.bench.stop()
