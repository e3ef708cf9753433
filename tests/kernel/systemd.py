"""systemd as PID 1 of a container with units of a test's own: a second, not a whole boot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.running import until


class Systemd:
    """Started with `units`, a folder of unit files, and nothing else."""

    def __init__(self, units: Path, log_path: Path) -> None:
        self._units, self._log_path = units, log_path
        self._container: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        for target in ("default", "sysinit", "basic", "shutdown"):
            (self._units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
        environment = dict(
            os.environ,
            container="test",
            SYSTEMD_UNIT_PATH=str(self._units),
            SYSTEMD_LOG_TARGET="console",
        )
        command = ["unshare", "--pid", "--fork", "--mount-proc", "/lib/systemd/systemd", "--system"]
        with self._log_path.open("wb") as log:
            self._container = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        self._init = int(until(lambda: children.read_text().strip()))
        until(lambda: self.systemctl("is-system-running"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """With its PID 1 all of a container ends."""
        assert self._container is not None
        os.kill(self._init, 9)
        self._container.wait(20)

    def systemctl(self, *arguments: str) -> str:
        """What it says; CalledProcessError if that is no success."""
        inside = ["nsenter", "--target", str(self._init), "--mount", "--pid"]
        return subprocess.run(
            [*inside, "systemctl", *arguments], check=True, capture_output=True, text=True
        ).stdout
