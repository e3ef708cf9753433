"""What the service manager is told, and what it keeps for us: sd_notify(3), file descriptor store.

A few lines of our own: python3-systemd would be a C library more for one datagram.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FIRST_PASSED = 3
"""SD_LISTEN_FDS_START: the first descriptor that the manager passes."""


@dataclass(frozen=True, slots=True)
class ManagerEnvironment:
    """What the manager said in the environment. `notify_socket` empty: there is no manager;
    `watchdog_s` 0: it does not watch. `passed` are the stored descriptors, by name."""

    notify_socket: str = ""
    watchdog_s: float = 0.0
    passed: tuple[tuple[str, int], ...] = ()


def read_environment(environment: Mapping[str, str], process_id: int) -> ManagerEnvironment:
    """NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, LISTEN_FDNAMES (sd_listen_fds(3)), as far as they
    are for this process. Nonsense counts as not set."""
    return ManagerEnvironment(
        environment.get("NOTIFY_SOCKET", ""),
        _watchdog_s(environment, process_id),
        _passed(environment, process_id),
    )


def _watchdog_s(environment: Mapping[str, str], process_id: int) -> float:
    if environment.get("WATCHDOG_PID", str(process_id)) != str(process_id):
        return 0.0
    return _number(environment, "WATCHDOG_USEC") / 1e6


def _passed(environment: Mapping[str, str], process_id: int) -> tuple[tuple[str, int], ...]:
    if environment.get("LISTEN_PID") != str(process_id):
        return ()
    count = _number(environment, "LISTEN_FDS")
    names = environment.get("LISTEN_FDNAMES", "").split(":") if count else []
    names += [""] * (count - len(names))
    return tuple(zip(names, range(_FIRST_PASSED, _FIRST_PASSED + count), strict=False))


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


class ServiceManager:
    """Tells the manager how the daemon is. Never blocks, never fails: a manager that does not
    listen is told nothing."""

    def __init__(self, environment: ManagerEnvironment) -> None:
        self.watchdog_s = environment.watchdog_s
        self._address = environment.notify_socket
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        self._last_status = ""

    @property
    def is_there(self) -> bool:
        """Whether a service manager wants to be told."""
        return bool(self._address)

    def ready(self) -> None:
        """The service is up; or, after `reloading`, has its new configuration."""
        self._send("READY=1")

    def reloading(self, monotonic_s: float) -> None:
        """A reload begins; `monotonic_s` is CLOCK_MONOTONIC, which the manager compares."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_s * 1e6)}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; said again only if it differs."""
        line = " ".join(text.split())
        if line != self._last_status:
            self._last_status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """The event loop turns: feeds the watchdog."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, by_s: float) -> None:
        """What is under way takes so much longer than the manager's limit allows."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(by_s * 1e6)}")

    def store(self, name: str, descriptors: Sequence[int]) -> None:
        """Have the manager keep these descriptors under a name until the next start."""
        self._send(f"FDSTORE=1\nFDNAME={name}", descriptors)

    def forget(self, name: str) -> None:
        """Have it close those that it keeps under a name."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def _send(self, text: str, descriptors: Sequence[int] = ()) -> None:
        if not self._address:
            return
        flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, flags) as sock:
            sock.connect(self._address)
            if descriptors:
                socket.send_fds(sock, [text.encode()], list(descriptors))
            else:
                sock.send(text.encode())


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether what is written to a descriptor goes to the journal (JOURNAL_STREAM,
    systemd.exec(5)), which takes a priority before each line."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
