"""Lines for people: tables, colours, nothing that a terminal would obey. Pure."""

from __future__ import annotations

import enum
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
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    numeric = [
        bool(cells) and all(each[at].isdecimal() or each[at] == "-" for each in cells)
        for at in range(len(titles))
    ]

    def laid(values: Sequence[str]) -> str:
        fitted = (
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(values, widths, numeric, strict=True)
        )
        return "  ".join(fitted).rstrip()

    body = [Line(laid(each), r.style) for each, r in zip(cells, rows, strict=True)]
    return [Line(laid(titles), Style.HEAD), *body]


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
    """`45 s`, `3 min`, `5 h`, `2 d`."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
