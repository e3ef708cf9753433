"""Host names of URLs while DNS is away: nothing else waits for them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from twisted.internet.threads import deferToThreadPool

from pybal.errors import HTTPFetchError
from pybal.http.hostnames import look_up_in_own_threads
from pybal.http.port import HTTPRequest
from pybal.http.twistedhttp import TwistedHTTPClient
from tests.integration.reactors import run_in_reactor

pytestmark = pytest.mark.integration


def test_look_ups_that_hang_keep_neither_the_disk_nor_the_end_waiting() -> None:
    dns_is_back = threading.Event()
    hanging = []

    def getaddrinfo(*arguments: object) -> list[object]:
        hanging.append(arguments)
        dns_is_back.wait(20)
        return []

    async def main(reactor: Any) -> str:
        look_up_in_own_threads(reactor, getaddrinfo)
        client = TwistedHTTPClient(reactor)
        fetches = [
            client.fetch(HTTPRequest("http://config.example/", timeout_s=0.2, max_bytes=100))
            for _ in range(20)
        ]
        for fetch in fetches:
            with pytest.raises(HTTPFetchError, match="timed out"):
                await fetch
        written: str = await deferToThreadPool(reactor, reactor.getThreadPool(), lambda: "written")
        return written

    try:
        assert run_in_reactor(main, limit_s=5) == "written"
        assert hanging
    finally:
        dns_is_back.set()
