"""What the history costs, and whether it is ever in the way.

python -m bench.history WHAT...

cost      microseconds an event: noted, told from a step of the policy, written; bytes on the disk
storm     --rate 10000 events a second for --seconds 60, beside a heartbeat every 10 ms: how late
that is, without a ledger and with one, what was written and what was lost; --folder to write to (of
a small tmpfs, say) steady    --minutes 2: the largest director (bench/scale.py), without a history
and with one on the disk: share of a core, memory, stalls. As root"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import succeed
from twisted.internet.task import Clock, LoopingCall
from twisted.logger import Logger

from pybal.history.disk import DiskHistory
from pybal.history.event import Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.ledger import Ledger, Note
from pybal.history.settings import HistorySettings
from pybal.model import ServerSpec
from pybal.pool.chronicle import Chronicle
from pybal.pool.events import Candidate, ListChanged, MonitorReported
from pybal.pool.policy import step
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import PolicyStep
from pybal.runtime.gc_tuning import tune_garbage_collection
from pybal.runtime.time_slices import TimeSlices
from tests.history.disk_bench import opened

reactor: Any = global_reactor
KEPT = "PYBAL_BENCH_HISTORY"


def some_note(number: int) -> Note:
    """A report of one of 440 hosts."""
    host = f"host{number % 440}.example.org"
    return Note(
        Kind.REPORT,
        f"IdleConnection reports {host} down: connection refused",
        f"service_{number % 116}",
        host,
        inputs={"event": "MonitorReported", "host": host, "monitor": "IdleConnection", "up": False,
                "reason": "connection refused"},
        concern=Concern(Subject("host", host), "IdleConnection", begins=number % 880 < 440),
    )  # fmt: skip


def on_disk(folder: Path, clock: Any) -> tuple[Ledger, DiskHistory]:
    log = Logger(namespace="history")
    ledger = Ledger(clock, time.time, TimeSlices(clock), log)
    disk = DiskHistory(folder, HistorySettings(), time.time, lambda f: succeed(f()), log)
    ledger.begin(*opened(disk))
    ledger.keep_on(disk)
    return ledger, disk


def microseconds(what: str, count: int, do: Callable[[int], object]) -> None:
    begun_s = time.process_time()
    for number in range(count):
        do(number)
    each = (time.process_time() - begun_s) / count
    print(f"{what}: {each * 1e6:.1f} us")


def cost(options: argparse.Namespace) -> None:  # noqa: ARG001
    clock = Clock()
    ledger = Ledger(clock, time.time, TimeSlices(clock), Logger(namespace="history"))
    microseconds("noted, in memory", 50_000, lambda n: ledger.note(some_note(n)))
    chronicle, state = Chronicle(ledger), PoolState(Fraction(1, 2), ("Ping",))
    hosts = tuple(Candidate(ServerSpec(f"h{n}"), True) for n in range(240))
    state, _ = step(state, ListChanged(hosts), 0.0)

    def steps(told: Callable[[PolicyStep], None]) -> Callable[[int], None]:
        def one(number: int) -> None:
            event = MonitorReported(f"h{number % 100}", "Ping", number % 200 >= 100, "x")
            after, notices = step(state, event, 0.0)
            told(PolicyStep(event, state, after, notices, 0.0))

        return one

    microseconds("a step of a policy of 240 servers", 3000, steps(lambda _: None))
    microseconds("the same, told", 3000, steps(lambda taken: chronicle.stepped("web", taken, None)))
    with tempfile.TemporaryDirectory() as folder:
        ledger, disk = on_disk(Path(folder), clock)
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        for number in range(100_000):
            ledger.note(some_note(number))
            while disk.snapshot().waiting > 10_000:
                time.sleep(0.001)
        ledger.flush()
        while disk.snapshot().waiting:
            time.sleep(0.001)
        took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
        disk.close()
        found = disk.snapshot()
        size = (Path(folder) / "history.sqlite").stat().st_size
        print(
            f"written: {found.written_total} events, {cpu_s / 1e5 * 1e6:.1f} us of CPU and "
            f"{took_s / 1e5 * 1e6:.1f} us each, {size / 1e5:.0f} bytes each, lost {found.lost}"
        )


class Heartbeat:
    """How late what is due every 10 ms is, in milliseconds; and how late it would have been if no
    other process had had the processor meanwhile."""

    every_s = 0.01

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.own_ms: list[float] = []
        self._due_s = self._waited_s = 0.0

    def start(self) -> None:
        self._waited_s = kernel_wait_s()
        self._due_s = time.monotonic() + self.every_s
        reactor.callLater(self.every_s, self._beat)

    def _beat(self) -> None:
        now_s, waited_s = time.monotonic(), kernel_wait_s()
        late_s = now_s - self._due_s
        self.late_ms.append(late_s * 1e3)
        self.own_ms.append(max(0.0, late_s - (waited_s - self._waited_s)) * 1e3)
        self._due_s, self._waited_s = now_s + self.every_s, waited_s
        reactor.callLater(self.every_s, self._beat)


def kernel_wait_s() -> float:
    """How long this thread has waited for a processor so far, since others had it."""
    fields = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()
    return int(fields[1]) / 1e9


def storm(options: argparse.Namespace) -> None:
    tune_garbage_collection(reactor, lambda work: work())  # as in the daemon
    sys.setswitchinterval(0.001)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for with_ledger in (False, True):
            ledger, disk = on_disk(Path(folder), reactor)
            notes: Callable[[Note], object] = ledger.note if with_ledger else (lambda _: None)
            beats, noted = Heartbeat(), 0
            began_s, cpu_s = time.monotonic(), time.process_time()

            def produce(notes: Callable[[Note], object] = notes, began_s: float = began_s) -> None:
                nonlocal noted
                while noted < (time.monotonic() - began_s) * options.rate:
                    notes(some_note(noted))
                    noted += 1
                    if noted % 50 == 0:
                        break

            waited_s = -kernel_wait_s()
            beats.start()
            loop = LoopingCall(produce)
            loop.start(0.5 / (options.rate / 50))
            reactor.callLater(options.seconds, reactor.crash)
            reactor.run()
            loop.stop()
            cpu_s = time.process_time() - cpu_s
            waited_s += kernel_wait_s()
            ledger.stop()
            disk.close()
            for call in reactor.getDelayedCalls():
                call.cancel()
            print(
                f"{'with' if with_ledger else 'without'} the ledger: {noted} events in "
                f"{options.seconds:g} s, {100 * cpu_s / options.seconds:.0f} % of a core, "
                f"{100 * waited_s / options.seconds:.0f} % of the time waited for one; "
                f"heartbeat late by {median(beats.late_ms):.1f} ms, 99 %: "
                f"{quantiles(beats.late_ms, n=100)[98]:.1f}, most {max(beats.late_ms):.1f}; "
                f"without that wait at most {max(beats.own_ms):.1f}"
            )
            if with_ledger:
                print(f"  {disk.snapshot()}")


def steady(options: argparse.Namespace) -> None:
    from bench import scale
    from bench.fleet import largest, running

    with running(largest(options.scale)) as site, tempfile.TemporaryDirectory() as folder:
        for kept in ("", folder, "", folder):
            os.environ[KEPT] = kept
            site.program = ("-m", "bench.history", "daemon")
            print("with the history on the disk:" if kept else "without:", flush=True)
            scale.steady(site, options)


def daemon(arguments: list[str]) -> int:
    """The daemon in dry run, with its history on the disk all the same, or without any."""
    from pybal.daemon import daemon as module
    from pybal.daemon.history_part import HistoryPart, HistoryPorts
    from pybal.main import main as pybal

    kept = os.environ[KEPT]

    class Kept(HistoryPart):
        def __init__(self, ports: HistoryPorts, names: Any) -> None:
            super().__init__(ports._replace(directory=Path(kept) if kept else None), names)
            if not kept:
                vars(self.ledger)["note"] = vars(self)["stepped"] = lambda *_: 0

    vars(module)["HistoryPart"] = Kept
    return pybal(arguments)


WHAT: dict[str, Callable[[argparse.Namespace], None]] = {
    "cost": cost,
    "storm": storm,
    "steady": steady,
}


def main() -> None:
    if sys.argv[1:2] == ["daemon"]:
        sys.exit(daemon(sys.argv[2:]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=WHAT)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    for what in options.what:
        WHAT[what](options)


if __name__ == "__main__":
    main()
