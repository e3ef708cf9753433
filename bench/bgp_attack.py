"""PyBal under attack by its peers and by strangers, while it makes twenty checks a second.

    sudo python -m bench.bgp_attack [--seconds 15] [--import] [WHAT...]

calm       nothing: what the others are to be compared with
updates    a peer sends 26,000 UPDATEs a second, each with a prefix of its own
broken     the same, each with attributes that RFC 7606 has treated as withdrawn
connects   the peer and strangers connect and are gone, as fast as they can
slow       290 connections of peers out of a prefix that say OPEN a byte a second
bfd        20,000 BFD packets a second, from the peer's address: old ones, odd ones, noise
all        all of it at once

The daemon is a dry run that speaks BGP, in a network namespace; servers, peers and strangers are
in another. A row a phase: UPDATEs and refused connections a second; GET /metrics every 0.1 s,
median, p99 and longest; checks a second, and the longest time between two checks of one server,
which are due every second; log; how often a server was taken for down; the daemon's share of a
processor, scrapes included. What must be: p99 under 100 ms, no check missed, log under 20 KiB/s.
The attackers and the daemon share the machine's processors; the load average is printed. On two
processors it takes a machine that does nothing else, or `nice -n -15`, to say anything.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pybal.bgp.bfd.packet import BFDState, ControlPacket, encode_packet
from pybal.bgp.codec import encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, MessageType, Origin
from pybal.bgp.header import frame
from pybal.bgp.messages import Capabilities, Keepalive, Open, PathAttributes, Update
from pybal.bgp.prefix import Prefix
from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Wire, eventually, run
from tests.running import RunningPybal
from tests.sockets import reset_at_close

ASN = 64600
UPDATES_A_S, PACKETS_A_S, SLOW = 26_000, 20_000, 290
SERVERS = [f"10.78.0.{number}" for number in range(1, 21)]
STRANGER, PEERS = "10.79.0.1", "10.79.1"
SCRAPE_S = 0.1
PORT = 8080
PHASES = ("calm", "updates", "broken", "connects", "slow", "bfd", "all")

CONFIG = """[global]
dryrun = yes
dry-run-bgp = yes
state-directory = none
instrumentation = yes
bgp = yes
bgp-local-asn = 64512
bgp-peer-address = {router}
bgp-passive = yes
bgp-bfd = yes
bgp-import = {imports}
bgp-nexthop-ipv4 = {us}
  [[peers 10.79.1.0/24]]
  bgp-peer-limit = 250
  [[peers 10.79.2.0/24]]
  bgp-peer-limit = 250

