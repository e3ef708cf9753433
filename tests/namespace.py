"""A network namespace of our own, with programs in it. Linux, root, iproute2."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_NUMBERS = itertools.count()


class Namespace:
    """A namespace that lives as long as the `with` block, with `lo` up.

    `hosts` becomes its /etc/hosts, and its resolv.conf names no server: nothing is ever asked
    of the world outside. Programs started in it are ended with it.
    """

    def __init__(self, hosts: Mapping[str, Sequence[str]] | None = None) -> None:
        self.name = f"pybal-{os.getpid()}-{next(_NUMBERS)}"
        self._hosts = hosts or {}
        self._etc = Path("/etc/netns") / self.name
        self._programs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Namespace:
        self._etc.mkdir(parents=True)
        lines = [
            f"{address} {host}\n"
            for host, addresses in {"localhost": ("127.0.0.1", "::1"), **self._hosts}.items()
            for address in addresses
        ]
        (self._etc / "hosts").write_text("".join(lines))
        (self._etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        _ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._programs:
            if program.poll() is None:
                program.kill()
            program.wait()
        _ip("netns", "delete", self.name)
        shutil.rmtree(self._etc)

    def ip(self, *arguments: str) -> None:
        """Run `ip` on this namespace."""
        _ip("-n", self.name, *arguments)

    def start(self, *command: str) -> None:
        """Start a program here; it is killed at the end of the block if it still runs."""
        self._programs.append(subprocess.Popen(self.wrap(*command)))

    def wrap(self, *command: str) -> list[str]:
        """The command that runs `command` here."""
        return ["ip", "netns", "exec", self.name, *command]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
