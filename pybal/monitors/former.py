"""What the process before us knew of a server by one monitor. Pure."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from pybal.config.settings import MonitorSettings
from pybal.handover.format import HandoverError
from pybal.model import CheckResult, IPAddress

VERSION = 1
_REASON_CHARACTERS = 200
_WORDS = {True: "true", False: "false"}


class Former(NamedTuple):
    """A state: `up` or not `since` then, by its last result, one of so many alike `in_a_row`.
    `connection` is the number of the open connection, 0 without one, which stands since
    `connected_at` in seconds of CLOCK_BOOTTIME."""

    up: bool
    since: float
    last: CheckResult
    in_a_row: int
    connection: int
    connected_at: float


def key_of(
    service: str, host: str, address: IPAddress, port: int, settings: MonitorSettings
) -> str:
    """Which monitor a state is of: that of the same server, with the same settings."""
    kind: Any = type(settings)
    own = [
        f"{name}={value!r}"
        for name, default in _defaults(kind)
        # An option that a later version has does not make it another monitor.
        if (value := getattr(settings, name)) != default
    ]
    said = (service, host, str(address), str(port), settings.monitor, *own)
    return sha256("\n".join(said).encode("utf-8", "replace")).hexdigest()[:32]


@lru_cache
def _defaults(kind: type) -> tuple[tuple[str, object], ...]:
    """The options of a kind of settings, sorted by their names."""
    return tuple(sorted((each.name, each.default) for each in fields(kind)))


def encode_former(key: str, state: Former) -> bytes:
    """For a place in the table: JSON, put together by hand, which takes a quarter of the time."""
    last = state.last
    said = (
        f'[{VERSION},"{key}",{_WORDS[state.up]},{state.since!r},{_WORDS[last.up]},'
        f"{_quoted(_short(last.reason))},{last.duration_s!r},{last.at!r},{state.in_a_row},"
        f"{state.connection},{state.connected_at!r}]"
    )
    return said.encode()


def _quoted(text: str) -> str:
    """Printable ASCII in JSON."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _short(reason: str) -> str:
    """So that it has room, whatever the server has said: JSON makes six bytes of some letters."""
    short = reason[:_REASON_CHARACTERS]
    if short.isascii() and short.isprintable():
        return short
    return "".join(c if " " <= c <= "~" else "?" for c in short)


_SHAPE = (int, str, bool, float, bool, str, float, float, int, int, float)


def decode_former(data: bytes) -> tuple[str, Former]:
    """Raises HandoverError for anything that `encode_former` has not made."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise HandoverError("a monitor's state cannot be read") from None
    if not isinstance(said, list) or [type(one) for one in said] != list(_SHAPE):
        raise HandoverError("a monitor's state has another shape")
    version, key, up, since, last_up, reason, duration_s, at, row, connection, connected_at = said
    if version != VERSION:
        raise HandoverError(f"a monitor's state has version {version}")
    last = CheckResult(last_up, reason, duration_s, at)
    return key, Former(up, since, last, row, connection, connected_at)
