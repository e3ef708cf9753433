"""A Debian with systemd as PID 1, booted in namespaces of its own on the guest's kernel: Debian 12
or 13 in seconds, whichever the machine itself is. `scripts/debian` makes its files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.running import until
from tests.vm.cache import cache_folder

SUITES = ("bookworm", "trixie")
# What it writes is in memory and gone with it. It keeps nothing of this machine's files.
_BOOT = """
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount --bind "$3" srv
# Nobody logs in, and what waits for a terminal would wait long.
ln -sf /dev/null etc/systemd/system/console-getty.service
pivot_root . mnt
umount -l /mnt
exec /lib/systemd/systemd --system
"""


def tree_of(suite: str) -> Path:
    """The files of a Debian; made beforehand, as the guest reaches no mirror."""
    tree = cache_folder().parent / "debian" / suite
    if not tree.exists():
        pytest.fail(f"there is no {tree}; on the host, run: scripts/debian {suite}")
    return tree.resolve()


class Debian:
    """Booted to its default target within `with`. `folder` is the test's own, `network` the name of
    a network namespace."""

    def __init__(self, suite: str, folder: Path, network: str) -> None:
        self._tree, self._folder, self._network = tree_of(suite), folder, network
        self._container: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        root = self._folder / "root"
        shared = self._folder / "shared"
        for made in (root, shared):
            made.mkdir()
        space = ["ip", "netns", "exec", self._network, "unshare", "--mount", "--pid", "--fork"]
        boot = ["sh", "-euc", _BOOT, "boot", str(root), str(self._tree), str(shared)]
        environment = {"container": "test", "PATH": os.environ["PATH"]}
        with (self._folder / "boot.log").open("wb") as log:
            self._container = subprocess.Popen(
                [*space, *boot], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        self._init = int(until(lambda: children.read_text().strip()))
        until(lambda: self._state() in ("running", "degraded"))
        return self

    def __exit__(self, *_: object) -> None:
        """With its PID 1 all of it ends."""
        assert self._container is not None
        if self._container.poll() is None:
            os.kill(self._init, 9)
        self._container.wait(20)

    @property
    def shared(self) -> Path:
        """What is in this folder is inside in /srv."""
        return self._folder / "shared"

    def wrap(self, *command: str) -> list[str]:
        """The command that runs `command` inside."""
        inside = ["nsenter", "--target", str(self._init), "--mount", "--pid", "--net"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        return [*inside, *clean, "DEBIAN_FRONTEND=noninteractive", *command]

    def run(self, *command: str, status: int = 0) -> str:
        """What it says, errors too; AssertionError if it ends with another status."""
        done = subprocess.run(
            self.wrap(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def _state(self) -> str:
        container = self._container
        assert container is not None
        assert container.poll() is None, (self._folder / "boot.log").read_text()
        command = self.wrap("systemctl", "is-system-running")
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def install(debian: Debian, package: Path) -> str:
    """Install the package, and say what dpkg said."""
    shutil.copy(package, debian.shared)
    return debian.run("dpkg", "--install", f"/srv/{package.name}")


def shown(debian: Debian, name: str) -> str:
    """A property of the unit."""
    return debian.run("systemctl", "show", f"--property={name}", "--value", "pybal").strip()
