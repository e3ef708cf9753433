"""All servers of a large pool die at once: how many calls of the daemon's own functions a server
costs. Unlike its time that does not depend on what else the machine has to do, and it says whether
the cost of one grows with the pool.

    python -m bench.pool_calls [--servers 500,1000,2000,4000]

The daemon is whole; its clock, network and kernel are in memory. A fifth more hosts live on, in a
service of their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pybal
from bench.pool_death import addresses
from pybal.daemon.daemon import Daemon
from pybal.ipvs.memory import MemoryKernel
from pybal.model import IPAddress
from pybal.net.port import TCPEvents
from pybal.reload.running import started
from tests.bgp.memory import MemoryNetwork
from tests.config.texts import load
from tests.fakes.daemon import STEP_S, Answering, Reactor, memory_ports
from tests.fakes.deferreds import at_once

SETTLE_S = 60.0
STORM_S = 0.5
OURS = str(Path(pybal.__file__).parent)

GLOBAL = "[global]\nstate-directory = none\ncontrol-socket = no\ninstrumentation = no\n"
SERVICE = """
[{name}]
protocol = tcp
port = 80
ip = 10.30.0.{low}
scheduler = rr
config = file://{folder}/{name}
depool-threshold = 0
monitors = ["IdleConnection"]
"""


class Connection:
    """One that its server may end."""

    def __init__(self, network: Dying, address: IPAddress, events: TCPEvents) -> None:
        self.address = address
        self._events = events
        self._open = True
        if address in network.dead:
            network.clock.callLater(0.001, self.end, ConnectionRefusedError(111, "refused"))
        else:
            network.clock.callLater(0.001, self._connected)

    def _connected(self) -> None:
        if self._open:
            self._events.connected()

    def end(self, error: OSError) -> None:
        """Tell that it has ended."""
        if self._open:
            self._open = False
            self._events.closed(error)

    def send(self, data: bytes) -> None:
        """To nobody."""

    def catch_up(self) -> None:
        """Nothing waits."""

    def waited_s(self) -> float:
        """Nothing has waited."""
        return 0.0

    def close(self) -> None:
        """At once."""
        self._open = False


class Dying(Answering):
    """A Network whose servers may die."""

    def __init__(self, clock: Reactor) -> None:
        super().__init__(clock, set())
        self.dead: set[IPAddress] = set()
        self.made: list[Connection] = []

    def connect_tcp(
        self,
        address: IPAddress,
        port: int,  # noqa: ARG002 - see Network
        events: TCPEvents,
        **options: Any,  # noqa: ARG002
    ) -> Any:
        connection = Connection(self, address, events)
        self.made.append(connection)
        return connection

    def die(self, hosts: list[str]) -> None:
        """These, all at once."""
        dying = set(hosts)
        ended = [each for each in self.made if str(each.address) in dying]
        self.dead.update(each.address for each in ended)
        for connection in ended:
            connection.end(ConnectionResetError(104, "reset"))


class Calls:
    """Counts those of the project's functions."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Calls:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        self.count += event == "call" and frame.f_code.co_filename.startswith(OURS)


def measure(folder: Path, count: int) -> float:
    """Calls a server, of a pool of so many."""
    text = GLOBAL
    pools = {"dying": addresses(count, 20), "living": addresses(max(3, count // 5), 21)}
    for low, (name, hosts) in enumerate(pools.items(), 1):
        (folder / name).write_text("".join(f"{{'host': '{host}'}}\n" for host in hosts))
        text += SERVICE.format(name=name, low=low, folder=folder)
    path = folder / "pybal.conf"
    path.write_text(text)
    result = load(path)
    assert result.settings is not None, [str(problem) for problem in result.problems]
    clock, kernel = Reactor(), MemoryKernel()
    network, threads = Dying(clock), cast(Any, [])
    ports = memory_ports(clock, at_once, network, kernel, MemoryNetwork(clock), threads.append)
    daemon = Daemon(started(result, result.settings, 1e9), ports)
    daemon.start()
    clock.pump([STEP_S] * round(SETTLE_S / STEP_S))
    assert daemon.view.ipvs().destinations == sum(map(len, pools.values()))
    with Calls() as calls:
        network.die(pools["dying"])
        clock.pump([STEP_S] * round(STORM_S / STEP_S))
    assert daemon.view.ipvs().destinations == len(pools["living"])
    return calls.count / count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", default="500,1000,2000,4000")
    options = parser.parse_args()
    for count in map(int, options.servers.split(",")):
        with tempfile.TemporaryDirectory() as name:
            print(f"{count} servers: {measure(Path(name), count):.1f} calls each", flush=True)


if __name__ == "__main__":
    main()
