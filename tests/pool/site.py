"""A director in memory: its disk, its kernel, its name server; and one process after another."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from random import Random

from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.ipvs.memory import MemoryKernel
from pybal.names.last_known import AddressBook
from pybal.names.parsing import Addresses
from pybal.names.resolver import Resolver
from pybal.state.state_writing import StateWriting
from tests.fakes.daemon import DaemonBench
from tests.fakes.deferreds import at_once
from tests.fakes.names import FakeNamesClient

A, B, C, X, Y = (f"10.0.0.{number}" for number in (1, 2, 3, 98, 99))
ELSEWHERE = "10.9.9.9"
KNOWN = {"a.example": A, "b.example": B, "c.example": C}
TEXT = """[global]
state-directory = {folder}/state
control-socket = no
isolation = no
history-retention = 0
[web]
protocol = tcp
ip = 198.51.100.1
port = 80
scheduler = wrr
config = file://{folder}/pool
depool-threshold = {threshold}
monitors = ['TCPCheck']
tcpcheck.interval = 1
"""

Begin = Callable[..., "Site"]


class Site:
    """A director; `end` at last ends what its processes have open."""

    def __init__(self, folder: Path, threshold: str, *hosts: str) -> None:
        self.folder = folder
        self.threshold = threshold
        self.kernel = MemoryKernel()
        self.names = dict(KNOWN)
        self.dead = {ELSEWHERE}
        self._benches: list[DaemonBench] = []
        self.list(*(hosts or KNOWN))
        self.start()

    def list(self, *hosts: str) -> None:
        lines = "".join(f"{{'host': '{host}'}}\n" for host in hosts)
        (self.folder / "pool.new").write_text(lines)
        (self.folder / "pool.new").rename(self.folder / "pool")

    def start(self, running_s: float = 12.0) -> None:
        """A process begins; the one before was killed, unless it was stopped."""
        text = TEXT.format(folder=self.folder, threshold=self.threshold)
        self.bench = DaemonBench(
            self.folder,
            text,
            self.dead,
            running_s=running_s,
            kernel=self.kernel,
            addresses=self._resolver,
        )
        self._benches.append(self.bench)

    def end(self) -> None:
        for bench in self._benches:
            bench.stop()

    def _resolver(self, clock: Clock) -> Resolver:
        log = Logger(namespace="dns")
        book = AddressBook(self.folder / "state", StateWriting(clock, at_once), log)
        book.load()
        self.client = FakeNamesClient()
        self.client.known = {h: Addresses((ip_address(a),), 60) for h, a in self.names.items()}
        return Resolver(clock, Random(1), self.client, log, book)

    def answer(self, host: str, address: str) -> None:
        """A name server that was silent answers."""
        self.client.known[host] = Addresses((ip_address(address),), 60)
        if (host, 4) in self.client.waiting:
            self.client.answer(host, address)
        for _ in range(40):
            self.run(1)
            if self.address_of(host) == address:
                return
        raise AssertionError("it was not asked for")

    def address_of(self, host: str) -> str:
        service = self.bench.daemon.view.service("web")
        assert service is not None
        return next(str(each.address) for each in service.servers if each.host == host)

    def run(self, seconds: float) -> None:
        self.bench.run(seconds)

    @property
    def table(self) -> set[str]:
        """Who gets connections."""
        ((_, entry),) = self.bench.state()["table"].items()
        return {str(d.key.address) for d in entry.destinations.values() if d.weight > 0}
