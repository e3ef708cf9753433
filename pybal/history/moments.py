"""A moment in words: `1h`, `03:12`, `2026-11-28T03:12`, Unix seconds. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from pybal.errors import PyBalError
from pybal.runtime.naming import shortened

WANTED = (
    "It may be 03:12 (the last such moment), 2026-11-28T03:12, yesterday 03:12, 1h30m (ago), "
    "or Unix seconds"
)

LATEST = 99_999_999_999
"""Unix seconds, in the year 5138."""

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = (
    r"(\d{1,9}(?:\.\d{1,6})?) ?"
    r"(seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d|weeks?|w)(?![a-z])"
)
_PARTS = re.compile(_PART)
_AGO = re.compile(rf"-?(?:{_PART} ?){{1,5}}(?:ago)?", re.ASCII)
_CLOCK = re.compile(
    r"(?:(today|yesterday)[ ,]*)?([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII
)
_UNIX = re.compile(r"@?(\d{1,12}(?:\.\d{1,25})?(?:e-?\d{1,2})?)", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[t ].*)?", re.ASCII)
_LOST_PLUS = re.compile(r"(\d{4}-\d\d-\d\d[t ]\d\d:\d\d\S*) (\d\d:?\d\d)")
"""In a URL a "+" that is not escaped is a blank."""


class MomentError(PyBalError):
    """These words are no moment; WANTED is what may be one."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{shortened(text, 60)!r} is no moment")


def moment(text: str, now: float, zone: tzinfo | None = None) -> float:
    """Unix seconds. What says no time zone is in `zone`, by default the one of this host.
    MomentError."""
    words = " ".join(text.strip().lower().split())
    if words == "now":
        return now
    if _AGO.fullmatch(words):
        return now - sum(float(each[1]) * _UNITS_S[each[2][0]] for each in _PARTS.finditer(words))
    if words in ("today", "yesterday"):
        words += " 00:00"
    if clock := _CLOCK.fullmatch(words):
        return _last(clock, now, zone)
    if (unix := _UNIX.fullmatch(words)) and float(unix[1]) <= LATEST:
        return float(unix[1])
    if _ISO.fullmatch(words):
        return _iso(words, text, zone)
    raise MomentError(text)


def _last(clock: re.Match[str], now: float, zone: tzinfo | None) -> float:
    """The last moment at which clocks here showed this."""
    day, hour, minute, second = clock.groups()
    today = datetime.fromtimestamp(now, zone).replace(
        hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=0
    )
    if day == "yesterday" or (day is None and today.timestamp() > now):
        today -= timedelta(days=1)
    return today.timestamp()


def _iso(words: str, text: str, zone: tzinfo | None) -> float:
    try:
        found = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", words).upper())
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone)
        return found.timestamp()
    except (ValueError, OverflowError, OSError):
        raise MomentError(text) from None