[web]
protocol = tcp
ip = 192.0.2.1
port = {port}
scheduler = rr
config = file://{pool}
monitors = [ "ProxyFetch" ]
proxyfetch.url = http://localhost/
proxyfetch.interval = 1
proxyfetch.timeout = 1
"""


# The attackers: each is a process in the other namespace, and prints nothing.


def opened(connection: socket.socket) -> None:
    """The session, whose keepalives are those UPDATEs."""
    capabilities = Capabilities(families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=ASN)
    connection.sendall(encode(Open(ASN, 90, IPv4Address(ROUTER_IPV4), capabilities)))
    connection.sendall(encode(Keepalive()))


def updates(seconds: float, *, broken: bool) -> None:
    messages = []
    for number in range(UPDATES_A_S):
        prefix = Prefix(32, (IPv4Address("20.0.0.0") + number).packed)
        attributes = PathAttributes(origin=Origin.IGP, as_path=(), med=number)
        good = Update(attributes=attributes, next_hop=IPv4Address(ROUTER_IPV4), prefixes=(prefix,))
        message = encode(good)
        if broken:
            body = bytearray(message[19:])
            body[body.index(b"\x40\x01\x01") + 3] = 7  # no such ORIGIN
            message = frame(MessageType.UPDATE, bytes(body))
        messages.append(message)
    parts = [b"".join(messages[i : i + 260]) for i in range(0, len(messages), 260)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((OUR_IPV4, 179), 5, (ROUTER_IPV4, 0)) as connection:
                opened(connection)
                paced(end, 0.01, parts, connection.sendall)
        except OSError:
            time.sleep(0.2)


def paced(end: float, every_s: float, parts: list[bytes], send: Callable[[bytes], Any]) -> None:
    """What cannot be taken in time is not made up for."""
    at, index = time.monotonic(), 0
    while at < end:
        send(parts[index % len(parts)])
        index += 1
        at = max(at + every_s, time.monotonic() - 0.1)
        time.sleep(max(0.0, at - time.monotonic()))


def connects(seconds: float) -> None:
    end = time.monotonic() + seconds
    sources = [ROUTER_IPV4, STRANGER, *(f"{PEERS}.{number}" for number in range(1, 50))]
    words = [b"", b"\xff" * 16, os.urandom(40), encode(Keepalive())]
    while time.monotonic() < end:
        try:
            with socket.socket() as connection:
                reset_at_close(connection)
                connection.settimeout(0.2)
                connection.bind((random.choice(sources), 0))
                connection.connect((OUR_IPV4, 179))
                connection.send(random.choice(words))
        except OSError:
            continue


def slow(seconds: float) -> None:
    capabilities = Capabilities(families=(IPV4_UNICAST,), four_octet_asn=ASN)
    words = encode(Open(ASN, 90, IPv4Address(ROUTER_IPV4), capabilities))
    end = time.monotonic() + seconds
    held: dict[int, tuple[socket.socket, int]] = {}
    while time.monotonic() < end:
        for number in range(SLOW):
            net, host = divmod(number, 200)
            try:
                if number not in held:
                    address = (f"10.79.{net + 1}.{host + 1}", 0)
                    held[number] = socket.create_connection((OUR_IPV4, 179), 0.2, address), 0
                connection, said = held[number]
                connection.send(words[said : said + 1])
                held[number] = connection, min(said + 1, len(words) - 1)
            except OSError:
                held.pop(number, None)
        time.sleep(1)


def bfd(seconds: float) -> None:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    sender.bind((ROUTER_IPV4, 50000))
    sender.connect((OUR_IPV4, 3784))
    down = ControlPacket(BFDState.DOWN, 0, 3, 7, 0, 1_000_000, 300_000)
    up = ControlPacket(BFDState.UP, 0, 3, 7, 12345, 300_000, 300_000)
    words = [encode_packet(down), encode_packet(up), os.urandom(24), os.urandom(200), b""]

    def burst(_: bytes) -> None:
        for index in range(PACKETS_A_S // 100):
            try:
                sender.send(words[index % len(words)])
            except OSError:
                continue

    paced(time.monotonic() + seconds, 0.01, [b""], burst)


ATTACKS: dict[str, Callable[[float], None]] = {
    "updates": lambda seconds: updates(seconds, broken=False),
    "broken": lambda seconds: updates(seconds, broken=True),
    "connects": connects,
    "slow": slow,
    "bfd": bfd,
}
OF_PHASE = {
    "calm": (),
    "all": ("broken", "connects", "slow", "bfd"),
    **{name: (name,) for name in ATTACKS},
}


# The servers that are checked: another process there, which notes the time of each request.


def serve(path: str) -> None:
    listener = socket.create_server(("", PORT), backlog=1000)
    with Path(path).open("a", buffering=1) as seen:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection, seen), daemon=True).start()


def _answer(connection: socket.socket, seen: Any) -> None:
    with connection:
        connection.settimeout(2)
        try:
            host = connection.getsockname()[0]
            connection.recv(4096)
            seen.write(f"{host} {time.monotonic()}\n")
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except OSError:
            return


# The measurement


class Scraper(threading.Thread):
    """Asks for /metrics, in the daemon's namespace, which this process is in."""

    def __init__(self, pybal: RunningPybal) -> None:
        super().__init__(daemon=True)
        self._pybal = pybal
        self.took_s: list[float] = []
        self.last = ""
        self.over = False

    def run(self) -> None:
        while not self.over:
            began = time.perf_counter()
            self.last = self._pybal.get("/metrics")
            self.took_s.append(time.perf_counter() - began)
            time.sleep(max(0.0, SCRAPE_S - self.took_s[-1]))


