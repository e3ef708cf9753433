"""Where the record of PyBal's services is kept, and which IPVS table it is about."""

from __future__ import annotations

import os
from pathlib import Path

from pybal.ipvs.ownership import Place
from pybal.state.files import write_atomically

NAME = "ipvs-services.json"
_MAX_BYTES = 16 * 1024 * 1024


class DiskRecord:
    """A file in the state directory."""

    def __init__(self, state_directory: Path) -> None:
        self._path = state_directory / NAME

    def load(self) -> bytes | None:
        """The content, None if there is no file; OSError."""
        try:
            with self._path.open("rb") as file:
                return file.read(_MAX_BYTES)
        except FileNotFoundError:
            return None

    def save(self, content: bytes) -> None:
        """Replace the content; it is on the disk then. OSError."""
        write_atomically(self._path, content)


def this_place() -> Place:
    """This boot of the kernel, and this thread's network namespace; OSError without /proc."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    namespace = os.stat("/proc/thread-self/ns/net")
    return Place(boot, f"{namespace.st_dev}:{namespace.st_ino}")
