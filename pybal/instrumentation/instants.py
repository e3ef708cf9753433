"""A moment as it is shown. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_EARLIEST, _LATEST = 0.0, 2e11
"""The years 1970 and 8307: a file's date may be anything, and is shown all the same."""


def instant(at: float | None) -> dict[str, Any] | None:
    """A moment as ISO 8601 in UTC and as Unix seconds."""
    return None if at is None else {"iso": iso_time(at), "epoch": at}


def iso_time(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(max(_EARLIEST, min(at, _LATEST)), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
