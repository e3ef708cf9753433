"""How many UPDATEs, how many bytes and how long for N prefixes of one family with equal
attributes: ours, ExaBGP, GoBGP and BIRD, each heard by the same counting peer.

    sudo python -m bench.bgp_updates [--counts 1000,10000] [--repeat 3]

The sender holds its routes before the session begins; the clock runs from the peer's
KEEPALIVE that establishes the session to the last prefix. GoBGP gets its routes from a
speaker of ours beforehand (its command line adds one at a time). Sender and counter are in two
network namespaces. Prints a table.
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
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from pybal.bgp.codec import Decoder, encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.messages import Capabilities, Keepalive, Open
from pybal.bgp.update import DecodedUpdate
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, ROUTER_IPV4, Process, Speaker, Wire, eventually, run

FEEDER_IPV4 = "10.77.0.4"
COUNTER_ASN = 64600
LIMIT_S = 60.0


def prefixes(version: int, count: int) -> list[str]:
    if version == 4:
        return [str(IPv4Address("10.0.0.0") + i) for i in range(count)]
    return [str(IPv6Address("2001:db8::") + i) for i in range(count)]


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
        updates = size = 0
        began = time.perf_counter()
        while len(seen) < wanted:
            data = connection.recv(1 << 20)
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
                if told:
                    seen.update(told)
                    updates += 1
                    size += _encoded_size(message)
        seconds = time.perf_counter() - began
        return {"updates": updates, "bytes": size, "seconds": seconds}


def _encoded_size(message: DecodedUpdate) -> int:
    """The message as we would say it, which for these routes is as it came."""
    return len(encode(message.update, max_size=65535))


@contextmanager
def ours(wire: Wire, directory: Path, version: int, count: int) -> Iterator[None]:
    peer = {"address": ROUTER_IPV4, "asn": COUNTER_ASN, "fsm": {"passive": True}}
    speaker = Speaker(wire, directory, peers=[peer], listen=[OUR_IPV4])
    try:
        speaker.announce("all", *prefixes(version, count))
        speaker.peer()
        yield
    finally:
        speaker.close()


@contextmanager
def bird(wire: Wire, directory: Path, version: int, count: int) -> Iterator[None]:
    mask = 32 if version == 4 else 128
    routes = "".join(f"route {p}/{mask} blackhole;\n" for p in prefixes(version, count))
    next_hop = OUR_IPV4 if version == 4 else OUR_IPV6
    config = directory / "bird.conf"
    config.write_text(
        f"""router id {OUR_IPV4}; protocol device {{}}
protocol static {{ ipv{version}; {routes} }}
protocol bgp c {{ local {OUR_IPV4} as 64512; neighbor {ROUTER_IPV4} as {COUNTER_ASN}; passive;
  multihop; ipv{version} {{ import none; export all; next hop address {next_hop}; }}; }}
""",
        "utf-8",
    )
    command = ["bird", "-f", "-c", str(config), "-s", str(directory / "ctl")]
    with _process(wire, command, directory):
        yield


@contextmanager
def exabgp(wire: Wire, directory: Path, version: int, count: int) -> Iterator[None]:
    mask, next_hop = (32, OUR_IPV4) if version == 4 else (128, OUR_IPV6)
    routes = "".join(
        f"    route {p}/{mask} next-hop {next_hop} med 0;\n" for p in prefixes(version, count)
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
def gobgp(wire: Wire, directory: Path, version: int, count: int) -> Iterator[None]:
    family = f"ipv{version}"
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
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "{family}-unicast"
"""
        for address, asn in ((ROUTER_IPV4, COUNTER_ASN), (FEEDER_IPV4, 64700))
    )
    config = directory / "gobgp.toml"
    config.write_text(
        f'[global.config]\n  as = 64512\n  router-id = "{OUR_IPV4}"\n{neighbors}', "utf-8"
    )
    command = ["gobgpd", "-f", str(config), "--api-hosts", "127.0.0.1:50051"]
    with _process(wire, command, directory):
        feeder = Speaker(
            wire,
            directory,
            asn=64700,
            router_id=FEEDER_IPV4,
            next_hop_ipv4=FEEDER_IPV4,
            namespace=wire.router,
            peers=[{"address": OUR_IPV4, "asn": 64512, "local_address": FEEDER_IPV4}],
        )
        try:
            feeder.announce("all", *prefixes(version, count))
            eventually("GoBGP is fed", lambda: _gobgp_holds(wire, family) >= count, LIMIT_S)
            yield
        finally:
            feeder.close()


def _gobgp_holds(wire: Wire, family: str) -> int:
    summary = run(
        "ip", "netns", "exec", wire.ours, "gobgp", "global", "rib", "summary", "-a", family, "-j"
    )
    return int(json.loads(summary).get("num_path", 0))


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


Sender = Callable[[Wire, Path, int, int], Any]
SENDERS: dict[str, Sender] = {"pybal": ours, "BIRD": bird, "GoBGP": gobgp, "ExaBGP": exabgp}


def measure(sender: Sender, version: int, count: int) -> dict[str, Any]:
    with Wire() as wire, tempfile.TemporaryDirectory() as directory:
        run("ip", "-n", wire.router, "addr", "add", f"{FEEDER_IPV4}/24", "dev", "v0")
        with sender(wire, Path(directory), version, count):
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
    parser.add_argument("--count-from", help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    if options.count_from:
        print(json.dumps(count_updates(options.count_from, counts[0])))
        return
    print(
        f"{'sender':8} {'family':6} {'prefixes':>8} {'UPDATEs':>8} {'bytes':>8} {'median ms':>10}"
    )
    for count in counts:
        for version in (4, 6):
            for name, sender in SENDERS.items():
                results = [measure(sender, version, count) for _ in range(options.repeat)]
                seconds = statistics.median(result["seconds"] for result in results)
                print(
                    f"{name:8} ipv{version:<3} {count:8} {results[0]['updates']:8} "
                    f"{results[0]['bytes']:8} {seconds * 1000:10.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
