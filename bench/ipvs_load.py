"""How fast IPVS is loaded, read and changed: PyBal's manager beside ipvsadm, in one run.

    scripts/vm -- python3 bench/ipvs_load.py [--rounds 5] [--pyroute2] [100x100 1x11000 11000x1]

Root, on a kernel with IPVS. load: from nothing to all. dump: all of it, at once. reconcile: the
first audit, which finds nothing to do; audit: the second, whose answers are known. look: the quick
look that comes each second. depool: a server leaves. start: what a restarted daemon does before its
reactor runs. Every measurement has
a network namespace of its own, because after a flush the kernel keeps deleted destinations for a
while and searches them on every addition. ipvsadm is measured as a process, PyBal within its own,
as the daemon that it is, with garbage collection as there: all objects are searched
only once the start is over, and then only those that came later.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from ipaddress import ip_address
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from twisted.internet.task import Clock

from pybal.ipvs.ipvsadm import rule
from pybal.ipvs.manager import IPVSManager
from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
    Table,
)
from pybal.ipvs.netlink import NetlinkKernel
from pybal.ipvs.operations import AddDestination, AddService
from pybal.ipvs.quick_look import LOOK_EVERY_S, QuickLook
from pybal.ipvs.statistics import StatisticsReader
from pybal.model import L4Protocol
from pybal.runtime.gc_tuning import NEVER, YOUNG
from pybal.runtime.persistent_map import PersistentMap
from tests.ipvs.tables import read_table

_T = TypeVar("_T")

CLONE_NEWNET = 0x40000000
SHAPES = ("100x100", "1x11000", "11000x1")
TASKS = ("load", "dump", "reconcile", "audit", "statistics", "look", "depool", "start")
DEPOOLS = 100
LOOKS = 100


class Turns:
    """A reactor that only turns, and times each turn; calls for later never come."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self.stalls_s: list[float] = []

    def callLater(self, delay_s: float, call: Callable[..., object], /, *args: object) -> Turns:
        if delay_s == 0:
            self._calls.append((call, args))
        return self

    def seconds(self) -> float:
        return time.monotonic()

    def active(self) -> bool:
        return False

    def cancel(self) -> None:
        raise AssertionError

    def run(self) -> float:
        """Turn until nothing is left to do; the seconds that took."""
        self.stalls_s.clear()
        start = before = time.perf_counter()
        while self._calls:
            call, args = self._calls.popleft()
            call(*args)
            now = time.perf_counter()  # slow in the virtual machine: once a turn
            self.stalls_s.append(now - before)
            before = now
        return before - start


def table_of(services: int, servers: int) -> Table:
    """Services on 10.0.0.0/16, each with the same servers of 10.1.0.0/16; in maps as the daemon
    has them."""
    destinations = {}
    for number in range(servers):
        key = DestinationKey(ip_address("10.1.0.1") + number, 80)
        destinations[key] = Destination(key, 10, Forwarding.DIRECT, rank=number)
    table = {}
    for number in range(services):
        service = ServiceKey(L4Protocol.TCP, ip_address("10.0.0.1") + number, 80)
        table[service] = ServiceEntry(Service(service, "wrr"), PersistentMap(destinations))
    return table


def fresh_namespace() -> None:
    """Move this process into an empty network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def timed(command: list[str], stdin: str = "") -> float:
    start = time.perf_counter()
    subprocess.run(command, input=stdin, text=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure_ipvsadm(table: Table) -> dict[str, float]:
    lines = []
    for key, entry in table.items():
        lines.append(rule(AddService(entry.service)))
        lines += [rule(AddDestination(key, each)) for each in entry.destinations.values()]
    fresh_namespace()
    load_s = timed(["ipvsadm", "-R"], "\n".join(lines) + "\n")
    return {"load": load_s, "dump": timed(["ipvsadm", "-Ln"])}


def in_child(measure: Callable[[Table], _T], table: Table) -> _T:
    """Measured in a process of its own, whose garbage slows down nobody else."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(measure, table).result()


def measure_pyroute2(table: Table) -> dict[str, float]:
    """pyroute2's own class for IPVS, one request after another; nothing where it is too old."""
    try:
        from pyroute2.ipvs import IPVS, IPVSDest, IPVSService
    except ImportError:  # before 0.8.1
        return {}
    fresh_namespace()
    start = time.perf_counter()
    with IPVS() as ipvs:
        for key, entry in table.items():
            identity = {"addr": str(key.address), "port": key.port, "protocol": 6}
            service = IPVSService(**identity, sched_name=entry.service.scheduler)
            ipvs.service("add", service=service)
            for server, each in entry.destinations.items():
                destination = IPVSDest(
                    addr=str(server.address), port=server.port, weight=each.weight
                )
                ipvs.dest("add", service=service, dest=destination)
        load_s = time.perf_counter() - start
        start = time.perf_counter()
        count = sum(
            sum(1 for _ in ipvs.dest("dump", service=IPVSService.from_message(service)))
            for service in ipvs.service("dump")
        )
        dump_s = time.perf_counter() - start
    assert count == sum(len(entry.destinations) for entry in table.values())
    return {"load": load_s, "dump": dump_s}


