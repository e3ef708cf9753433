"""How long from a real server's listener closing to its destination being out of the kernel.

    scripts/vm -- PYTHON -m bench.depool_latency

One namespace, one service, 101 real servers on loopback addresses (IPVS's local node), pybal with
IdleConnection, threshold 0. A hundred servers are reset one after another; the clock stops when
pybal's debug log says that the kernel has acknowledged the removal, and the kernel's table is then
read to see that it is true. (To poll the table itself would take the guest's one CPU away from
pybal.) Beside it, in the same run: the floor, which is one netlink exchange that removes a
destination.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
)
from pybal.ipvs.netlink import NetlinkKernel
from pybal.model import L4Protocol
from tests.ipvs.tables import leading
from tests.sockets import reset

ROUNDS = 100
VIP, PORT = "10.9.0.1", 80
KEY = ServiceKey(L4Protocol.TCP, ip_address(VIP), PORT)

CONFIG = """
[global]
instrumentation = yes
instrumentation_ips = ["127.0.0.1"]
control-socket = no
state-directory = none

[bench_80]
protocol = tcp
ip = {vip}
port = {port}
scheduler = rr
config = file://{folder}/pool
depool-threshold = 0
monitors = ["IdleConnection"]
"""


class RealServer:
    """A listener with whatever connections it was given."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._listener = socket.create_server((address, PORT))
        self._listener.setblocking(False)
        self._connections: list[socket.socket] = []

    def accept(self) -> bool:
        """Take what waits; true once there is a connection."""
        with suppress(BlockingIOError):
            self._connections.append(self._listener.accept()[0])
        return bool(self._connections)

    def reset(self) -> None:
        """Close the listener and reset its connections, as a crash does."""
        self._listener.close()
        for connection in self._connections:
            reset(connection)


@contextmanager
def running_pybal(folder: Path) -> Iterator[IO[str]]:
    """A running daemon's log."""
    config = folder / "pybal.conf"
    config.write_text(CONFIG.format(vip=VIP, port=PORT, folder=folder))
    command = [sys.executable, "-m", "pybal", "-d", "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        try:
            yield daemon.stderr
        finally:
            daemon.kill()


def measure(servers: list[RealServer], log: IO[str]) -> list[float]:
    waiting = set(servers)
    while waiting:
        waiting = {server for server in waiting if not server.accept()}
        time.sleep(0.01)
    await_all_up()
    kernel = NetlinkKernel()
    times = []
    for server in servers[:ROUNDS]:
        start = time.perf_counter()
        server.reset()
        wait_for(log, f"ipvsadm -d -t {VIP}:{PORT} -r {server.address}:{PORT}")
        times.append(time.perf_counter() - start)
        assert not stands(kernel, DestinationKey(ip_address(server.address), PORT))
        time.sleep(0.05)
    return times


def wait_for(log: IO[str], text: str) -> None:
    for line in log:
        if text in line:
            return
    raise SystemExit("pybal ended")


def stands(kernel: NetlinkKernel, key: DestinationKey) -> bool:
    entry = kernel.read(KEY)
    return entry is not None and key in entry.destinations


def await_all_up() -> None:
    url = "http://127.0.0.1:9090/pools/bench_80"
    while True:
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        if len(lines) == ROUNDS + 1 and all(line.endswith("up/pooled") for line in lines):
            return
        time.sleep(0.1)


def floor() -> list[float]:
    """Seconds of one exchange that removes a destination."""
    kernel = NetlinkKernel()
    key = ServiceKey(L4Protocol.TCP, ip_address(VIP), PORT + 1)
    service = Service(key, "rr")
    destinations = {}
    for number in range(2, ROUNDS + 3):
        server = DestinationKey(ip_address(f"10.9.0.{number}"), PORT)
        destinations[server] = Destination(server, 1, Forwarding.DIRECT)
    entry = ServiceEntry(service, destinations)
    kernel.apply(leading({}, {key: entry}))
    times = []
    for server in list(destinations)[:ROUNDS]:
        rest = {k: d for k, d in entry.destinations.items() if k != server}
        smaller = ServiceEntry(service, rest)
        operations = leading({key: entry}, {key: smaller})
        start = time.perf_counter()
        kernel.apply(operations)
        times.append(time.perf_counter() - start)
        entry = smaller
    return times


def show(what: str, times: list[float]) -> None:
    print(
        f"{what:40} n={len(times)}  median {statistics.median(times) * 1e3:7.2f} ms  "
        f"worst {max(times) * 1e3:7.2f} ms"
    )


def main() -> None:
    addresses = [f"10.9.0.{number}" for number in range(2, ROUNDS + 3)]
    subprocess.run(["ip", "route", "add", "local", "10.9.0.0/24", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pool").write_text("".join(f"{{'host': '{a}'}}\n" for a in addresses))
        servers = [RealServer(address) for address in addresses]
        with running_pybal(folder) as log:
            times = measure(servers, log)
    show("listener closed to destination gone", times)
    exchanges = floor()
    show("floor: one netlink exchange", exchanges)
    ratio = statistics.median(times) / statistics.median(exchanges)
    print(f"ratio of the medians: {ratio:.1f}")


if __name__ == "__main__":
    main()
