"""What a viewer of the status page costs the daemon, at the size of the largest real director.

python -m bench.page_viewers [--scale 1.0] [--seconds 60]

As root. For each row so many look at pages for so long, all of them taking what is sent: the share
of a core that the daemon took beyond what it takes without viewers, for all and for each; how often
the page was sent something, and how much. Checks go on meanwhile: the page of a service changes all
the time, as it shows what each monitor last found.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.fleet import Director, Site, largest, load_average, running, wait_for_first_results
from tests.stage import entered

_ADDRESS = ("127.0.0.1", 9090)


@dataclass
class Taken:
    """What viewers were sent."""

    events: int = 0
    size_bytes: int = 0


@contextlib.contextmanager
def viewers(director: Director, pages: list[str]) -> Iterator[list[socket.socket]]:
    """One for each page, by the name of its service; empty is the director's."""
    opened = []
    with entered(Path(f"/proc/{director.pid}/ns/net")):
        for page in pages:
            viewer = socket.create_connection(_ADDRESS)
            path = f"/status.stream?of={quote(page)}"
            viewer.sendall(f"GET {path} HTTP/1.1\r\nHost: director\r\n\r\n".encode())
            opened.append(viewer)
    try:
        yield opened
    finally:
        for viewer in opened:
            viewer.close()


def take(opened: list[socket.socket], seconds: float) -> Taken:
    """Take what comes for so long."""
    taken = Taken()
    ends_at = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for viewer in opened:
            selector.register(viewer, selectors.EVENT_READ)
        while (left := ends_at - time.monotonic()) > 0:
            for key, _ in selector.select(min(left, 0.5)):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(1 << 20)
                assert data, "a viewer was cut off"
                taken.events += data.count(b"\ndata: ")
                taken.size_bytes += len(data)
        if not opened:
            time.sleep(max(0.0, ends_at - time.monotonic()))
    return taken


def share(director: Director, pages: list[str], seconds: float) -> tuple[float, Taken]:
    """Percent of a core, and what was taken."""
    with viewers(director, pages) as opened:
        take(opened, 3)  # the first rendering
        cpu_s, began_s = director.cpu_s(), time.monotonic()
        taken = take(opened, seconds)
        return 100 * (director.cpu_s() - cpu_s) / (time.monotonic() - began_s), taken


def measure(site: Site, seconds: float) -> None:
    shared = [pool.name for pool in site.shape.pools if pool.pool_file == "shared"]
    asked = [pool.name for pool in site.shape.pools if pool.fetch]
    rows = {
        "the director, 1 viewer": [""],
        "the director, 10 viewers": [""] * 10,
        "a service of 240 servers, 1 viewer": shared[:1],
        "10 services of 240 servers, 10 viewers": shared[:10],
        "10 services of 10 servers that are fetched from, 10 viewers": asked[:10],
        "the director and 40 services, 60 viewers": [""] * 20 + shared[:40],
    }
    with site.director() as director:
        wait_for_first_results(site)
        time.sleep(5)
        before, _ = share(director, [], seconds)
        print(f"{site.shape.monitors} monitors, nobody looks: {before:.1f} % of a core")
        for what, pages in rows.items():
            with_viewers, taken = share(director, pages, seconds)
            after, _ = share(director, [], seconds / 2)
            more = with_viewers - (before + after) / 2
            before = after
            print(
                f"{what}: {more:+.1f} %, {more / len(pages):.2f} % a viewer; "
                f"{taken.events / len(pages) / seconds:.2f} events and "
                f"{taken.size_bytes / len(pages) / seconds / 1024:.1f} KiB a second each"
            )
        longest_s = site.metric("pybal_reactor_stall_seconds_max")
        print(f"longest stall since the start {longest_s * 1e3:.0f} ms; {load_average()}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with running(largest(options.scale)) as site:
        measure(site, options.seconds)


if __name__ == "__main__":
    main()
