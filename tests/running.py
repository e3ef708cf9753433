"""A real daemon, started from this tree, wherever a test wants it: usually in a namespace."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.stage import entered

# To compile everything at each start takes seconds in the virtual machine. The whole suite has a
# place of its own for what is compiled.
BYTECODE = tempfile.TemporaryDirectory(prefix="pybal-bytecode-")

_LONGEST_TRY_S = 20.0
"""Twice as long as a question to a daemon is waited for."""


def until(what: Callable[[], Any], timeout_s: float = 120.0, pause_s: float = 0.05) -> Any:
    """Ask until `what` gives something true, with pauses, and return that.

    A command or connection that fails is asked again; the last failure is the test's. That a
    machine, virtual or not, stood still meanwhile counts for little: all others stood still, too.
    """
    left_s = timeout_s
    while True:
        began_s, error = time.monotonic(), None
        try:
            value = what()
            if value:
                return value
        except (OSError, subprocess.SubprocessError) as failure:
            error = failure
        if left_s <= 0:
            raise AssertionError(f"it did not come true in {timeout_s} s") from error
        time.sleep(pause_s)
        left_s -= min(time.monotonic() - began_s, _LONGEST_TRY_S)


class RunningPybal:
    """pybal with this configuration; `wrap` turns a command into one that runs where it should.

    Within `with` it runs; at the end it is killed if it still does. The log of all its lives is
    one file.
    """

    def __init__(
        self, wrap: Callable[..., list[str]], folder: Path, config: str, *arguments: str
    ) -> None:
        self.wrap = wrap
        self._log_path = folder / "pybal.log"
        self.config_path = folder / "pybal.conf"
        self.control_path = folder / "control.sock"
        if "control-socket" not in config:
            # Its default place is the machine's, and may be a real daemon's.
            here = f"[global]\ncontrol-socket = {self.control_path}\n"
            config = config.replace("[global]\n", here, 1)
        self.config_path.write_text(config)
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it; wait_for() tells when it is there."""
        command = [sys.executable, "-m", "pybal", *self._arguments, "-c", str(self.config_path)]
        environment = {"PYTHONPYCACHEPREFIX": BYTECODE.name, **os.environ}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(self.wrap(*command), stderr=log, env=environment)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; the exit status."""
        process, self._process = self._running(), None
        process.send_signal(number)
        try:
            return process.wait(120)
        finally:
            process.kill()  # the test has failed, then

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, whatever that does."""
        self._running().send_signal(number)

    @property
    def pid(self) -> int:
        """Of the process as it runs now."""
        return self._running().pid

    def kill(self) -> None:
        """SIGKILL."""
        process, self._process = self._running(), None
        process.kill()
        process.wait(30)

    def get(self, path: str, accept: str = "*/*", address: str = "127.0.0.1") -> str:
        """What the instrumentation answers; OSError if that is no success."""
        process = self._running()
        assert process.poll() is None, f"it has ended by itself; the log:\n{self.log}"
        connection = http.client.HTTPConnection(address.strip("[]"), 9090, timeout=10)
        # No program for it: dozens of questions would take most of a guest's one processor.
        with entered(Path(f"/proc/{process.pid}/ns/net")):
            connection.connect()
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            body = answer.read().decode()
        if answer.status != http.client.OK:
            raise OSError(f"{path}: {answer.status} {answer.reason}: {body}")
        return body

    def json(self, path: str) -> Any:
        """The same, as JSON."""
        return json.loads(self.get(path, accept="application/json"))

    def ask_control(self, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
        """What the control socket answers: status and body."""
        connection = http.client.HTTPConnection("pybal", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.control_path))
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def wait_for(self, path: str, wanted: str) -> None:
        """Until the text of `path` is `wanted`."""
        last = ""
        with contextlib.suppress(OSError):
            last = self.get(path)
        deadline = time.monotonic() + 120
        while last != wanted:
            assert time.monotonic() < deadline, f"{path} is {last!r}; the log:\n{self.log}"
            time.sleep(0.05)
            with contextlib.suppress(OSError):
                last = self.get(path)

    @property
    def log(self) -> str:
        """All that it has logged so far."""
        return self._log_path.read_text()

    def wait_said(self, text: str) -> None:
        """Until its log has it, which a thread of its own writes a moment after."""
        until(lambda: text in self.log)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it does not run"
        return self._process
