"""Restarts of a whole daemon whose names answer late, not at all, or otherwise, and whose state
directory may be lost: seen in the kernel's table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.ipvs.memory import MemoryKernel
from pybal.names.last_known import AddressBook
from pybal.names.parsing import Addresses
from pybal.names.resolver import Resolver
from tests.fakes.daemon import DaemonBench, at_once
from tests.fakes.names import FakeNamesClient

A, B, C, X, Y = (f"10.0.0.{number}" for number in (1, 2, 3, 98, 99))
ELSEWHERE = "10.9.9.9"
KNOWN = {"a.example": A, "b.example": B, "c.example": C}
TEXT = """[global]
state-directory = {folder}/state
control-socket = no
isolation = no
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


class Site:
    """A director: its disk, its kernel, its name server; and one process after another."""

    def __init__(self, folder: Path, threshold: str, *hosts: str) -> None:
        self.folder = folder
        self.threshold = threshold
        self.kernel = MemoryKernel()
        self.names = dict(KNOWN)
        self.dead = {ELSEWHERE}
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

    def _resolver(self, clock: Clock) -> Resolver:
        log = Logger(namespace="dns")
        book = AddressBook(self.folder / "state", clock, at_once, log)
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
        service = self.bench.daemon.service("web")
        assert service is not None
        return next(str(each.address) for each in service.servers if each.host == host)

    def run(self, seconds: float) -> None:
        self.bench.run(seconds)

    @property
    def table(self) -> set[str]:
        """Who gets connections."""
        ((_, entry),) = self.bench.state()["table"].items()
        return {str(d.key.address) for d in entry.destinations.values() if d.weight > 0}


def lost(site: Site) -> None:
    shutil.rmtree(site.folder / "state")


def damaged(site: Site) -> None:
    for path in (site.folder / "state").rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-40])


def of_another_host(site: Site) -> None:
    """Where names were for other addresses, and which read another list."""
    path = site.folder / "state" / "addresses.json"
    document = json.loads(path.read_text())
    document["addresses"] = [[host, ELSEWHERE] for host, _ in document["addresses"]]
    path.write_text(json.dumps(document))
    for path in (site.folder / "state").rglob("*.json"):
        path.write_text(path.read_text().replace("file://", "file:///elsewhere"))


Spoil = Callable[[Site], None]

members = pytest.mark.parametrize(
    ("threshold", "spoilt"),
    [("0", lost), (".5", lost), ("1", lost), ("0", damaged), ("0", of_another_host)],
)


@members
def test_names_that_are_silent_take_nobody_out(
    tmp_path: Path, threshold: str, spoilt: Spoil
) -> None:
    site = Site(tmp_path, threshold)
    assert site.table == {A, B, C}
    spoilt(site)
    site.names = {}
    site.start()
    assert site.table == {A, B, C}
    for host, address in KNOWN.items():
        site.answer(host, address)
        assert site.table == {A, B, C}
    service = site.bench.daemon.service("web")
    assert service is not None
    assert service.standing == ()
    assert all(server.pooled for server in service.servers)
    site.dead.add(A)
    site.run(5)
    assert site.table == ({A, B, C} if threshold == "1" else {B, C})


@members
def test_some_names_are_late_and_one_server_dies(
    tmp_path: Path, threshold: str, spoilt: Spoil
) -> None:
    site = Site(tmp_path, threshold)
    spoilt(site)
    del site.names["c.example"]
    site.dead.add(A)
    site.start()
    assert site.table - {ELSEWHERE} == ({A, B, C} if threshold == "1" else {B, C})
    assert ELSEWHERE not in site.table or threshold == "1", (
        "all are to be pooled, whatever they are"
    )
    site.dead.discard(A)
    site.run(15)
    assert site.table == {A, B, C}
    site.answer("c.example", C)
    assert site.table == {A, B, C}


@members
def test_names_that_answer_with_other_addresses_are_made_before_the_former_are_broken(
    tmp_path: Path, threshold: str, spoilt: Spoil
) -> None:
    site = Site(tmp_path, threshold)
    spoilt(site)
    site.names |= {"a.example": X, "b.example": Y}
    site.dead |= {X, Y}
    site.start()
    assert site.table >= {A, B, C}
    if threshold != "1":
        assert site.table == {A, B, C}
    site.dead -= {X, Y}
    site.run(15)
    assert site.table == {X, Y, C}


def test_a_process_that_is_killed_again_and_again_leaves_all_as_it_stands(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, "0")
    lost(site)
    site.names = {"a.example": A}
    for seconds in (0.1, 3.0, 8.0):
        site.start(seconds)
        assert site.table == {A, B, C}
    site.bench.stop()
    site.start()
    assert site.table == {A, B, C}


@pytest.mark.parametrize("threshold", ["0", ".5"])
@pytest.mark.parametrize("spoilt", [None, lost])
def test_who_left_the_list_meanwhile_leaves_the_kernel(
    tmp_path: Path, threshold: str, spoilt: Spoil | None
) -> None:
    site = Site(tmp_path, threshold)
    site.bench.stop()
    if spoilt is not None:
        spoilt(site)
    site.list("a.example", "c.example")
    site.start()
    assert site.table == {A, C}


@pytest.mark.parametrize("threshold", ["0", ".5"])
def test_who_left_the_list_meanwhile_leaves_the_kernel_though_another_is_dead(
    tmp_path: Path, threshold: str
) -> None:
    site = Site(tmp_path, threshold)
    site.dead.add(C)
    site.run(3)
    assert site.table == {A, B}
    site.bench.stop()
    site.list("a.example", "c.example")
    site.start()
    assert site.table == {A}
