"""What the service manager is told: sd_notify(3).

A few lines of our own: python3-systemd would be a C library more for one datagram.
"""

from __future__ import annotations

import contextlib
import os
import socket
from array import array
from collections.abc import Mapping, Sequence


def send(address: str, text: str, descriptors: Sequence[int] = ()) -> bool:
    """Tell the manager at the address of its socket; whether it was told. Never blocks."""
    passed = []
    if descriptors:
        passed.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors)))
    flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, flags) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendmsg([text.encode()], passed)
        return True
    return False


def watchdog_s(environment: Mapping[str, str], process_id: int) -> float:
    """WATCHDOG_USEC, as far as it is for this process; 0 if the manager does not watch, or says
    nonsense."""
    if environment.get("WATCHDOG_PID", str(process_id)) != str(process_id):
        return 0.0
    return _number(environment, "WATCHDOG_USEC") / 1e6


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


class ServiceManager:
    """Tells the manager how the daemon is. Never blocks, never fails: a manager that does not
    listen is told nothing."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        """`address` (NOTIFY_SOCKET) empty: there is no manager; `watchdog_s` 0: it does not
        watch."""
        self.watchdog_s = watchdog_s
        self._address = address
        self._last_status = ""

    def ready(self) -> None:
        """The service is up; or, after `reloading`, has its new configuration."""
        self._send("READY=1")

    def reloading(self, monotonic_s: float) -> None:
        """A reload begins; `monotonic_s` is CLOCK_MONOTONIC, which the manager compares."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_s * 1e6)}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def extend_timeout(self, wait_s: float) -> None:
        """What goes on may take this long from now: the manager's own limit does not count."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(wait_s * 1e6)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; said again only if it differs."""
        line = " ".join(text.split())
        if line != self._last_status:
            self._last_status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """The event loop turns: feeds the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if self._address:
            send(self._address, text)


def is_managed(environment: Mapping[str, str], process_id: int) -> bool:
    """Whether a manager has started this process, and would start the next one: it has said where
    to tell it things, or that it has executed this very process (SYSTEMD_EXEC_PID,
    systemd.exec(5))."""
    executed = environment.get("SYSTEMD_EXEC_PID") == str(process_id)
    return executed or bool(environment.get("NOTIFY_SOCKET"))


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether what is written to a descriptor goes to the journal (JOURNAL_STREAM,
    systemd.exec(5)), which takes a priority before each line."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
