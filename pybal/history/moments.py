"""A moment in words: `1h`, `03:12`, `2026-11-28T03:12`, Unix seconds. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from pybal.errors import PyBalError

WANTED = (
    "03:12 (the last such moment), 2026-11-28T03:12, yesterday 03:12, 1h (ago), or Unix seconds"
)

LATEST = 99_999_999_999
"""Unix seconds, in the year 5138."""

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(
    r"(\d{1,9}(?:\.\d{1,6})?) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)(?: ago)?"
)
_CLOCK = re.compile(r"(?:(today|yesterday)[ ,]*)?([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_UNIX = re.compile(r"@?(\d{1,12}(?:\.\d{1,25})?(?:e-?\d{1,2})?)")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[t ].*)?")
_LOST_PLUS = re.compile(r"(\d{4}-\d\d-\d\d[t ]\d\d:\d\d\S*) (\d\d:?\d\d)")
"""In a URL a "+" that is not escaped is a blank."""


class MomentError(PyBalError):
    """These words are no moment."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:60]!r} is no moment: it may be {WANTED}")


def moment(text: str, now: float, zone: tzinfo | None = None) -> float:
    """Unix seconds. What says no time zone is in `zone`, by default the one of this host.
    MomentError."""
    words = " ".join(text.strip().lower().split())
    if words == "now":
        return now
    if ago := _AGO.fullmatch(words):
        return now - float(ago[1]) * _UNITS_S[ago[2][0]]
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
