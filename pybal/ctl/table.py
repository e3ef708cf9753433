"""Lines for people: tables, colours, nothing that a terminal would obey. Pure."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_RESET = "\x1b[0m"


class Style(enum.Enum):
    """How a line looks on a terminal; the value begins it."""

    PLAIN = ""
    HEAD = "\x1b[1m"
    GOOD = "\x1b[32m"
    WORSE = "\x1b[33m"
    BAD = "\x1b[31m"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the output."""

    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    cells: tuple[str, ...]
    style: Style = Style.PLAIN


def row(*cells: object, style: Style = Style.PLAIN) -> Row:
    """A row; None is an empty cell, shown as `-`."""
    return Row(tuple("-" if cell is None else str(cell) for cell in cells), style)


def table(titles: Sequence[str], rows: Sequence[Row]) -> list[Line]:
    """Columns as wide as their longest cell; those of numbers alone are aligned to the right."""
    cells = [[printable(cell) for cell in each.cells] for each in rows]
    widths = [max(map(width, column)) for column in zip(titles, *cells, strict=True)]
    numeric = [
        bool(cells) and all(each[at].isdecimal() or each[at] == "-" for each in cells)
        for at in range(len(titles))
    ]

    def laid(values: Sequence[str]) -> str:
        fitted = (
            _blanks(value, wide) + value if right else value + _blanks(value, wide)
            for value, wide, right in zip(values, widths, numeric, strict=True)
        )
        return "  ".join(fitted).rstrip()

    body = [Line(laid(each), r.style) for each, r in zip(cells, rows, strict=True)]
    return [Line(laid(titles), Style.HEAD), *body]


def _blanks(text: str, wide: int) -> str:
    return " " * (wide - width(text))


def width(text: str) -> int:
    """How many columns of a terminal it takes: Chinese letters two, accents that combine none."""
    return len(text) if text.isascii() else sum(map(_letter_width, text))


def _letter_width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def fitted(lines: Iterable[Line], columns: int, rows: int) -> list[Line]:
    """What of them fits on a screen; the last row is left free."""
    shown = list(lines)
    room = max(1, rows - 1)
    if len(shown) > room:
        rest = len(shown) - room + 1
        shown = [*shown[: room - 1], Line(f"… and {count(rest, 'more line')}")]
    return [Line(_cut(printable(line.text), columns), line.style) for line in shown]


def _cut(text: str, columns: int) -> str:
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[: -max(1, (width(text) - columns) // 2)]
    return f"{text}…"


def printable(text: str) -> str:
    """Names, reasons and errors come from outside: what a terminal would obey is escaped."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\t" else each.encode("unicode_escape").decode()
        for each in text
    )


def painted(lines: Iterable[Line], *, colour: bool) -> Iterable[str]:
    """The lines as they are printed."""
    for line in lines:
        text = printable(line.text)
        if colour and line.style is not Style.PLAIN:
            text = f"{line.style.value}{text}{_RESET}"
        yield text


def count(number: int, what: str, more: str = "") -> str:
    """`1 server`, `2 servers`."""
    return f"{number} {what if number == 1 else more or what + 's'}"


def age(seconds: float) -> str:
    """`45 s`, `3 min`, `5 h`, `2 d`: whole seconds as the daemon says them (runtime/naming.py,
    which is not loaded here)."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
