"""Which modules for IPVS this host's kernel has, as far as files tell: nothing is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

_FILE = re.compile(r"([^/:\s]+)\.ko(?:\.\w+)?(?::|$)", re.MULTILINE)


class Presence(Enum):
    """How a module is there."""

    LOADED = "loaded, or built in"
    LOADABLE = "loaded when it is needed"
    BY_HAND = "not loaded, and the kernel may not load it by itself"
    MISSING = "not there"
    UNKNOWN = "not known"


class KernelModules:
    """The modules of the running kernel, whose release is `uname -r`, below a root folder."""

    def __init__(self, root: Path, release: str) -> None:
        self.release = release
        self._proc = root / "proc"
        self._sys = root / "sys/module"
        folder = root / "lib/modules" / release
        self._built_in = _names(folder / "modules.builtin")
        self._files = _names(folder / "modules.dep")

    def presence(self, name: str) -> Presence:
        """Of a module such as `ip_vs_mh`."""
        if (self._sys / name).is_dir() or name in (self._built_in or ()) or self._is_loaded(name):
            return Presence.LOADED
        if self._files is None:
            return Presence.UNKNOWN
        if name not in self._files:
            return Presence.MISSING
        return Presence.LOADABLE if self._loads_by_itself() else Presence.BY_HAND

    def _is_loaded(self, name: str) -> bool:
        loaded = _read(self._proc / "modules").splitlines()
        return any(line.partition(" ")[0] == name for line in loaded)

    def _loads_by_itself(self) -> bool:
        program = _read(self._proc / "sys/kernel/modprobe").strip()
        forbidden = _read(self._proc / "sys/kernel/modules_disabled").strip() == "1"
        return not forbidden and bool(program) and Path(program).exists()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _names(path: Path) -> frozenset[str] | None:
    """The modules that a list of files names; None if there is no such list."""
    if not path.exists():
        return None
    return frozenset(name.replace("-", "_") for name in _FILE.findall(_read(path)))


def kernel_notes(modules: KernelModules) -> Iterator[str]:
    """What a person should know of this kernel before PyBal is started on it."""
    presence = modules.presence("ip_vs")
    kernel = f"this kernel ({modules.release})"
    if presence is Presence.MISSING:
        yield f"{kernel} has no IPVS, not even as a module: PyBal cannot run here"
    elif presence is Presence.BY_HAND:
        yield f"IPVS is not loaded, and {kernel} will not load it by itself: modprobe ip_vs"
    elif presence is Presence.UNKNOWN:
        yield f"it is not known whether {kernel} has IPVS: its modules are not listed here"


def scheduler_notes(
    modules: KernelModules, needs: Iterable[tuple[str, tuple[str, ...]]]
) -> Iterator[str]:
    """What is wrong with the modules that services, by name, need."""
    users: dict[str, list[str]] = {}
    for service, names in needs:
        for name in names:
            users.setdefault(name, []).append(service)
    for name, services in users.items():
        presence = modules.presence(name)
        where = ", ".join(f"[{service}]" for service in services)
        if presence is Presence.MISSING:
            yield (
                f"{where}: this kernel ({modules.release}) has no module {name}: not balanced;"
                " other services are"
            )
        elif presence is Presence.BY_HAND:
            yield (
                f"{where}: {name} is not loaded, and the kernel will not load it by itself:"
                f" modprobe {name}; until then not balanced, other services are"
            )
