"""pybalctl against the real site, over a real UNIX socket that a thread serves."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from twisted.internet.defer import succeed

from pybal.ctl.client import SocketClient
from pybal.ctl.main import Terminal, run
from pybal.errors import ControlError, NoSuchThingError
from pybal.instrumentation.override_document import acknowledgement_document, override_document
from pybal.instrumentation.site import ControlAccess
from pybal.model import Severity
from pybal.override import Action
from pybal.overrides.acknowledgement import Acknowledgement
from pybal.overrides.wish import Scope, Wish
from tests.fakes.view import NOON, FakeView
from tests.instrumentation.exchange import Client


@dataclass
class FakeControls:
    """Knows the service text_443; notes what was asked."""

    steps: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    checked: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    replaced: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    maintained: set[str | None] = field(default_factory=set)

    def confirm(self, service: str, by: str) -> Mapping[str, Any]:
        self._check(service)
        self.asked.append(("confirm", service))
        return {"service": service, "confirmed": ["cp1", "cp2"]}

    def reload(self, by: str) -> Mapping[str, Any]:
        if self.errors:
            raise ControlError("; ".join(self.errors), "Mend the file; nothing was changed")
        return {"steps": self.steps, "warnings": self.warnings}

    def maintenance(self, service: str | None, *, begin: bool, by: str) -> Mapping[str, Any]:
        if service is not None:
            self._check(service)
        self.asked.append(("maintenance", service, begin))
        changed = (service in self.maintained) is not begin
        self.maintained = self.maintained | {service} if begin else self.maintained - {service}
        return {"service": service, "maintenance": begin, "changed": changed}

    def override(self, wish: Wish, by: str) -> Mapping[str, Any]:
        for service in wish.scope.services or ():
            self._check(service)
        self.asked.append(("override", wish))
        document = override_document(wish.override("text_443", by, NOON))
        return {"overrides": [document], "replaced": self.replaced, "notes": self.notes}

    def undo(self, scope: Scope, by: str) -> Mapping[str, Any]:
        self.asked.append(("undo", scope))
        wish = Wish(Action.DRAIN, scope, 60.0, "why")
        return {"ended": [override_document(wish.override("text_443", by, NOON))]}

    def check(self, service: str, host: str, by: str) -> Mapping[str, Any]:
        self._check(service)
        self.asked.append(("check", host))
        return self.checked

    def acknowledge(
        self, alert: str, service: str | None, for_s: float, reason: str, by: str
    ) -> Mapping[str, Any]:
        self.asked.append(("ack", alert, service, for_s, reason))
        known = Acknowledgement(
            alert, service, "", Severity.WARNING, by, reason, NOON, NOON + for_s
        )
        return {"acknowledged": [acknowledgement_document(known)]}

    def unacknowledge(self, alert: str, service: str | None, by: str) -> Mapping[str, Any]:
        self.asked.append(("unack", alert, service))
        known = Acknowledgement(alert, service, "", Severity.WARNING, by, "why", NOON, NOON + 60)
        return {"ended": [acknowledgement_document(known)]}

    def compare(self, content: bytes, by: str) -> Mapping[str, Any]:
        self.asked.append(("compare", content))
        return {"steps": self.steps, "errors": self.errors, "warnings": self.warnings}

    def _check(self, service: str) -> None:
        if service != "text_443":
            raise NoSuchThingError(f"There is no service {service}", "Look at /api/v1/services")


class ServedSite:
    """The site of a view at `path`, within `with`."""

    def __init__(self, path: Path, view: FakeView) -> None:
        self.path = path
        self.view = view
        self.controls = FakeControls()
        self._site = Client(view, control=ControlAccess(self.controls, lambda _: succeed("anna")))
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._listening.bind(str(self.path))
        self._listening.listen(8)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(30)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with client:
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        connection = self._site.connect()
        while not connection.transport.value():
            data = client.recv(65536)
            if not data:
                return
            connection.send(data)
        client.sendall(connection.transport.value())

    def document(self, path: str) -> bytes:
        """What the site answers there."""
        return self._site.get(path).body

    def ctl(self, *arguments: str, colour: bool = False) -> tuple[int, str, str]:
        """What `pybalctl` does with these arguments: exit status, output, errors."""
        return ctl(self.path, *arguments, colour=colour)


def ctl(
    path: Path,
    *arguments: str,
    colour: bool = False,
    screen: tuple[int, int] | None = None,
) -> tuple[int, str, str]:
    """The same, whoever listens there; it is a minute past noon. `screen`: of a terminal."""
    out, errors, naps = io.StringIO(), io.StringIO(), iter((2.0, 2.0))

    def sleep(duration_s: float) -> None:
        if next(naps, None) != duration_s:
            raise KeyboardInterrupt

    size = None if screen is None else lambda: os.terminal_size(screen)
    terminal = Terminal(out, errors, colour, sleep, lambda: NOON + 60, size)
    words = [f"--socket={path}", *arguments]
    status = run(words, terminal, lambda place: SocketClient(place, lambda: "inactive"))
    return status, out.getvalue(), errors.getvalue()
