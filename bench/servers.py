"""Thousands of real servers in one process, each a listening socket of its own, behind a switch.

    python -m bench.servers SHAPE.json

SHAPE.json is a list of [address, port, kind]; kind is `idle` (accepts and is silent), `http`,
`https`, or `mortal`: an idle one that is a process of its own and can only be killed. Prints
`ready`. Then reads commands, a line each, and answers each with the moment of the act
(CLOCK_MONOTONIC, seconds):

    kill ADDRESS PORT      close the listener, then its connections; a `mortal` one: kill -9
    reset ADDRESS PORT     the same, but connections are reset
    revive ADDRESS PORT    listen again
    stall ADDRESS PORT     accept, and never say a word
    slow ADDRESS PORT S    answer after S seconds
    fail ADDRESS PORT      answer 500
    heal ADDRESS PORT      as in the beginning
    counts                 `connections now, connections ever, the most begun in one second`
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.sockets import reset_at_close

HANDFUL = 128
_PR_SET_PDEATHSIG = 1
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfine\n"
_BAD = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class RealServer:
    """One address and port."""

    def __init__(self, fleet: Fleet, address: str, port: int, kind: str) -> None:
        self.fleet = fleet
        self.address, self.port, self.kind = address, port, kind
        self.mood, self.delay_s = "well", 0.0
        self.connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.address, self.port))
        loop = asyncio.get_running_loop()
        tls = self.fleet.tls if self.kind == "https" else None
        self._server = await loop.create_server(
            lambda: Connection(self), sock=sock, backlog=HANDFUL, ssl=tls
        )

    def close(self, *, reset: bool) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.connections):
            if reset:
                reset_at_close(transport.get_extra_info("socket"))
            transport.abort()


class MortalServer:
    """One address and port in a process of its own, which ends with this one."""

    def __init__(self, address: str, port: int) -> None:
        self.connections: set[asyncio.Transport] = set()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(HANDFUL)
        self._pid = os.fork()
        if self._pid:
            sock.close()
            return
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        accepted = []
        while True:
            accepted.append(sock.accept())

    async def listen(self) -> None:
        """It does so already."""

    def close(self, *, reset: bool) -> None:  # noqa: ARG002
        os.kill(self._pid, signal.SIGKILL)


class Connection(asyncio.Protocol):
    """One connection to one server."""

    def __init__(self, server: RealServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)
        self._server.fleet.count()

    def data_received(self, data: bytes) -> None:
        server = self._server
        if server.kind == "idle" or server.mood == "stall" or not data.endswith(b"\r\n\r\n"):
            return
        asyncio.get_running_loop().call_later(server.delay_s, self._answer)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        assert self._transport is not None
        self._server.connections.discard(self._transport)

    def _answer(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(_BAD if self._server.mood == "fail" else _OK)
            transport.close()


class Fleet:
    """All servers, and the switch."""

    def __init__(self, shape: list[tuple[str, int, str]], tls: ssl.SSLContext) -> None:
        self.tls = tls
        self.ever = 0
        self._each_second: Counter[int] = Counter()
        # They are forked before there is anything that they had to let go of.
        self._servers: dict[tuple[str, int], RealServer | MortalServer] = {
            (a, p): MortalServer(a, p) for a, p, kind in shape if kind == "mortal"
        }
        self._servers |= {
            (a, p): RealServer(self, a, p, kind) for a, p, kind in shape if kind != "mortal"
        }

    async def run(self) -> None:
        for server in self._servers.values():
            await server.listen()
        print("ready", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            print(await self._obey(line.decode().split()), flush=True)

    def count(self) -> None:
        self.ever += 1
        self._each_second[int(time.monotonic())] += 1

    async def _obey(self, words: list[str]) -> str:
        if words == ["counts"]:
            now = sum(len(server.connections) for server in self._servers.values())
            most = max(self._each_second.values(), default=0)
            self._each_second.clear()
            return f"{now} {self.ever} {most}"
        verb, address, port, *rest = words
        server = self._servers[address, int(port)]
        at_s = time.monotonic()
        if verb in ("kill", "reset"):
            server.close(reset=verb == "reset")
            return str(at_s)
        assert isinstance(server, RealServer), "a mortal server can only be killed"
        match verb:
            case "revive":
                await server.listen()
            case "slow":
                server.delay_s = float(rest[0])
            case "stall" | "fail":
                server.mood = verb
            case "heal":
                server.mood, server.delay_s = "well", 0.0
            case _:
                raise ValueError(verb)
        return str(at_s)


def make_tls(folder: Path) -> ssl.SSLContext:
    """A context with a certificate of its own."""
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=fleet -keyout key.pem -out cert.pem".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    shape = [
        (str(a), int(p), str(kind)) for a, p, kind in json.loads(Path(sys.argv[1]).read_text())
    ]
    with tempfile.TemporaryDirectory() as name:
        tls = make_tls(Path(name))
    asyncio.run(Fleet(shape, tls).run())


if __name__ == "__main__":
    main()
