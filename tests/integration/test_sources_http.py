"""The HTTP source with the real client against a real server that goes from good to bad."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pybal.config.settings import HTTPSource
from pybal.model import ServerSpec
from pybal.sources.create import create_source
from tests.fakes.log import FakeLog
from tests.fakes.sources import Servers, source_ports
from tests.integration.reactors import real_client, run_in_reactor, until

pytestmark = pytest.mark.integration

A, B = ServerSpec("a"), ServerSpec("b")


class ConfigMaster(ThreadingHTTPServer):
    """Serves `body` with an ETag; `mood` is how."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.body = b"{'host': 'a'}\n{'host': 'b'}\n"
        self.mood = "good"
        self.statuses: list[int] = []


class Answer(BaseHTTPRequestHandler):
    server: ConfigMaster

    def do_GET(self) -> None:
        body, etag = self.server.body, f'"{hash(self.server.body)}"'
        good = self.server.mood == "good"
        status = 304 if good and self.headers["If-None-Match"] == etag else 200
        self.server.statuses.append(status)
        self.send_response(status)
        if good:
            self.send_header("ETag", etag)
        if self.server.mood == "lying":
            self.send_header("Content-Length", str(len(body) + 100))
        elif self.server.mood != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status == 200:
            self.wfile.write(body)
        try:
            while self.server.mood == "endless":
                self.wfile.write(body * 10_000)
        except OSError:
            pass  # the client has had enough

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def config_master() -> Iterator[ConfigMaster]:
    with ConfigMaster() as master:
        thread = threading.Thread(target=master.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield master
        finally:
            master.shutdown()
            thread.join(5)


def test_no_mood_of_a_server_empties_the_pool() -> None:
    published: list[Servers] = []
    log = FakeLog()

    async def main(reactor: Any) -> None:
        environment = source_ports(reactor, http=real_client(reactor))
        url = f"http://127.0.0.1:{master.server_address[1]}/pybal/text"
        source = create_source(
            HTTPSource(url),
            "svc",
            lambda found: published.append(found.servers),
            environment,
            log.logger("svc"),
        )

        async def until_told(text: str) -> None:
            await until(reactor, lambda: any(text in line for line in log.lines))

        source.start()
        await until(reactor, lambda: 304 in master.statuses)
        assert (published, log.lines) == ([(A, B)], [])
        master.mood = "lying"
        master.body = b"{'host': 'b'}\n"
        await until_told("connection closed after 14 of 114 bytes of body")
        master.mood = "endless"
        await until_told("more than 4194304 bytes")
        assert source.snapshot().stale
        assert published == [(A, B)]
        master.mood = "good"
        await until(reactor, lambda: not source.snapshot().stale)
        await until(reactor, lambda: published == [(A, B), (B,)])
        source.stop()

    with config_master() as master:
        run_in_reactor(main)
