"""Names and numbers in a line. Pure."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

MOST_NAMED = 10


def named(names: Collection[object], most: int = MOST_NAMED, between: str = ", ") -> str:
    """The first few of them, as text, and how many more there are. It costs what is named."""
    shown = between.join(map(str, islice(names, most)))
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def shortened(text: str, most: int, whole_at: str = "") -> str:
    """The text, or so many characters of it, with a sign that it goes on, and `whole_at`, where all
    of it is."""
    if len(text) <= most:
        return text
    where = f" (all of it: {whole_at})" if whole_at else ""
    return f"{text[: most - 1]}…{where}"


def ends_of(text: str, most: int, whole_at: str) -> str:
    """The text, or its two ends, so many characters of it in all: what is said of a thousand names
    may stand behind them. `whole_at` is where all of it is."""
    if len(text) <= most:
        return text
    last = most // 4
    return f"{text[: most - last]}… (all of it: {whole_at}) …{text[-last:]}"


def printable(text: str) -> str:
    """One line that no terminal obeys: what is not printable is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quoted(value: object, most: int) -> str:
    """A value of others as Python writes it, shortened."""
    return shortened(repr(value), most)


def quoted_bytes(data: bytes, most: int) -> str:
    """How bytes of others begin: what is no ASCII is escaped."""
    return repr(data[:most])[1:] + ("…" if len(data) > most else "")


def counted(number: int, what: str, more: str = "") -> str:
    """`1 server`, `2 servers`; `more` is the word for several if that is not `what` with an s."""
    return f"{number} {what if number == 1 else more or what + 's'}"


def duration(seconds: float) -> str:
    """So that a person reads it at a glance: `80 ms`, `12.3 s`, `119 s`, `3 min`, `5 h`, `2 d`. Two
    of its unit are there at least, and what is begun of one more is left out."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    if 0 < seconds < 0.0995:
        return f"{seconds * 1000:.3g} ms"
    return f"{max(0.0, seconds):.3g} s"
