"""Where the control socket is, if nobody says it."""

from __future__ import annotations

import re
from pathlib import Path

from pybal import DEFAULT_CONFIG

DEFAULT_SOCKET = Path("/run/pybal/control.sock")

_OPTION = re.compile(r"^[ \t]*control-socket[ \t]*[=:][ \t]*[\"']?(/[^\"'#;\n]*)", re.I | re.M)
_MAX_CHARACTERS = 16 * 1024 * 1024


def usual_place(config: Path = Path(DEFAULT_CONFIG)) -> Path:
    """The socket that the configuration names, if it may be read, or the default."""
    try:
        with config.open(encoding="utf-8", errors="replace") as file:
            found = _OPTION.search(file.read(_MAX_CHARACTERS))
    except OSError:
        found = None
    return place_of(None if found is None else Path(found[1].strip()))


def place_of(configured: Path | None) -> Path:
    """The configured socket, or the default one while only that is there: the daemon may not have
    read the configuration yet."""
    if configured is None:
        return DEFAULT_SOCKET
    places = (configured, DEFAULT_SOCKET)
    return next((each for each in places if _is_there(each)), configured)


def place_of_running(configured: Path | None, config: Path = Path(DEFAULT_CONFIG)) -> Path:
    """The same for a file that is not in force yet: the daemon that runs may have its socket where
    the file that is has it."""
    place = place_of(configured)
    usual = usual_place(config)
    return usual if not _is_there(place) and _is_there(usual) else place


def _is_there(place: Path) -> bool:
    try:
        return place.is_socket()
    except OSError:
        return True  # we may not look: to connect says why
