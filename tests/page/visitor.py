"""A browser's requests to the page of one view."""

from __future__ import annotations

import json
from typing import Any

from pybal.page.pages import StatusSite
from tests.fakes.view import NOON
from tests.instrumentation.exchange import Client, Connection

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


class Visitor(Client):
    """A client of a site that has the page; `clock` moves the time of day, too."""

    def __init__(self, view: Any, **options: Any) -> None:
        super().__init__(view, **options)
        self.status = StatusSite(
            clock=self.clock,
            view=view,
            watch=self.watch,
            time_slices=self.time_slices,
            now=lambda: NOON + self.clock.seconds(),
            log=self.log.logger(),
        )
        self.pages.html = self.status

    def page(self, path: str = "/status") -> str:
        """The HTML there."""
        answer = self.get(path, {"Accept": BROWSER})
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return answer.text

    def stream(self, query: str = "") -> Stream:
        """What is sent to somebody who watches."""
        connection = self.connect()
        connection.send(f"GET /status.stream{query} HTTP/1.1\r\nHost: lvs\r\n\r\n".encode())
        self.advance(0)
        return Stream(connection)

    def advance(self, seconds: float) -> None:
        """Let time pass; turns of the reactor take none."""
        self.clock.advance(seconds)
        for _ in range(50):
            self.clock.advance(0)


class Stream:
    """Server-sent events as they come."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.head = ""
        self._rest = b""

    def events(self) -> list[dict[str, str]]:
        """All since the last time, by field."""
        data = self.connection.transport.value()
        self.connection.transport.clear()
        if not self.head:
            head, _, data = data.partition(b"\r\n\r\n")
            self.head = head.decode()
        self._rest += data
        text = b""
        while b"\r\n" in self._rest:  # chunks, RFC 9112 section 7.1
            size, _, rest = self._rest.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                break
            text, self._rest = text + rest[:length], rest[length + 2 :]
        blocks = text.decode().split("\n\n")
        return [dict(line.split(": ", 1) for line in b.splitlines()) for b in blocks if b]

    def changes(self) -> list[dict[str, Any]]:
        """Those that say what has changed."""
        return [json.loads(each["data"]) for each in self.events() if "event" not in each]
