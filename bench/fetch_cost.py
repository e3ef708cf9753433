"""Processor time of one check over HTTP and HTTPS.

    python -m bench.fetch_cost [--count 1000]

The server is a process of its own on loopback (bench.servers). Twenty checks are under way at a
time. Prints seconds of this process per 1,000 checks, the least of five rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator

from pybal.http.client import BoundedHTTPClient
from pybal.http.port import HTTPClient, HTTPRequest, HTTPResponse
from pybal.model import IPAddress
from pybal.net.sockets import SocketNetwork
from pybal.net.tls_resumption import TLSResumption
from tests.fakes.files import FilesHere

PORTS = {"http": 18080, "https": 18443}
AT_A_TIME = 20
ROUNDS = 5
ADDRESS = "127.0.0.9"


class NoNames:
    """A HostLookUp for who connects to addresses alone."""

    def look_up(self, host: str) -> Deferred[tuple[IPAddress, ...]]:
        raise AssertionError(f"{host} was looked up")


def request(scheme: str) -> HTTPRequest:
    return HTTPRequest(
        f"{scheme}://site.example/health",
        timeout_s=5.0,
        max_bytes=1 << 20,
        headers={"User-Agent": "Twisted PageGetter"},
        connect_to=(ip_address(ADDRESS), PORTS[scheme]),
        tls_verify=False,
        truncate=True,
        lenient=True,
        resumption=TLSResumption(),
    )


async def cost_s(client: HTTPClient, scheme: str, count: int) -> float:
    """Seconds of this process's time for `count` checks, a part of them by each of several monitors
    that resume their TLS sessions."""
    began_s = time.process_time()
    cooperator = Cooperator()
    monitors = [checks(client, request(scheme), count // AT_A_TIME) for _ in range(AT_A_TIME)]
    await gather([cooperator.coiterate(each) for each in monitors])
    return time.process_time() - began_s


def checks(client: HTTPClient, one: HTTPRequest, count: int) -> Iterator[Deferred[HTTPResponse]]:
    """Those of one monitor, which goes on when the last one is answered."""
    for _ in range(count):
        yield client.fetch(one)


async def gather(deferreds: list[Deferred[Any]]) -> None:
    for deferred in deferreds:
        await deferred


async def measure(count: int) -> None:
    reactor: Any = global_reactor
    network = SocketNetwork(reactor)
    client = BoundedHTTPClient(reactor, network, NoNames(), post_quantum=False, files=FilesHere())
    for scheme in PORTS:
        times = [await cost_s(client, scheme, count) * 1000 / count for _ in range(ROUNDS)]
        print(f"{scheme}: per 1,000 checks {min(times):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    reactor: Any = global_reactor
    with tempfile.TemporaryDirectory() as folder:
        shape = Path(folder) / "shape.json"
        shape.write_text(json.dumps([[ADDRESS, port, s] for s, port in PORTS.items()]))
        command = [sys.executable, "-m", "bench.servers", str(shape)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as servers:
            assert servers.stdout is not None
            assert servers.stdout.readline() == "ready\n"
            measuring = Deferred.fromCoroutine(measure(options.count))
            measuring.addErrback(lambda failure: print(failure.getTraceback()))
            measuring.addBoth(lambda _: reactor.stop())
            reactor.run()
            servers.kill()


if __name__ == "__main__":
    main()
