"""How many UPDATEs, how many bytes and how long for N prefixes of IPv4 and N of IPv6 over one
session, with equal attributes: ours and five routers, each heard by the same counting peer.

    sudo python -m bench.bgp_updates [--counts 1000,10000] [--repeat 3] [--senders pybal,FRR]

The sender holds its routes before the session begins; the clock runs from the peer's
KEEPALIVE that establishes the session to the last prefix. GoBGP and OpenBGPD get
theirs from a speaker of ours beforehand. Sender and counter are in two
network namespaces. Prints a table.

The fewest messages of 4096 bytes for 10,000 host routes of each family are 13 and 43: 56. The
column `EoR` counts End-of-RIB (RFC 4724 section 2), one for each family, apart from them: with it
ours are 58. Senders that leave it out without graceful restart (FRR) save those two; a router then
never knows that it has heard everything, for which the RFC recommends it to all.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from pybal.bgp.codec import Decoder, encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.messages import Capabilities, Keepalive, Open
from pybal.bgp.update import DecodedUpdate
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, ROUTER_IPV4, Process, Speaker, Wire, eventually, run

FEEDER_IPV4, FEEDER_ASN = "10.77.0.4", 64700
COUNTER_ASN = 64600
LIMIT_S = 60.0


def prefixes(version: int, count: int) -> list[str]:
    if version == 4:
        return [str(IPv4Address("10.0.0.0") + i) for i in range(count)]
    return [str(IPv6Address("2001:db8::") + i) for i in range(count)]


def both(count: int) -> list[str]:
    return prefixes(4, count) + prefixes(6, count)


def count_updates(address: str, wanted: int) -> dict[str, Any]:
    """Be the peer: connect to `address`, count until `wanted` prefixes have come."""
    capabilities = Capabilities(
        families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=COUNTER_ASN, route_refresh=True
    )
    opened = Open(COUNTER_ASN, 90, IPv4Address(ROUTER_IPV4), capabilities)
    with socket.create_connection((address, 179), LIMIT_S, (ROUTER_IPV4, 0)) as connection:
        connection.settimeout(LIMIT_S)
        connection.sendall(encode(opened))
        decoder = Decoder()
        seen: set[object] = set()
        updates = markers = size = 0
        quiet_s, ended = 1.0, 0.0  # what follows the last prefix is waited for
        began = time.perf_counter()
        while True:
            if len(seen) == wanted:
                connection.settimeout(quiet_s)
            try:
                data = connection.recv(1 << 20)
            except TimeoutError:
                break
            if not data:
                raise SystemExit("the sender closed the connection")
            decoder.feed(data)
            while (message := decoder.next_message()) is not None:
                if isinstance(message, Open):
                    connection.sendall(encode(Keepalive()))
                    began = time.perf_counter()
                if not isinstance(message, DecodedUpdate):
                    continue
                update = message.update
                told = update.mp_reach.prefixes if update.mp_reach else update.prefixes
                if not told:
                    markers += 1
                    continue
                seen.update(told)
                updates += 1
                size += _encoded_size(message)
                if len(seen) == wanted and not ended:
                    ended = time.perf_counter()
        return {"updates": updates, "eor": markers, "bytes": size, "seconds": ended - began}


def _encoded_size(message: DecodedUpdate) -> int:
    """The message as we would say it, which for these routes is as it came."""
    return len(encode(message.update, max_size=65535))


@contextmanager
def ours(wire: Wire, directory: Path, count: int) -> Iterator[None]:
    peer = {"address": ROUTER_IPV4, "asn": COUNTER_ASN, "fsm": {"passive": True}}
    speaker = Speaker(wire, directory, peers=[peer], listen=[OUR_IPV4])
    try:
        speaker.announce("all", *both(count))
        speaker.peer()
        yield
    finally:
        speaker.close()


@contextmanager
def bird(wire: Wire, directory: Path, count: int) -> Iterator[None]:
    static, channels = "", ""
    for version, mask, next_hop in ((4, 32, OUR_IPV4), (6, 128, OUR_IPV6)):
        routes = "".join(f"route {p}/{mask} blackhole;\n" for p in prefixes(version, count))
        static += f"protocol static {{ ipv{version}; {routes} }}\n"
        channels += f"ipv{version} {{ import none; export all; next hop address {next_hop}; }};\n"
    config = directory / "bird.conf"
    config.write_text(
        f"""router id {OUR_IPV4}; protocol device {{}}
{static}
protocol bgp c {{ local {OUR_IPV4} as 64512; neighbor {ROUTER_IPV4} as {COUNTER_ASN}; passive;
  multihop; {channels} }}
