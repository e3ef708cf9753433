"""Which of Debian's packages the rig stands on, and how to install them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.vm.errors import RigError

UML_KERNEL = Path("/usr/bin/linux.uml")
UML_MODULES = Path("/usr/lib/uml/modules")
BUSYBOX = Path("/bin/busybox")

# What must exist -> the package that brings it.
_COMMON = {
    str(BUSYBOX): "busybox-static",
    "cpio": "cpio",
    "modprobe": "kmod",
    "ip": "iproute2",
    "ipvsadm": "ipvsadm",
}
_OF_ENGINE = {
    "uml": {str(UML_KERNEL): "user-mode-linux", "gcc": "gcc", "/usr/include/elf.h": "libc6-dev"},
    "qemu": {"qemu-system-x86_64": "qemu-system-x86", "depmod": "kmod", "zstd": "zstd"},
}
_SEARCH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def _present(thing: str) -> bool:
    if thing.startswith("/"):
        return Path(thing).exists()
    return shutil.which(thing, path=_SEARCH) is not None


def missing(engine: str, present: Callable[[str], bool] = _present) -> list[str]:
    """The packages that `engine` needs and this machine lacks."""
    wanted = _COMMON | _OF_ENGINE[engine]
    return sorted({package for thing, package in wanted.items() if not present(thing)})


def require(engine: str) -> None:
    """Raise RigError, with what to do, unless all packages of `engine` are there."""
    absent = missing(engine)
    if absent:
        raise RigError(
            f"the {engine} engine needs Debian's {', '.join(absent)}; run: scripts/vm --setup"
        )


def install(packages: list[str]) -> None:
    """Install Debian packages, as root or through sudo; nothing to do for an empty list."""
    if not packages:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    if as_root and shutil.which("sudo") is None:
        raise RigError(f"installing {' '.join(packages)} needs root, or sudo")
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    command = [*apt, "install", "--yes", "--no-install-recommends", *packages]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode != 0:
        # The lists may be old, or not there yet.
        subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
        subprocess.run(command, check=True, stdout=sys.stderr)
