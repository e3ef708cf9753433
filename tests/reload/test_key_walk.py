"""Each key of pybal.conf is changed in a running daemon, and what was touched is what the table of
reload/keys.py says, no more and no less."""

from __future__ import annotations

import re
import socket
import stat
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pybal.bgp.messages import Keepalive, Open
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
from tests.bgp.memory import Router, RouterEnd
from tests.bgp.peeringcase import CAPABILITIES
from tests.fakes.daemon import DaemonBench

ONE, TWO = "192.0.2.11", "192.0.2.12"


@dataclass(frozen=True)
class Walk:
    """A key's value before and after, as lines; `with_` are lines that go with both."""

    before: str
    after: str
    with_: str = ""


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

BASE = {
    "global": f"""state-directory = none
control-socket = no
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = ['{ONE}', '{TWO}']
bgp-nexthop-ipv4 = 192.0.2.254""",
    "peer": "",
    "service": """protocol = tcp
ip = 198.51.100.1
port = 80
scheduler = wrr
config = file://FOLDER/pool
monitors = ['IdleConnection', 'TCPCheck']""",
}
OTHER = """[other]
protocol = tcp
ip = 203.0.113.2
port = 80
scheduler = wrr
config = file://FOLDER/pool
monitors = ['IdleConnection', 'TCPCheck']
"""
POOL = "{ 'host': '10.0.0.1' }\n{ 'host': '10.0.0.2', 'weight': 5 }\n"


class AnsweringRouter:
    """A router that opens its half of each session."""

    def __init__(self, bench: DaemonBench, address: str) -> None:
        self.address = address
        self.router = Router(bench.routers, address)
        self.answered: set[int] = set()
        self.router.listen()

    @property
    def sessions(self) -> int:
        return len(self.answered)

    def answer(self) -> None:
        for end in self.router.ends:
            if id(end) not in self.answered and end.heard:
                self.answered.add(id(end))
                self._open(end)

    def _open(self, end: RouterEnd) -> None:
        capabilities = replace(CAPABILITIES, four_octet_asn=64601, roles=(0,))
        end.say(Open(64601, 180, IPv4Address(self.address), capabilities), Keepalive())


class Site:
    """A daemon with two services and two routers."""

    def __init__(self, folder: Path, lines: dict[str, str]) -> None:
        self.folder = folder
        self.ports = {name: str(_free_port()) for name in ("OTHER_PORT", "PORT")}
        (folder / "secret").write_text("two\n")
        (folder / "secret").chmod(0o600)
        for name in ("pool", "same"):
            (folder / name).write_text(POOL)
        self.bench = DaemonBench(folder, self.text(lines), running_s=0.0)
        self.routers = [AnsweringRouter(self.bench, address) for address in (ONE, TWO)]
        self.run(12)

    def text(self, lines: dict[str, str]) -> str:
        text = "\n".join(
            (
                "[global]", lines["global"], f"[[peer {ONE}]]", lines["peer"],
                "[one]", lines["service"], OTHER,
            )
        )  # fmt: skip
        for name, value in (*self.ports.items(), ("FOLDER", str(self.folder))):
            text = re.sub(rf"\b{name}\b", value, text)
        return text

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            self.bench.clock.advance(0.2)
            for router in self.routers:
                router.answer()

    def reload(self, lines: dict[str, str]) -> tuple[str, ...]:
        self.bench.path.write_text(self.text(lines))
        done = self.bench.daemon.reload()
        while not done.called:
            self.run(0.2)
        outcome: Any = done.result
        assert outcome.successful, outcome.errors
        self.run(20)
        return tuple(outcome.steps)

    def service(self, name: str) -> object:
        return self.bench.daemon._services[name]

    def monitors(self, name: str) -> dict[tuple[str, str], float | None]:
        service = self.bench.daemon.service(name)
        assert service is not None
        return {(s.host, m.name): m.since for s in service.servers for m in s.monitors}

    def entries(self, address: str) -> dict[str, Any]:
        table = self.bench.state()["table"]
        return {key: entry for key, entry in table.items() if address in key}

    @property
    def sessions(self) -> tuple[int, ...]:
        return tuple(router.sessions for router in self.routers)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lines_of(where: str, walk: Walk) -> tuple[dict[str, str], dict[str, str]]:
    """The lines of all sections before and after; what is set takes the place of the base's."""
    both = []
    for changed in (walk.before, walk.after):
        own = "\n".join(filter(None, (walk.with_, changed)))
        keys = {line.split("=")[0].strip() for line in own.splitlines()}
        base = BASE[where].splitlines()
        kept = [line for line in base if line.split("=")[0].strip() not in keys]
        both.append({**BASE, where: "\n".join((*kept, own))})
    return both[0], both[1]


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
    needs_restart = site.bench.daemon.config().needs_restart
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
    assert site.reload(after) == steps if effect is Effect.RESTART else not site.reload(after)
    site.bench.stop()


def test_the_control_socket_moves_and_its_group_is_let_in(tmp_path: Path) -> None:
    first, second = tmp_path / "c.sock", tmp_path / "other.sock"
    text = f"state-directory = none\ncontrol-socket = {first}"
    site = Site(tmp_path, {**BASE, "global": text})
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    site.reload({**BASE, "global": f"{text}\ncontrol-socket-group = root"})
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
    chosen, sessions = site.bench.daemon.bgp().router_id, site.sessions
    moved = BASE["global"].replace("192.0.2.254", "192.0.2.253")
    site.reload({**BASE, "global": moved + "\nbgp-local-ips = [ '192.0.2.252' ]"})
    assert (site.bench.daemon.bgp().router_id, site.sessions) == (chosen, sessions)
    site.reload({**BASE, "global": moved + "\nbgp-router-id = 192.0.2.77"})
    assert site.bench.daemon.bgp().router_id == "192.0.2.77"
    assert site.sessions == tuple(count + 1 for count in sessions)
    site.bench.stop()