def measure_pybal(table: Table) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds, and the longest stall of the reactor in seconds, of each task."""
    fresh_namespace()
    turns = Turns()
    kernel = NetlinkKernel()
    manager = IPVSManager(turns, kernel, time.time, dry_run=False)
    manager.start()
    turns.run()
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG, NEVER)
    took: dict[str, float] = {}
    stall: dict[str, float] = {}

    def task(name: str) -> None:
        took[name] = turns.run()
        stall[name] = max(turns.stalls_s)
        assert manager.snapshot().in_sync
        assert manager.snapshot().errors_total == 0

    for entry in table.values():
        manager.publish(entry)
    task("load")
    start = time.perf_counter()
    assert read_table(kernel) == table
    took["dump"] = time.perf_counter() - start
    changes = manager.snapshot().changes_total
    manager.audit()
    task("reconcile")
    manager.audit()
    task("audit")
    assert manager.snapshot().audit.audits_total == 2
    assert manager.snapshot().changes_total == changes
    gc.freeze()
    gc.set_threshold(*thresholds)
    reader = StatisticsReader(turns, kernel, time.time, lambda: table)
    reader.refresh()
    task("statistics")
    assert sum(len(each.destinations) for each in reader.latest) == servers_of(table)
    took["look"], stall["look"] = measure_looks(manager, kernel, table)
    took["depool"], stall["depool"] = measure_depools(manager, turns, table)
    manager.stop()
    took["start"] = measure_start()
    gc.unfreeze()
    return took, stall


def servers_of(table: Table) -> int:
    return sum(len(entry.destinations) for entry in table.values())


def measure_depools(manager: IPVSManager, turns: Turns, table: Table) -> tuple[float, float]:
    """Median time of one server leaving a service, and the longest stall of all."""
    seconds, stalls_s = [], []
    for entry in islice(table.values(), DEPOOLS):
        assert isinstance(entry.destinations, PersistentMap)
        left = entry.destinations.updated({}, [next(iter(entry.destinations))])
        changes = manager.snapshot().changes_total
        start = time.perf_counter()
        manager.publish(ServiceEntry(entry.service, left))
        turns.run()
        seconds.append(time.perf_counter() - start)
        stalls_s += turns.stalls_s
        assert manager.snapshot().changes_total == changes + 1
    return statistics.median(seconds), max(stalls_s)


def measure_looks(manager: IPVSManager, kernel: NetlinkKernel, table: Table) -> tuple[float, float]:
    """Seconds of the look that comes each second, and those of the longest one."""
    clock = Clock()

    def differs() -> None:
        raise AssertionError

    QuickLook(clock, kernel, manager.table, lambda: table, differs).start()
    seconds: list[float] = []
    for _ in range(LOOKS):
        start = time.perf_counter()
        clock.advance(LOOK_EVERY_S)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), max(seconds)


def measure_start() -> float:
    """A start reads all that stands before the reactor runs: that is no stall, but a wait."""
    manager = IPVSManager(Turns(), NetlinkKernel(), time.time, dry_run=False)
    start = time.perf_counter()
    manager.start()
    took_s = time.perf_counter() - start
    manager.stop()
    return took_s


def measure(shape: str, rounds: int, *, with_pyroute2: bool) -> None:
    services, servers = (int(number) for number in shape.split("x"))
    table = table_of(services, servers)
    theirs: list[dict[str, float]] = []
    classes: list[dict[str, float]] = []
    ours: list[dict[str, float]] = []
    stalls: list[dict[str, float]] = []
    for _ in range(rounds):
        theirs.append(in_child(measure_ipvsadm, table))
        classes.append(in_child(measure_pyroute2, table) if with_pyroute2 else {})
        took, stall = measure_pybal(table)
        ours.append(took)
        stalls.append(stall)

    def median(runs: list[dict[str, float]], name: str) -> float:
        return statistics.median(run[name] for run in runs)

    print(f"{services} services x {servers} servers, medians of {rounds}")
    commands = {"load": "ipvsadm -R", "dump": "ipvsadm -Ln", "reconcile": "ipvsadm -Ln"}
    for name, own in ((name, median(ours, name)) for name in TASKS):
        line = f"  {name}: {1000 * own:.1f} ms"
        if name in commands:
            task = "load" if name == "load" else "dump"
            other = median(theirs, task)
            line += f", {commands[name]} {1000 * other:.0f} ms: {other / own:.1f} times"
            if classes[0]:
                other = median(classes, task)
                line += f", pyroute2 {1000 * other:.0f} ms: {other / own:.1f} times"
        if name in stalls[0]:
            each = sorted(1000 * stall[name] for stall in stalls)
            line += f"; longest stall of the reactor {each[0]:.1f} to {each[-1]:.1f} ms a round"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("shapes", nargs="*", metavar="SERVICESxSERVERS", default=SHAPES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pyroute2", action="store_true", help="measure its class for IPVS, too")
    options = parser.parse_args()
    for shape in options.shapes:
        measure(shape, options.rounds, with_pyroute2=options.pyroute2)


if __name__ == "__main__":
    main()
