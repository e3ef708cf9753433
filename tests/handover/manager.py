"""A service manager's store of descriptors, for tests: keeps what it is sent, hands it out."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, Self


class FakeManager:
    """Listens at `address` for FDSTORE and FDSTOREREMOVE; as systemd, it closes a descriptor that
    has hung up only by itself."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.said: list[str] = []
        self.kept: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._heard = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.sendto(b"", self.address)
        self._thread.join(5)
        self._socket.close()
        for name in tuple(self.kept):
            self._forget(name)

    def _listen(self) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 253)
            if not data:
                return
            with self._lock:
                self._take(dict(li.split("=", 1) for li in data.decode().split("\n")), descriptors)
            self.said.append(data.decode())

    def _take(self, said: dict[str, str], descriptors: list[int]) -> None:
        if said.get("FDSTORE") == "1":
            self.kept.setdefault(said["FDNAME"], []).extend(descriptors)
        elif said.get("HEARD") == "1":
            self._heard.set()
        elif said.get("FDSTOREREMOVE") == "1":
            self._forget(said["FDNAME"])

    def _forget(self, name: str) -> None:
        for descriptor in self.kept.pop(name, []):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def left(self) -> dict[str, list[Any]]:
        """What the next process gets, to be pickled: all that was sent by now."""
        self._heard.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.sendto(b"HEARD=1", self.address)
        assert self._heard.wait(30)
        with self._lock:
            return {name: [DupFd(one) for one in own] for name, own in self.kept.items()}
