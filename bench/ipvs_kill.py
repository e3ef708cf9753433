"""kill -9 at a random point of a bulk load, many times; then a start that must end in exactly the
wanted table, with services of others untouched.

    scripts/vm --timeout 1800 -- python3 bench/ipvs_kill.py [--kills 200] [--services 20]

Root, on a kernel with IPVS. Each round has a network namespace of its own, with services of others
in it. A process loads the table with all that the daemon has for it (record on disk, manager) and
is killed; in two rounds of three a second one with another configuration, too. The last one has a
third configuration and may finish. Exit status 0 if every round ended well.

The process says when it begins and ends an exchange with the kernel or a writing of the record; it
is killed a random, short time after one of these.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from twisted.internet.defer import Deferred

from bench.ipvs_load import fresh_namespace
from pybal.ipvs.batch import OPERATIONS_PER_TURN
from pybal.ipvs.controller import IPVSController, IPVSPorts
from pybal.ipvs.kernel import OperationResult
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
from pybal.ipvs.operations import Operation
from pybal.ipvs.ownership import record_file, this_place
from pybal.ipvs.settings import IPVSSettings
from pybal.model import L4Protocol
from tests.ipvs.tables import read_table

FOREIGN = (
    "-A -t 203.0.113.1:25 -s wlc",
    "-a -t 203.0.113.1:25 -r 198.51.100.1:25 -m -w 3",
    "-A -u 203.0.113.1:53 -s rr",
    "-A -f 7 -s sh",
)


class Loop:
    """A reactor of calls that are due at once; those for later never come."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()

    def callLater(self, delay_s: float, call: Callable[..., object], *args: object) -> Loop:
        if delay_s == 0:
            self._calls.append((call, args))
        return self

    def active(self) -> bool:
        return False

    def cancel(self) -> None:
        raise AssertionError

    def seconds(self) -> float:
        return time.monotonic()

    def in_thread(self, function: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.callLater(0, lambda: done.callback(function()))
        return done

    def run(self) -> None:
        while self._calls:
            call, args = self._calls.popleft()
            call(*args)


def configuration(choose: random.Random, services: int, servers: int) -> Table:
    """A part of the services, each with a part of the servers."""
    table = {}
    for number in range(services):
        if choose.random() < 0.3:
            continue
        key = ServiceKey(L4Protocol.TCP, ip_address("10.0.0.1") + number, 80)
        destinations = {}
        for other in choose.sample(range(servers), choose.randrange(servers // 2, servers)):
            server = DestinationKey(ip_address("10.1.0.1") + other, 80)
            weight = choose.choice((0, 1, 10))
            destinations[server] = Destination(server, weight, Forwarding.DIRECT)
        table[key] = ServiceEntry(Service(key, choose.choice(("wrr", "rr"))), destinations)
    return table


class Told:
    """Writes a byte to a descriptor before and after whatever is done within."""

    def __init__(self, channel: int | None) -> None:
        self._channel = channel

    def __enter__(self) -> None:
        if self._channel is not None:
            os.write(self._channel, b".")

    def __exit__(self, *_: object) -> None:
        self.__enter__()


class ToldKernel(NetlinkKernel):
    """Tells of each change."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        with self._told:
            return super().apply(operations)


class ToldRecord:
    """The RecordFile of this place; tells of each writing."""

    def __init__(self, state: Path, told: Told) -> None:
        self._file = record_file(state, this_place())
        self._told = told

    def load(self) -> frozenset[str] | None:
        return self._file.load()

    def save(self, value: frozenset[str]) -> None:
        with self._told:
            self._file.save(value)


def load(table: Table, state: Path, channel: int | None = None) -> None:
    """What the daemon does with a configuration from its start on, until nothing is left to do."""
    loop, told = Loop(), Told(channel)
    record = ToldRecord(state, told)
    ports = IPVSPorts(
        clock=loop, kernel=ToldKernel(told), now=time.time, in_thread=loop.in_thread, record=record
    )
    controller = IPVSController(IPVSSettings(audit_interval_s=0), ports, dry_run=False)
    controller.start()
    for key in table:
        controller.adopted(key)
    loop.run()
    for entry in table.values():
        controller.set_desired(entry, None)
    loop.run()
    controller.stop()


def in_child(work: Callable[[], None], watch: Callable[[int], None] | None = None) -> int:
    """Fork a child for it; its exit status, -9 if `watch`, given its process id, killed it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if watch is not None:
        watch(child)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_load(table: Table, state: Path, choose: random.Random) -> bool:
    """A load that is killed at a random point; False if it came to its end before that."""
    ours, theirs = os.pipe()
    operations = sum(1 + len(entry.destinations) for entry in table.values())
    # Two bytes for each exchange, and for the first writings of the record.
    point = choose.randrange(1, 2 * (operations // OPERATIONS_PER_TURN + 1) + 4)
    moment_s = choose.uniform(0, 0.004)

    def kill(child: int) -> None:
        os.close(theirs)
        for _ in range(point):
            if not os.read(ours, 1):
                return
        time.sleep(moment_s)
        os.kill(child, signal.SIGKILL)

    status = in_child(lambda: load(table, state, theirs), kill)
    os.close(ours)
    assert status in (0, -signal.SIGKILL)
    return status != 0


def foreign_rules() -> list[str]:
    shown = subprocess.run(
        ["ipvsadm", "-Sn"], check=True, stdout=subprocess.PIPE, text=True, timeout=30
    ).stdout.splitlines()
    return sorted(line for line in shown if "203.0.113." in line or "-f 7 " in line)


@dataclass(frozen=True)
class Killed:
    """One killed load: how much stood in the kernel then."""

    finished: bool
    services: int
    destinations: int


def one_round(seed: int, services: int, servers: int) -> list[Killed]:
    """One round, in this process's namespace, which must be fresh; AssertionError if it ends
    badly."""
    choose = random.Random(seed)
    for rule in FOREIGN:
        subprocess.run(["ipvsadm", *rule.split()], check=True, timeout=30)
    foreign = foreign_rules()
    kernel = NetlinkKernel()
    before = set(read_table(kernel))
    killed = []
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        for _ in range(choose.choice((1, 2, 2))):
            table = configuration(choose, services, servers)
            caught = killed_load(table, state, choose)
            found = ours(read_table(kernel), before)
            killed.append(
                Killed(not caught, len(found), sum(len(e.destinations) for e in found.values()))
            )
            assert foreign_rules() == foreign
        wanted = configuration(choose, services, servers)
        assert in_child(lambda: load(wanted, state)) == 0
    assert ours(read_table(kernel), before) == dict(wanted)
    assert foreign_rules() == foreign
    kernel.close()
    return killed


def ours(table: Table, foreign: Iterable[ServiceKey]) -> dict[ServiceKey, ServiceEntry]:
    return {key: entry for key, entry in table.items() if key not in foreign}


def rounds(kills: int, seed: int, services: int, servers: int) -> list[Killed]:
    """Rounds until so many loads were killed, each in a process and a namespace of its own."""
    killed: list[Killed] = []
    for number in range(3 * kills):
        if sum(not each.finished for each in killed) >= kills:
            break

        def work(channel: int, number: int = number) -> None:
            fresh_namespace()
            for each in one_round(seed + number, services, servers):
                text = f"{int(each.finished)} {each.services} {each.destinations}\n"
                os.write(channel, text.encode())

        for words in map(str.split, report(work)):
            killed.append(Killed(words[0] == "1", int(words[1]), int(words[2])))
    return killed


def report(work: Callable[[int], None]) -> Sequence[str]:
    """The lines that a child writes to the descriptor it is given."""
    ours, theirs = os.pipe()
    status = in_child(lambda: work(theirs))
    os.close(theirs)
    with os.fdopen(ours) as lines:
        found = lines.read().splitlines()
    assert status == 0, f"a round ended badly, status {status}"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--servers", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    killed = rounds(options.kills, options.seed, options.services, options.servers)
    caught = [each for each in killed if not each.finished]
    partly = [each for each in caught if each.services]
    print(
        f"{time.perf_counter() - start:.0f} s: {len(killed)} loads, "
        f"{len(caught)} killed before their end, {len(partly)} of them with a part of the table "
        "in the kernel"
    )
    sizes = sorted(each.destinations for each in partly)
    if sizes:
        print(f"destinations in the kernel then: {sizes[0]} to {sizes[-1]}")
    print("every last start ended in exactly the wanted table, services of others untouched")


if __name__ == "__main__":
    main()