""",
        "utf-8",
    )
    command = ["bird", "-f", "-c", str(config), "-s", str(directory / "ctl")]
    with _process(wire, command, directory):
        yield


@contextmanager
def frr(wire: Wire, directory: Path, count: int) -> Iterator[None]:
    families = ""
    for version, mask in ((4, 32), (6, 128)):
        networks = "".join(f"  network {p}/{mask}\n" for p in prefixes(version, count))
        families += (
            f" address-family ipv{version} unicast\n  neighbor {ROUTER_IPV4} activate\n"
            f"{networks} exit-address-family\n"
        )
    config = directory / "frr.conf"
    config.write_text(
        f"""log stdout
router bgp 64512
 bgp router-id {OUR_IPV4}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor {ROUTER_IPV4} remote-as {COUNTER_ASN}
 neighbor {ROUTER_IPV4} passive
 neighbor {ROUTER_IPV4} ebgp-multihop 64
{families}
""",
        "utf-8",
    )
    command = [
        "/usr/lib/frr/bgpd", "-Z", "-S", "-f", str(config), "-i", str(directory / "frr.pid"),
        "--vty_socket", str(directory), "-P", "0",
    ]  # fmt: skip
    with _process(wire, command, directory):
        yield


@contextmanager
def openbgpd(wire: Wire, directory: Path, count: int) -> Iterator[None]:
    Path("/run/openbgpd").mkdir(exist_ok=True)
    neighbors = "".join(
        f"""neighbor {address} {{
  remote-as {asn}
  passive
  multihop 64
  announce IPv4 unicast
  announce IPv6 unicast
}}
"""
        for address, asn in ((ROUTER_IPV4, COUNTER_ASN), (FEEDER_IPV4, FEEDER_ASN))
    )
    config, control = directory / "openbgpd.conf", directory / "ctl"
    config.write_text(
        f"""AS 64512
router-id {OUR_IPV4}
fib-update no
socket "{control}"
{neighbors}
allow from any
allow to any
""",
        "utf-8",
    )
    config.chmod(0o600)

    def holds() -> int:
        shown = run(
            "ip", "netns", "exec", wire.ours, "bgpctl", "-j", "-s", str(control), "show", "neighbor"
        )
        received = (n["stats"]["prefixes"]["received"] for n in json.loads(shown)["neighbors"])
        return sum(received)

    with (
        _process(wire, ["bgpd", "-d", "-f", str(config)], directory),
        _feeder(wire, directory) as f,
    ):
        f.announce("all", *both(count))
        eventually("OpenBGPD is fed", lambda: holds() >= 2 * count, LIMIT_S)
        yield


@contextmanager
def exabgp(wire: Wire, directory: Path, count: int) -> Iterator[None]:
    routes = "".join(
        f"    route {p}/{mask} next-hop {next_hop} med 0;\n"
        for version, mask, next_hop in ((4, 32, OUR_IPV4), (6, 128, OUR_IPV6))
        for p in prefixes(version, count)
    )
    config = directory / "exabgp.conf"
    config.write_text(
        f"""neighbor {ROUTER_IPV4} {{ router-id {OUR_IPV4}; local-address {OUR_IPV4};
  local-as 64512; peer-as {COUNTER_ASN}; passive true; listen 179; hold-time 90;
  family {{ ipv4 unicast; ipv6 unicast; }}
  static {{
{routes}  }}
}}
""",
        "utf-8",
    )
    command = ["env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp", str(config)]
    with _process(wire, command, directory):
        yield


@contextmanager
def gobgp(wire: Wire, directory: Path, count: int) -> Iterator[None]:
    families = "".join(
        f"""  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv{version}-unicast"
