"""The first pool list of many large services, and the same in quite another order: how long they
hold up the reactor.

    python -m bench.first_lists [--servers 2400] [--services 44] [--seconds 40]

A dry run without monitors, all services with one list. Prints of each list the processor time of
the daemon in so many seconds, and of the longest turns of its reactor how long they took and what
they used of a processor: on a machine that has other things to do the second number says more.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from pathlib import Path

from bench.fleet import Director, load_average
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


def write_list(folder: Path, hosts: list[str]) -> None:
    """Replaces it."""
    (folder / "new").write_text("".join(f"{{'host': '{host}'}}\n" for host in hosts))
    (folder / "new").rename(folder / "pool")


def configure(folder: Path, hosts: list[str], services: int) -> Path:
    write_list(folder, hosts)
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
    hosts = addresses(options.servers, 20)
    with tempfile.TemporaryDirectory() as name:
        config = configure(Path(name), hosts, options.services)
        with daemon(config, dry=True) as director:
            show("first list", director, options.seconds)
            random.Random(1).shuffle(hosts)
            write_list(Path(name), hosts)
            show("in another order", director, options.seconds)


def show(what: str, director: Director, seconds: float) -> None:
    """What happens in so many seconds from now."""
    since, used_s = len(director.lines), director.cpu_s()
    time.sleep(seconds)
    used_s = director.cpu_s() - used_s
    lines = [line for _, line in director.lines[since:]]
    found = [re.search(r"TURN ([\d.]+) ([\d.]+)", line) for line in lines]
    turns = sorted(((float(m[2]), float(m[1])) for m in found if m), reverse=True)
    print(f"{what}: {used_s:.1f} s of CPU, {len(turns)} turns of 5 ms and more; {load_average()}")
    for used_ms, took_ms in turns[:SHOWN]:
        print(f"{used_ms:6.1f} ms of CPU in {took_ms:.1f} ms")


if __name__ == "__main__":
    main()
