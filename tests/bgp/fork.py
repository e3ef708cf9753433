"""Children forked from a process that has imported all they need: a start takes milliseconds.

To start Python and import Twisted takes half a second and more, dozens of times in a run.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.bgp.daemon", "twisted.internet.epollreactor"])
_CLONE_NEWNET = 0x40000000


class Fork:
    """`run(given)` in a namespace, with a line of text to its standard input and output
    (`console`) and its standard error in a file."""

    def __init__(
        self,
        run: Callable[[Any], None],
        given: Any,
        namespace: str,
        log_path: Path,
        *,
        answers_within_s: float | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _CONTEXT.Process(
                target=_child, args=(run, given, namespace, str(log_path), theirs)
            )
            self._process.start()
        with ours:
            ours.settimeout(answers_within_s)
            self.console = ours.makefile("rw", encoding="utf-8")

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def wait(self, limit_s: float) -> None:
        """Until it has ended; TimeoutError."""
        self._process.join(limit_s)
        if self._process.is_alive():
            raise TimeoutError(f"it has not ended in {limit_s} s")

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self._process.kill()
        self.wait(5)

    def close(self) -> None:
        self.kill()
        with contextlib.suppress(BrokenPipeError):
            self.console.close()

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid


def _child(
    run: Callable[[Any], None], given: Any, namespace: str, log_path: str, console: socket.socket
) -> None:
    with open(log_path, "ab") as log:
        os.dup2(log.fileno(), 2)
    with console:
        os.dup2(console.fileno(), 0)
        os.dup2(console.fileno(), 1)
    # A fork server gives its children a closed standard input.
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    if namespace:
        _enter(namespace)
    run(given)


def _enter(namespace: str) -> None:
    with open(f"/run/netns/{namespace}", "rb") as inside:
        if ctypes.CDLL(None, use_errno=True).setns(inside.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns", namespace)
