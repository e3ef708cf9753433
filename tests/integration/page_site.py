"""A director with real servers that go down and up, for a browser to look at: all in a network
namespace of its own."""

from __future__ import annotations

import contextlib
import http.server
import json
import signal
import socket
import threading
from pathlib import Path
from typing import Self

from tests.namespace import Namespace
from tests.running import RunningPybal, until
from tests.stage import entered

STATUS = "http://127.0.0.1:9090/status"
EVIL = "<script>window.harm=1</script><img src=x onerror=window.harm=2>"
"""What somebody might get into a name, a reason or a URL."""
EVIL_SERVICE = "<svg><script>window.harm=4"
"""A service's name may not have everything in it."""
PORT = 8080
_REALS = 14
_GLOBAL = """
[global]
instrumentation = yes
instrumentation_ips = [ "127.0.0.1" ]
state-directory = none
isolation = no
"""
_BGP = """
bgp = yes
dry-run-bgp = yes
bgp-local-asn = 64600
bgp-peer-address = "10.9.0.200"
bgp-nexthop-ipv4 = 10.9.0.100
"""
_MONITORS = """
monitors = ['IdleConnection', 'ProxyFetch']
proxyfetch.interval = 2
proxyfetch.timeout = 1
proxyfetch.url = ['http://en.example.org/wiki/Special:BlankPage']
"""
_EVIL_MONITORS = """
monitors = ['ProxyFetch', 'RunCommand']
proxyfetch.interval = 2
proxyfetch.timeout = 1
proxyfetch.url = ['http://en.example.org/{evil}']
proxyfetch.http_status = 404
runcommand.interval = 2
runcommand.timeout = 1
runcommand.command = {folder}/evil.sh
runcommand.arguments = []
"""
POOLS = {
    "textlb_443": range(1, 9),
    "uploadlb_443": range(5, 13),
    "ncredir_80": range(1, 3),
    "kartotherian-ssl_443": range(9, 13),
    "dns_rec_53": range(13, 15),
    **{f"k8s-ingress-{n}_30443": range(3, 13) for n in range(1, 7)},
}


def name(real: int) -> str:
    return f"cp{3060 + real}.example.org"


def _address(real: int) -> str:
    return f"10.9.0.{real}"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, where: tuple[str, int]) -> None:
        super().__init__(where, _Answer, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self._open: set[socket.socket] = set()

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._open.add(request)
        super().process_request(request, client_address)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class PageSite:
    """Use it with `with`. `pybal` is the daemon, in dry run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        hosts = {name(real): (_address(real),) for real in range(1, _REALS + 1)}
        self.namespace = Namespace(hosts)
        self._servers: dict[int, _Server] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.namespace)
        self.namespace.ip("route", "add", "local", "10.9.0.0/16", "dev", "lo")
        for real in range(1, _REALS + 1):
            self.up(real)
        self.pybal = RunningPybal(self.namespace.wrap, self.folder, self._config(), "-n")
        self._stack.enter_context(self.pybal)
        until(lambda: "k8s-ingress-6" in self.pybal.get("/pools"))
        return self

    def __exit__(self, *_: object) -> None:
        for real in tuple(self._servers):
            self.down(real)
        self._stack.close()

    def up(self, real: int) -> None:
        """Its server answers from now on."""
        with entered(Path("/run/netns", self.namespace.name)):
            listening = socket.create_server((_address(real), PORT))
        server = self._servers[real] = _Server(listening, (_address(real), PORT))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self, real: int) -> None:
        """Its server is gone, and so are its connections."""
        self._servers.pop(real).end()

    def write_pool(self, pool: str, hosts: list[str]) -> None:
        """Its list, whole."""
        entries = {host: {"enabled": True, "weight": 10} for host in hosts}
        new = self.folder / "new"
        new.write_text(json.dumps(entries))
        new.rename(self.folder / f"{pool}.json")

    def _config(self) -> str:
        text = _GLOBAL + _BGP
        for number, (pool, reals) in enumerate(POOLS.items(), 1):
            self.write_pool(pool, [name(real) for real in reals])
            self.namespace.ip("address", "add", f"10.8.0.{number}/32", "dev", "lo")
            text += self._section(pool, number) + _MONITORS
        return text

    def add_evil(self) -> None:
        """A reload brings a service that is full of HTML."""
        (self.folder / "evil.sh").write_text(f"#!/bin/sh\necho '{EVIL}'\nexit 1\n")
        (self.folder / "evil.sh").chmod(0o755)
        self.write_pool("evil", [name(14), "<b>10.9.0.1</b>"])
        text = self._section("evil", 99).replace("[evil]", f"[{EVIL_SERVICE}]") + "bgp = no\n"
        text += _EVIL_MONITORS.format(evil=EVIL.replace(" ", ""), folder=self.folder)
        with self.pybal.config_path.open("a") as config:
            config.write(text)
        self.pybal.send_signal(signal.SIGHUP)

    def _section(self, pool: str, number: int) -> str:
        return (
            f"[{pool}]\nprotocol = tcp\nip = 10.8.0.{number}\nport = {PORT}\nscheduler = wrr\n"
            f"config = file://{self.folder}/{pool}.json\ndepool-threshold = .5\n"
        )


LARGEST_SIZES = [240] * 44 + [7] * 71 + [38]
"""Servers of each service of the largest real director: 116 services, 11,095 servers."""


def largest(folder: Path) -> str:
    """pybal.conf of the largest director, without monitors, and its pool lists."""
    text = _GLOBAL
    for size in set(LARGEST_SIZES):
        lines = (f"{{'host': '10.9.{n // 250 + 1}.{n % 250 + 1}'}}\n" for n in range(size))
        (folder / f"pool-{size}").write_text("".join(lines))
    for number, size in enumerate(LARGEST_SIZES):
        text += (
            f"[service-{number}_443]\nprotocol = tcp\nip = 10.8.1.{number + 1}\nport = {PORT}\n"
            f"scheduler = wrr\nconfig = file://{folder}/pool-{size}\nmonitors = []\n"
        )
    return text
