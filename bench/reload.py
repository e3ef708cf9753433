"""A reload of many services of which one, or some, have changed: how long it takes, how often the
kernel is told something, and how late the event loop is meanwhile.

python -m bench.reload [--services 1000] [--changed 1] [--times 10]

The daemon is whole, on a real reactor with real threads; its kernel, network and routers are in
memory, so that nothing but its own work is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from pybal.runtime.gc_tuning import tune_garbage_collection
from tests.fakes.daemon import daemon_in_memory

reactor: Any = the_reactor

SERVERS = 10
BEAT_S = 0.002


def configuration(folder: Path, services: int, changed: int, scheduler: str) -> str:
    """The first services have this scheduler, all others wrr."""
    text = "[global]\nstate-directory = none\ncontrol-socket = no\n"
    for number in range(services):
        text += (
            f"[s{number}]\nprotocol = tcp\nport = 80\n"
            f"ip = 10.1.{number // 250}.{number % 250 + 1}\n"
            f"scheduler = {scheduler if number < changed else 'wrr'}\nconfig = file://{folder}/pool\n"
            "depool-threshold = .5\nmonitors = ['IdleConnection']\n"
        )
    return text


@dataclass(frozen=True)
class Late:
    """How late a beat came at worst, and the most processor time of the reactor's thread between
    two: on a machine that others use, too, only the latter is ours."""

    s: float = 0.0
    busy_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.s * 1e3:.1f} ms (own work {self.busy_s * 1e3:.1f})"


class Beats:
    """A fast heartbeat."""

    def __init__(self) -> None:
        self._late = Late()
        self._at, self._worked = time.monotonic(), time.thread_time()

    def beat(self) -> None:
        now, worked = time.monotonic(), time.thread_time()
        self._late = Late(
            max(self._late.s, now - self._at - BEAT_S),
            max(self._late.busy_s, worked - self._worked),
        )
        self._at, self._worked = now, worked
        reactor.callLater(BEAT_S, self.beat)

    def take(self) -> Late:
        late, self._late = self._late, Late()
        return late


async def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = "".join(f"{{'host': '10.0.0.{n + 1}'}}\n" for n in range(SERVERS))
        (folder / "pool").write_text(pool)
        path = folder / "pybal.conf"
        path.write_text(configuration(folder, options.services, 0, "wrr"))
        daemon = daemon_in_memory(path, reactor, in_thread=deferToThread)
        daemon.start()
        while not daemon.view.ipvs().in_sync or daemon.view.ipvs().services < options.services:
            await deferLater(reactor, 0.5, lambda: None)
        await deferLater(reactor, options.settle, lambda: None)
        beats = Beats()
        beats.beat()
        took, stalls, worked = [], [], []
        for number in range(options.times):
            await deferLater(reactor, 1.0, lambda: None)
            quiet = beats.take()
            scheduler = ("sh", "wlc")[number % 2]
            path.write_text(configuration(folder, options.services, options.changed, scheduler))
            before, began = daemon.view.ipvs().changes_total, time.monotonic()
            cpu_s = time.process_time()
            outcome: Any = await daemon.reload()
            took.append(time.monotonic() - began)
            worked.append(time.process_time() - cpu_s)
            assert outcome.successful, outcome.errors
            while not daemon.view.ipvs().in_sync:
                await deferLater(reactor, 0.01, lambda: None)
            await deferLater(reactor, 0.2, lambda: None)
            stalls.append(beats.take())
            print(
                f"reload {number}: {outcome.steps[0]}: {took[-1] * 1e3:.1f} ms,"
                f" {daemon.view.ipvs().changes_total - before} operations on the kernel,"
                f" event loop late by {stalls[-1]}; without a reload: {quiet}",
                flush=True,
            )
        print(
            f"{options.services} services: median {statistics.median(took) * 1e3:.1f} ms,"
            f" {statistics.median(worked) * 1e3:.1f} of processor time; own work in one turn"
            f" at most {max(each.busy_s for each in stalls) * 1e3:.1f} ms"
            f" (load {os.getloadavg()[0]:.1f})"
        )
        await daemon.stop()


@contextmanager
def _stopping() -> Iterator[None]:
    try:
        yield
    finally:
        reactor.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--changed", type=int, default=1)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument(
        "--settle", type=float, default=10.0, help="seconds before the first reload"
    )
    options = parser.parse_args()

    async def run() -> None:
        with _stopping():
            await measure(options)

    tune_garbage_collection(reactor, lambda work: work())
    sys.setswitchinterval(0.001)  # as main does
    reactor.callWhenRunning(
        lambda: Deferred.fromCoroutine(run()).addErrback(lambda failure: failure.printTraceback())
    )
    reactor.run()


if __name__ == "__main__":
    main()