"""
        for version in (4, 6)
    )
    neighbors = "".join(
        f"""[[neighbors]]
  [neighbors.config]
    neighbor-address = "{address}"
    peer-as = {asn}
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.ebgp-multihop.config]
    enabled = true
    multihop-ttl = 64
{families}"""
        for address, asn in ((ROUTER_IPV4, COUNTER_ASN), (FEEDER_IPV4, FEEDER_ASN))
    )
    config = directory / "gobgp.toml"
    config.write_text(
        f'[global.config]\n  as = 64512\n  router-id = "{OUR_IPV4}"\n{neighbors}', "utf-8"
    )
    command = ["gobgpd", "-f", str(config), "--api-hosts", "127.0.0.1:50051"]
    with _process(wire, command, directory), _feeder(wire, directory) as feeder:
        feeder.announce("all", *both(count))
        for family in ("ipv4", "ipv6"):
            eventually("GoBGP is fed", partial(_gobgp_holds, wire, family, count), LIMIT_S)
        yield


@contextmanager
def _feeder(wire: Wire, directory: Path) -> Iterator[Speaker]:
    """For those whose configuration or command line takes minutes for thousands of routes."""
    feeder = Speaker(
        wire,
        directory,
        asn=FEEDER_ASN,
        router_id=FEEDER_IPV4,
        next_hop_ipv4=FEEDER_IPV4,
        namespace=wire.router,
        peers=[{"address": OUR_IPV4, "asn": 64512, "local_address": FEEDER_IPV4}],
    )
    try:
        yield feeder
    finally:
        feeder.close()


def _gobgp_holds(wire: Wire, family: str, count: int) -> bool:
    summary = run(
        "ip", "netns", "exec", wire.ours, "gobgp", "global", "rib", "summary", "-a", family, "-j"
    )
    return int(json.loads(summary).get("num_path", 0)) >= count


@contextmanager
def _process(wire: Wire, command: list[str], directory: Path) -> Iterator[None]:
    process = Process(wire.ours, command, directory / "sender.log")
    try:
        eventually("the sender listens", lambda: _listens(wire), LIMIT_S)
        time.sleep(1)  # some listen before they have read all their routes
        yield
    finally:
        process.end(15)


def _listens(wire: Wire) -> bool:
    return ":179 " in run("ip", "netns", "exec", wire.ours, "ss", "-Hltn")


Sender = Callable[[Wire, Path, int], Any]
SENDERS: dict[str, Sender] = {
    "pybal": ours,
    "BIRD": bird,
    "FRR": frr,
    "GoBGP": gobgp,
    "OpenBGPD": openbgpd,
    "ExaBGP": exabgp,
}


def measure(sender: Sender, count: int) -> dict[str, Any]:
    with Wire() as wire, tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # some give up their rights
        run("ip", "-n", wire.router, "addr", "add", f"{FEEDER_IPV4}/24", "dev", "v0")
        with sender(wire, Path(directory), count):
            done = subprocess.run(
                ["ip", "netns", "exec", wire.router, sys.executable, "-m", __spec__.name,
                 "--count-from", OUR_IPV4, "--counts", str(count)],
                capture_output=True, text=True, timeout=LIMIT_S + 10, check=True,
            )  # fmt: skip
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default="1000,10000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--senders", default=",".join(SENDERS))
    parser.add_argument("--count-from", help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    if options.count_from:
        print(json.dumps(count_updates(options.count_from, 2 * counts[0])))
        return
    print(f"{'sender':8} {'prefixes':>13} {'UPDATEs':>8} {'EoR':>4} {'bytes':>8} {'median ms':>10}")
    for count in counts:
        for name in options.senders.split(","):
            results = [measure(SENDERS[name], count) for _ in range(options.repeat)]
            seconds = statistics.median(result["seconds"] for result in results)
            first = results[0]
            print(
                f"{name:8} {count:6}+{count:6} {first['updates']:8} {first['eor']:4} "
                f"{first['bytes']:8} {seconds * 1000:10.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
