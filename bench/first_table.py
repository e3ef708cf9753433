"""How soon after its start a director's table is full: all servers of one service found up.

    scripts/vm --memory 1024 --timeout 200 -- \\
        sh -c "ulimit -n 8000 && PYTHON -m bench.first_table [--servers 1000] [TCPCheck ...]"

Root, in the virtual machine: it is the kernel's own table. For each monitor: seconds from exec
until its first line of log (by then all code is loaded), until the first server and until all of
them stand there; the processor time of the daemon until then.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from bench.fleet import load_average
from bench.pool_death import PORT, TABLE, Servers, addresses, configure, daemon

_LIMIT_S = 60.0


def measure(count: int, monitor: str, interval: str) -> None:
    """One run."""
    hosts, alive = addresses(count, 20), addresses(3, 21)
    subprocess.run(["ipvsadm", "-C"], check=True)
    with (
        tempfile.TemporaryDirectory() as name,
        Servers(hosts, [PORT]),
        Servers(alive, [PORT]),
    ):
        config = configure(Path(name), hosts, alive, "0", 1)
        wanted_monitor = f'["{monitor}"]\n{monitor.lower()}.interval = {interval}'
        text = config.read_text().replace('["IdleConnection"]', wanted_monitor)
        config.write_text(text)
        wanted, first_s = count + len(alive), 0.0
        with daemon(config, dry=False) as director:
            while (past_s := time.monotonic() - director.started_at_s) < _LIMIT_S:
                found = standing()
                first_s = first_s or (past_s if found else 0.0)
                if found >= wanted:
                    break
                time.sleep(0.1)
            cpu_s = director.cpu_s()
            spoke_s = director.lines[0][0] - director.started_at_s
        print(
            f"{monitor}: first words after {spoke_s:.1f} s, first server after {first_s:.1f} s,"
            f" all {wanted} after {past_s:.1f} s, {cpu_s:.1f} s of CPU; {load_average()}",
            flush=True,
        )


def standing() -> int:
    """Destinations in the kernel's table."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    return sum(line.startswith("  -> ") for line in lines[3:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("monitors", nargs="*", default=["IdleConnection", "TCPCheck"])
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--interval", default="10", help="of the checks, in seconds")
    options = parser.parse_args()
    for monitor in options.monitors:
        measure(options.servers, monitor, options.interval)


if __name__ == "__main__":
    main()
