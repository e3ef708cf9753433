"""Processes that end when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pybal.config.settings import User
from pybal.monitors.processes import Exit


class FakeProcess:
    """A command that runs until end()."""

    def __init__(
        self, pid: int, argv: Sequence[str], ended: Callable[[Exit], None], capture: bool
    ) -> None:
        self.pid = pid
        self.argv = list(argv)
        self.capture = capture
        self.killed = False
        self.running = True
        self._ended = ended

    def kill(self) -> None:
        self.killed = True

    def end(self, status: int | None, output: bytes = b"", *, leftovers: bool = False) -> None:
        """It has ended and was reaped."""
        assert self.running
        self.running = False
        self._ended(Exit(status, output, leftovers))


class FakeProcesses:
    """Remembers all processes. While `error` is set, none can be started."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.error: Exception | None = None
        self.user: User | None = None

    def run_as(self, user: User | None) -> None:
        self.user = user

    def end(self) -> None:
        for process in self.running:
            process.kill()

    @property
    def running(self) -> list[FakeProcess]:
        """Those that have not ended."""
        return [process for process in self.started if process.running]

    def run(
        self, argv: Sequence[str], ended: Callable[[Exit], None], *, capture: bool
    ) -> FakeProcess:
        if self.error is not None:
            raise self.error
        process = FakeProcess(1000 + len(self.started), argv, ended, capture)
        self.started.append(process)
        return process
