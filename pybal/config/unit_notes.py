"""What the package's unit keeps from the daemon, though who asks can see it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from pybal.config.settings import FileSource, Settings

UNITS = (Path("/usr/lib/systemd/system/pybal.service"), Path("/lib/systemd/system/pybal.service"))
"""Where the package puts it."""

_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""ProtectHome= and PrivateTmp=."""
_WRITABLE = (Path("/var/lib/pybal"), Path("/run/pybal"))
"""StateDirectory= and RuntimeDirectory=, under ProtectSystem=strict."""


def unit_notes(settings: Settings) -> list[str]:
    """One line for each file or folder that the daemon would look for in vain, or could not write,
    and for a reload that would fail, if it ran as that unit and nobody has edited it."""
    control = settings.control
    written = {
        "state-directory": settings.state_directory,
        "control-socket": None if control is None else control.path,
    }
    named = [*_read(settings), *((key, path) for key, path in written.items() if path is not None)]
    notes = []
    if control is None:
        notes.append(
            "control-socket: without it systemctl reload fails, as the package's unit has pybalctl"
            " reload behind that: systemctl kill --kill-who=main -s HUP pybal reloads"
        )
    for what, path in dict.fromkeys(named):
        hidden = _folder(path, _HIDDEN)
        if hidden is not None:
            notes.append(
                f"{what}: {path}: the package's unit has a {hidden} of its own, and does not see"
                " what is there: let it lie elsewhere"
            )
        elif what in written and not settings.dry_run and _folder(path, _WRITABLE) is None:
            folder = path.parent if what == "control-socket" else path
            notes.append(
                f"{what}: the package's unit may not write to {folder}, unless it has"
                f" ReadWritePaths={folder} (systemctl edit pybal)"
            )
    return notes


def _read(settings: Settings) -> Iterator[tuple[str, Path]]:
    for service in settings.services:
        if isinstance(service.source, FileSource):
            yield f"[{service.name}] config", service.source.path
        for monitor in service.monitors:
            for each in fields(monitor):
                value = getattr(monitor, each.name)
                if isinstance(value, Path):
                    yield f"[{service.name}] {monitor.monitor}", value


def _folder(path: Path, folders: tuple[Path, ...]) -> Path | None:
    return next((folder for folder in folders if path.is_relative_to(folder)), None)
