"""Moments as people on this host read them: in its time zone."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

_WHEN = re.compile(r"(?<= at )\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")


def local_time(moment: dict[str, Any]) -> str:
    """A moment of `/api/v1`, to the second."""
    return _shown(datetime.fromtimestamp(moment["epoch"]).astimezone())


def with_local_times(text: str) -> str:
    """A sentence of the daemon's, whose moments (`at 2026-11-28T03:12:00.000Z`) become local."""
    return _WHEN.sub(_local, text)


def _local(when: re.Match[str]) -> str:
    try:
        return _shown(datetime.fromisoformat(when[0]).astimezone())
    except (ValueError, OverflowError):
        return when[0]


def _shown(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S")
