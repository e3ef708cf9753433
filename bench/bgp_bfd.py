"""How long until a frozen router, or a frozen director, is noticed: BFD at 3 x 100 ms.

    sudo python -m bench.bgp_bfd [--repeat 10]

SIGSTOP freezes a process whose kernel lives on, so that TCP notices nothing. `ours` is the time
until our session has ended; `theirs` the time until the router's route is gone, polled with
its own command line (about 10 ms a question).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Process, Speaker, Wire, eventually
from tests.bgp.routers import Bird, FrrWithBFD

INTERVAL_MS, MULTIPLIER = 100, 3


def start_bird(wire: Wire, directory: Path) -> tuple[Any, list[Process]]:
    bird = Bird(
        wire,
        directory,
        options="direct; bfd on;",
        globals=f'protocol bfd {{ interface "v0" {{ interval {INTERVAL_MS} ms; '
        f"multiplier {MULTIPLIER}; }}; }}",
    )
    return bird, [bird]


def start_frr(wire: Wire, directory: Path) -> tuple[Any, list[Process]]:
    frr = FrrWithBFD(wire, directory, interval_ms=INTERVAL_MS)
    return frr, [*frr.daemons, frr]


def seconds_until(condition: Callable[[], Any]) -> float:
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > 20:
            raise SystemExit("not noticed within 20 s")
        time.sleep(0.002)
    return time.perf_counter() - began


def once(router: Any, frozen: list[Process], speaker: Speaker) -> tuple[float, float]:
    def ready() -> bool:
        return speaker.peer()["bfd"] == "UP" and bool(router.routes())

    eventually("BFD and BGP are up", ready, 30)
    time.sleep(1)
    lost = speaker.peer()["sessions_lost"]
    for process in frozen:
        process.freeze()
    ours = seconds_until(lambda: speaker.peer()["sessions_lost"] > lost)
    for process in frozen:
        process.thaw()
    eventually("BFD and BGP are up", ready, 30)
    time.sleep(1)
    speaker.freeze()
    theirs = seconds_until(lambda: not router.routes())
    speaker.thaw()
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    repeat = parser.parse_args().repeat
    for name, start in (("BIRD", start_bird), ("FRR", start_frr)):
        with Wire() as wire, tempfile.TemporaryDirectory() as directory:
            router, frozen = start(wire, Path(directory))
            peer = {
                "address": ROUTER_IPV4,
                "asn": 64600,
                "bfd": {"interval_ms": INTERVAL_MS, "multiplier": MULTIPLIER},
                "fsm": {"idle_hold_max_s": 1.0, "connect_retry_s": 2.0},
            }
            speaker = Speaker(wire, Path(directory), peers=[peer], listen=[OUR_IPV4])
            try:
                speaker.announce("web", "192.0.2.1")
                results = [once(router, frozen, speaker) for _ in range(repeat)]
            finally:
                speaker.close()
                router.close()
        for side, values in zip(("ours", "theirs"), zip(*results, strict=True), strict=True):
            print(
                f"{name:5} {side:7} median {statistics.median(values) * 1000:5.0f} ms, "
                f"worst {max(values) * 1000:5.0f} ms of {repeat}",
                flush=True,
            )


if __name__ == "__main__":
    main()
