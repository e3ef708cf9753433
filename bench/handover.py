"""How long nobody speaks for a director over a restart: from the start of the next process to its
first word to a router.

Usage: python -m bench.handover [--services N] [--servers N] [--runs N]

A dry run that speaks BGP (dry-run-bgp) stands for the daemon: it does all that a start does before
it turns to its peers. `systemctl restart` adds what the former process takes to leave, a crash the
unit's RestartSec (0.1 s).
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """[global]
dryrun = yes
dry-run-bgp = yes
state-directory = none
control-socket = no
bgp = yes
bgp-local-asn = 64600
bgp-local-port = 1790
bgp-local-ips = ["127.0.0.1"]
bgp-nexthop-ipv4 = 192.0.2.1
bgp-peer-address = ["127.0.0.9"]
bgp-connect-only = yes
bgp-router-id = 192.0.2.1
[[peer 127.0.0.9]]
bgp-peer-port = {port}
"""
SERVICE = """
[svc{number}]
protocol = tcp
ip = 198.51.{high}.{low}
port = 80
scheduler = wrr
config = file://{pool}
depool-threshold = .5
monitors = ["IdleConnection"]
"""


def start_s(config: Path, listener: socket.socket) -> tuple[float, float]:
    """From the start of a process to its connection to the router; and the processor time of
    that, which is what it takes where nothing else runs."""
    command = [sys.executable, "-m", "pybal", "-c", str(config)]
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        connection, _ = listener.accept()
        took = time.monotonic() - began
        # utime and stime, proc(5).
        used = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        connection.close()
        process.kill()
    return took, sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=10)
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.9", 0)) as listener:
        listener.settimeout(60)
        folder = Path(name)
        pool = folder / "pool"
        servers = (f"127.2.{n // 250}.{n % 250 + 1}" for n in range(options.servers))
        lines = (f"{{'host': '{each}', 'weight': 1, 'enabled': True}}" for each in servers)
        pool.write_text("\n".join(lines) + "\n")
        text = CONFIG.format(port=listener.getsockname()[1])
        for number in range(options.services):
            text += SERVICE.format(
                number=number, high=number // 250, low=number % 250 + 1, pool=pool
            )
        config = folder / "pybal.conf"
        config.write_text(text)
        start_s(config, listener)  # compiles what is not compiled yet
        runs = [start_s(config, listener) for _ in range(options.runs)]
    print(
        f"{options.services} services of {options.servers} servers: a start takes"
        f" {statistics.median(took for took, _ in runs):.2f} s until the first word to a router,"
        f" {statistics.median(used for _, used in runs):.2f} s of it processor time"
        f" ({options.runs} runs)"
    )


if __name__ == "__main__":
    main()
