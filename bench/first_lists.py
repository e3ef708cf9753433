"""The first pool list of many large services: how long it holds up the reactor.

    python -m bench.first_lists [--servers 2400] [--services 44] [--seconds 40]

A dry run without monitors, all services with one list. Prints the processor time of the daemon, and
of the longest turns of its reactor how long they took and what they used of a processor: on a
machine that has other things to do the second number says more.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

from bench.fleet import load_average
from bench.pool_death import GLOBAL, addresses, daemon

SHOWN = 8

SERVICE = """
[service-{number}]
protocol = tcp
ip = 10.30.0.{number}
port = 80
scheduler = rr
config = file://{folder}/pool
depool-threshold = .5
monitors = []
"""


def configure(folder: Path, servers: int, services: int) -> Path:
    lines = [f"{{'host': '{host}'}}\n" for host in addresses(servers, 20)]
    (folder / "pool").write_text("".join(lines))
    config = folder / "pybal.conf"
    sections = (SERVICE.format(number=n + 1, folder=folder) for n in range(services))
    config.write_text(GLOBAL + "".join(sections))
    return config


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=2400)
    parser.add_argument("--services", type=int, default=44)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        config = configure(Path(name), options.servers, options.services)
        with daemon(config, dry=True) as director:
            time.sleep(options.seconds)
            used_s = director.cpu_s()
            lines = [line for _, line in director.lines]
    found = [re.search(r"TURN ([\d.]+) ([\d.]+)", line) for line in lines]
    turns = sorted(((float(m[2]), float(m[1])) for m in found if m), reverse=True)
    print(f"{used_s:.1f} s of CPU, {len(turns)} turns of 5 ms and more; {load_average()}")
    for used_ms, took_ms in turns[:SHOWN]:
        print(f"{used_ms:6.1f} ms of CPU in {took_ms:.1f} ms")


if __name__ == "__main__":
    main()
