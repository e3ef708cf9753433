"""How long a stop takes amid great work, and whether BGP is the first to end.

    sudo python -m bench.stop [table list checks idle names commands clients router]
                              [--after 0,0.5,2] [--size 1] [--log]
    scripts/vm --memory 3000 --timeout 600 -- PYTHON -m bench.stop --kernel table

table: 65 services of 1,000 servers are loaded; list: one of 20,000; checks: 18,000 checks are under
way and met with silence; idle: 4,000 connections of one pool stand; names: 2,000 names are asked
of a server that is silent; commands: 300 commands of RunCommand run; clients: fifty have asked over
the control socket, and read nothing; router: it has stopped, and takes no leave. Dry run, in a
network namespace of its own; with --kernel on the kernel's table (in the virtual machine). A router
on loopback has been told of the services.

Each stop comes so many seconds `--after` the work has begun. A line says how long it took until the
process was gone, of that the processor time; when the router had the Cease; the longest turns of
the reactor meanwhile; and how the process ended.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from bench.fleet import Director, load_average
from bench.pool_death import Servers, addresses, wait_for_connections
from pybal.bgp.codec import Decoder, encode
from pybal.bgp.constants import IPV4_UNICAST
from pybal.bgp.messages import Capabilities, Keepalive, Notification, Open

LEAST_TURN_MS = 5
LIMIT_S = 60.0
ROUTER = "127.0.0.9"
SILENT = "10.40"
"""Whoever is sent something there never answers."""

GLOBAL = """
[global]
instrumentation = no
state-directory = {folder}/state
control-socket = {folder}/control.sock
bgp = yes
dry-run-bgp = yes
bgp-local-asn = 64600
bgp-peer-address = {router}
bgp-peer-asn = 64601
bgp-local-ips = ["127.0.0.1"]
bgp-nexthop-ipv4 = 127.0.0.1
bgp-router-id = 127.0.0.1
"""
SERVICE = """
[{name}]
protocol = tcp
ip = 10.30.{high}.{low}
port = {port}
scheduler = rr
config = file://{folder}/{pool}
{more}
"""


class Router:
    """Is connected to, and notes when it is told that the session ends."""

    def __init__(self) -> None:
        self.cease_at_s: float | None = None
        self.established = threading.Event()
        self.stopped = False
        self._listening = socket.create_server((ROUTER, 179))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection, suppress(OSError):
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        capabilities = Capabilities(families=(IPV4_UNICAST,), four_octet_asn=64601)
        connection.sendall(encode(Open(64601, 90, IPv4Address("10.0.0.9"), capabilities)))
        decoder = Decoder()
        while data := connection.recv(1 << 16):
            while self.stopped:
                time.sleep(0.1)
            decoder.feed(data)
            while (message := decoder.next_message()) is not None:
                if isinstance(message, Keepalive):
                    self.established.set()
                if isinstance(message, Open | Keepalive):
                    connection.sendall(encode(Keepalive()))
                if isinstance(message, Notification):
                    self.cease_at_s = time.monotonic()


@dataclass(frozen=True)
class Site:
    """What the scenarios write their files to; `size` makes all of them smaller or larger."""

    folder: Path
    size: float

    def of(self, count: int) -> int:
        return max(1, round(count * self.size))

    def configure(self, services: int, hosts: list[str], more: str = "") -> None:
        """So many services on a pool of these."""
        (self.folder / "pool").write_text("".join(f"{{'host': '{each}'}}\n" for each in hosts))
        text = GLOBAL.format(folder=self.folder, router=ROUTER)
        for n in range(services):
            high, low = divmod(n, 250)
            text += SERVICE.format(
                name=f"s{n}", high=high, low=low + 1, port=8000, folder=self.folder, pool="pool",
                more=more,
            )  # fmt: skip
        (self.folder / "pybal.conf").write_text(text)

    @contextmanager
    def daemon(self, *options: str) -> Iterator[Director]:
        """The daemon, once it has begun."""
        command = [sys.executable, "-m", "bench.turns", str(LEAST_TURN_MS), *options]
        with Director([*command, "-c", str(self.folder / "pybal.conf")]) as director:
            wait(lambda: director.matching("Created LVS service"))
            yield director


Scenario = Callable[[Site, tuple[str, ...]], Iterator[Director]]


def table(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    site.configure(site.of(65), addresses(1000, 20), "depool-threshold = .5")
    with site.daemon(*options) as director:
        yield director


def load_of_a_list(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    site.configure(1, addresses(site.of(20_000), 20))
    with site.daemon(*options) as director:
        yield director


def checks(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    hosts = [f"{SILENT}.{n // 250}.{n % 250 + 2}" for n in range(site.of(900))]
    more = "monitors = ['TCPCheck']\ntcpcheck.timeout = 50\ntcpcheck.interval = 60"
    site.configure(20, hosts, more)
    with site.daemon(*options) as director:
        wait_for_connections(director, int(len(hosts) * 20 * 0.99))
        yield director


def idle(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    hosts = addresses(site.of(4000), 20)
    site.configure(1, hosts, "monitors = ['IdleConnection']")
    with Servers(hosts, [8000]), site.daemon(*options) as director:
        wait_for_connections(director, len(hosts))
        time.sleep(2)
        yield director


def names(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    site.configure(4, [f"host{n}.example.org" for n in range(site.of(500))])
    with site.daemon(*options) as director:
        yield director


def commands(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    more = (
        "monitors = ['RunCommand']\nruncommand.command = '/bin/sleep'\n"
        "runcommand.arguments = ['300']\nruncommand.timeout = 250\nruncommand.interval = 5"
    )
    site.configure(3, addresses(site.of(100), 20), more)
    conf = site.folder / "pybal.conf"
    conf.write_text(conf.read_text().replace("[global]", "[global]\nruncommand-concurrency = 1000"))
    with site.daemon(*options) as director:
        wait(lambda: len(children(director.pid)) >= 3 * site.of(100))
        yield director


def clients(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    site.configure(site.of(200), addresses(50, 20))
    with site.daemon(*options) as director:
        time.sleep(2)
        asking = []
        for path in ("/api/v1/services", "/metrics", "/api/v1/events?follow=1", "/api/v1/ipvs"):
            for _ in range(12):
                asking.append(socket.socket(socket.AF_UNIX))
                asking[-1].connect(str(site.folder / "control.sock"))
                asking[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        asking.append(socket.socket(socket.AF_UNIX))
        asking[-1].connect(str(site.folder / "control.sock"))
        asking[-1].sendall(b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Le")
        yield director
        for each in asking:
            each.close()


def stopped_router(site: Site, options: tuple[str, ...]) -> Iterator[Director]:
    site.configure(site.of(200), addresses(50, 20))
    with site.daemon(*options) as director:
        yield director


WHAT: dict[str, Scenario] = {
    "table": table,
    "list": load_of_a_list,
    "checks": checks,
    "idle": idle,
    "names": names,
    "commands": commands,
    "clients": clients,
    "router": stopped_router,
}


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait(what: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{limit_s} s")
        time.sleep(0.02)


def measure(name: str, after_s: float, router: Router, options: argparse.Namespace) -> None:
    """One stop."""
    mode = ("-d",) if options.kernel else ("-n",)
    with tempfile.TemporaryDirectory() as folder:
        router.established.clear()
        router.cease_at_s = None
        for director in WHAT[name](Site(Path(folder), options.size), mode):
            router.stopped = name == "router" and router.established.wait(LIMIT_S)
            time.sleep(after_s)
            had_session = router.established.is_set()
            show(name, after_s, router, director, options, had_session=had_session)
            router.stopped = False


def show(
    name: str,
    after_s: float,
    router: Router,
    director: Director,
    options: argparse.Namespace,
    *,
    had_session: bool,
) -> None:
    since, cpu_s = len(director.lines), director.cpu_s()
    left = children(director.pid)
    begun_s = time.monotonic()
    status, used_s = director.stop(LIMIT_S)
    took_s = time.monotonic() - begun_s
    lines = director.lines[since:]
    turns = [line.split()[1:] for _, line in lines if line.startswith("TURN")]
    longest = sorted(((float(w), float(cpu)) for w, cpu in turns), reverse=True)[:3]
    if router.cease_at_s is not None:
        cease = f"Cease after {router.cease_at_s - begun_s:.3f} s"
    else:
        cease = "no Cease" if had_session else "no session yet"
    outlived = [pid for pid in left if Path(f"/proc/{pid}").exists()]
    print(
        f"{name} after {after_s} s: {took_s:.2f} s, {used_s - cpu_s:.2f} s of CPU; {cease};"
        f" longest turns {', '.join(f'{w:.0f} ({cpu:.0f})' for w, cpu in longest) or 'none'} ms"
        f" (of processor time); status {status}"
        f"{f'; {len(outlived)} children outlived it' if outlived else ''}; {load_average()}",
        flush=True,
    )
    for at_s, line in lines:
        told = options.log and "ipvsadm" not in line
        if told or any(word in line for word in ("WARN", "ERROR", "Traceback")):
            print(f"    {at_s - begun_s:.3f} {line[:200]}")


def enter() -> None:
    """Namespaces of our own: no host of the network is asked."""
    if "PYBAL_BENCH_INSIDE" not in os.environ:
        os.environ["PYBAL_BENCH_INSIDE"] = "1"
        command = ["unshare", "--net", "--mount", sys.executable, "-m", "bench.stop"]
        os.execvp(command[0], [*command, *sys.argv[1:]])  # noqa: S606


def furnish(folder: Path) -> None:
    """Whoever is asked there is silent, name servers, too."""
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {SILENT}.200.1\n")
    for line in (
        "ip link set lo up",
        "ip link add silent type veth peer name sink",
        f"ip address add {SILENT}.0.1/16 dev silent",
        "ip link set silent arp off up",
        "ip link set sink arp off up",
        f"mount --bind {resolv} /etc/resolv.conf",
    ):
        os.system(line)  # noqa: S605 - fixed words


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", help=f"some of {', '.join(WHAT)}")
    parser.add_argument("--after", default="0.5")
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--kernel", action="store_true")
    parser.add_argument("--log", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.what) - WHAT.keys():
        parser.error(f"there is no {', '.join(unknown)}")
    if options.kernel and "PYBAL_IN_VM" not in os.environ:
        raise SystemExit("the kernel's table is changed in the virtual machine alone: scripts/vm")
    enter()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder))
        router = Router()
        for name in options.what or WHAT:
            for after in options.after.split(","):
                measure(name, float(after), router, options)


if __name__ == "__main__":
    main()