def total(text: str, name: str) -> float:
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def counts(text: str) -> dict[str, float]:
    return {
        "updates": total(
            text, r"pybal_bgp_messages_total(?=\{[^}]*received[^}]*update\"|\{[^}]*\"update)"
        ),
        "connections": total(text, "pybal_bgp_connections_refused_total")
        + total(text, "pybal_bgp_unknown_peers_total"),
        "down": total(text, "pybal_monitor_down_results_total"),
        "cpu": total(text, "process_cpu_seconds_total"),
    }


@contextmanager
def attackers(wire: Wire, names: tuple[str, ...], seconds: float) -> Iterator[None]:
    started = [
        subprocess.Popen(in_router(wire, "--attack", name, "--seconds", str(seconds)))
        for name in names
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait()


def in_router(wire: Wire, *arguments: str) -> list[str]:
    own = [sys.executable, "-m", __spec__.name, *arguments]
    return ["ip", "netns", "exec", wire.router, *own]


def phase(name: str, wire: Wire, pybal: RunningPybal, seen: Path, seconds: float) -> None:
    scraper = Scraper(pybal)
    before, log_before = counts(pybal.get("/metrics")), len(pybal.log)
    began = time.monotonic()
    with attackers(wire, OF_PHASE[name], seconds):
        scraper.start()
        time.sleep(seconds)
        scraper.over = True
        scraper.join()
    ended = time.monotonic()
    after = counts(pybal.get("/metrics"))
    checks: dict[str, list[float]] = {host: [began] for host in SERVERS}
    for line in seen.read_text().splitlines():
        host, at = line.split()
        if began < float(at) < ended:
            checks[host].append(float(at))
    gaps = [b - a for times in checks.values() for a, b in zip(times, [*times[1:], ended])]  # noqa: B905
    took_ms = sorted(each * 1000 for each in scraper.took_s)
    rate = {key: (after[key] - before[key]) / seconds for key in after}
    print(
        f"{name:9} {rate['updates']:9.0f} {rate['connections']:8.0f}"
        f" {statistics.median(took_ms):8.1f} {took_ms[int(len(took_ms) * 0.99)]:8.1f}"
        f" {took_ms[-1]:8.1f} {sum(map(len, checks.values())) / seconds - 20 / seconds:9.1f}"
        f" {max(gaps):8.2f} {(len(pybal.log) - log_before) / 1024 / seconds:9.2f}"
        f" {after['down'] - before['down']:6.0f} {rate['cpu'] * 100:6.0f}"
        f" {os.getloadavg()[0]:6.1f}",
        flush=True,
    )


def site(wire: Wire) -> None:
    """Addresses for servers, strangers and peers, all at the router's end."""
    for prefix in ("10.78.0.0/24", "10.79.0.0/16"):
        run("ip", "-n", wire.router, "route", "add", "local", prefix, "dev", "lo")
        run("ip", "-n", wire.ours, "route", "add", prefix, "via", ROUTER_IPV4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", metavar="WHAT")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--import", dest="imports", action="store_true")
    parser.add_argument("--attack", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.attack:
        os.nice(15)  # real ones would have processors of their own
        ATTACKS[options.attack](options.seconds)
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    with Wire() as wire, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site(wire)
        pool, seen = folder / "pool", folder / "seen"
        pool.write_text("".join(json.dumps({"host": host}) + "\n" for host in SERVERS))
        seen.touch()
        servers = subprocess.Popen(in_router(wire, "--serve", str(seen)))
        config = CONFIG.format(
            router=ROUTER_IPV4,
            us=OUR_IPV4,
            port=PORT,
            pool=pool,
            imports="yes" if options.imports else "no",
        )

        try:
            with RunningPybal(wire.in_ours, folder, config) as pybal:
                pybal.wait_for("/alerts", "")
                eventually("checks are made", lambda: len(seen.read_text()) > 2000, 30)
                print(
                    f"{'phase':9} {'UPDATEs/s':>9} {'conns/s':>8} {'p50 ms':>8} {'p99 ms':>8}"
                    f" {'max ms':>8} {'checks/s':>9} {'gap s':>8} {'log KiB/s':>9} {'down':>6}"
                    f" {'cpu %':>6} {'load':>6}"
                )
                for what in options.what or PHASES:
                    phase(what, wire, pybal, seen, options.seconds)
        finally:
            servers.terminate()
            servers.wait()


if __name__ == "__main__":
    main()
