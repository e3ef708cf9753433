"""How long a process with threads waits whenever the kernel's table of its descriptors is doubled.

    python -m bench.descriptor_table [--sockets 20000]

Sockets are opened one after another in the main thread, while a second one sleeps: once with a
table that grows, and once after `pybal.runtime.descriptors.raise_descriptor_limit`. Shown are those
that took more than a millisecond, by number.
"""

from __future__ import annotations

import argparse
import resource
import socket
import subprocess
import sys
import threading
import time

from pybal.runtime.descriptors import raise_descriptor_limit

GROWS, AT_ONCE = "a table that grows", "all places at once"


def open_all(count: int) -> None:
    """In this process."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    held, slow = [], []
    for _ in range(count):
        began_at_s = time.monotonic()
        held.append(socket.socket())
        took_ms = (time.monotonic() - began_at_s) * 1e3
        if took_ms > 1:
            slow.append(f"{held[-1].fileno()}: {took_ms:.1f} ms")
    print("  ", ", ".join(slow) or "none took more than 1 ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=20_000)
    parser.add_argument("--how", choices=(GROWS, AT_ONCE), help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(options.sockets, hard - 100)
    if options.how is None:
        for how in (GROWS, AT_ONCE):
            print(how, flush=True)
            command = [sys.executable, "-m", "bench.descriptor_table", "--how", how]
            subprocess.run([*command, "--sockets", str(count)], check=True)
        return
    if options.how == AT_ONCE:
        raise_descriptor_limit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    open_all(count)


if __name__ == "__main__":
    main()
