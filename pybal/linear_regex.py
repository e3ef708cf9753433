"""Regular expressions that take linear time, whatever the pattern and whatever the data. Pure.

A server's answer is outside data, and the standard library's `re` may take exponential time on it
and holds the reactor meanwhile. Here a pattern becomes a whole table of states when it is read
(Glushkov's construction, then subsets), or is refused as too complex; a search then is one look-up
for each byte.

The syntax is the usual one on bytes: literals, `.` (all but a newline), `[a-z]`, `[^...]`, `\\d \\w
\\s`, their opposites, `\\n \\r \\t \\xHH`, `|`, groups, `* + ? {m,n}`, `(?i)` and `^` at the start,
`$` (an end, or before the last newline) at the end. The only question is whether there is a match,
so lazy repeats are the same as greedy ones. No look-around and no back-references.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pybal.errors import PyBalError

MAX_POSITIONS = 256
MAX_STATES = 256
_MAX_DEPTH = 50

_ALL = (1 << 256) - 1
_REPEAT = re.compile(rb"\{(?=[0-9,]*[0-9])([0-9]{0,4})(?:(,)([0-9]{0,4}))?\}")
_HEX = re.compile(rb"[0-9A-Fa-f]{2}")
_AT_END = 256
"""The index in a row that tells whether the data may end there."""

Row = list[Any]
"""One state: the next row for each byte, and at _AT_END whether to match at the end."""


class PatternError(PyBalError):
    """The text is no pattern, or one that is not supported; says where."""


class Pattern:
    """A compiled pattern, equal to others of the same text. Raises PatternError."""

    __slots__ = ("_found", "_start", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._start, self._found = _compile(text.encode("utf-8", "surrogateescape"))

    def search(self, data: bytes) -> bool:
        """Whether there is a match anywhere in the data."""
        search = self.begin()
        return search.feed(data) or search.end()

    def begin(self) -> Search:
        """A search in data that comes in pieces."""
        return Search(self._start, self._found)

    def least_bytes(self) -> int | None:
        """Data with a match has at least so many bytes; None: nothing can match."""
        rows, seen = [self._start], {id(self._start)}
        for count in range(MAX_STATES + 2):
            if any(row is self._found or row[_AT_END] for row in rows):
                return count
            following = {id(after): after for row in rows for after in row[:_AT_END]}
            rows = [row for identity, row in following.items() if identity not in seen]
            seen |= following.keys()
        return None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class Search:
    """One search under way."""

    __slots__ = ("_found", "_row")

    def __init__(self, start: Row, found: Row) -> None:
        self._row = start
        self._found = found

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; whether there is a match by now, whatever follows."""
        row = self._row
        for byte in data:
            row = row[byte]
        self._row = row
        return row is self._found

    def end(self) -> bool:
        """Whether there is a match, now that the data has ended."""
        return bool(self._row[_AT_END])


def byte_set(*members: int | range) -> int:
    """A set of byte values as the bits of a number."""
    mask = 0
    for member in members:
        for byte in (member,) if isinstance(member, int) else member:
            mask |= 1 << byte
    return mask


_NEWLINE = byte_set(10)
_DIGIT = byte_set(range(48, 58))
_WORD = _DIGIT | byte_set(range(65, 91), 95, range(97, 123))
_SPACE = byte_set(range(9, 14), 32)
_CLASSES = {
    b"d": _DIGIT, b"D": _ALL ^ _DIGIT, b"w": _WORD, b"W": _ALL ^ _WORD, b"s": _SPACE,
    b"S": _ALL ^ _SPACE,
}  # fmt: skip
_ESCAPES = {b"n": 10, b"r": 13, b"t": 9, b"f": 12, b"v": 11, b"0": 0}


class _Part(NamedTuple):
    """A piece of the pattern by its positions (each is a place for one byte): whether it can be
    empty, with which it can begin and with which end."""

    empty: bool
    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


_NOTHING = _Part(empty=True)


class _Parser:
    """Reads a pattern into positions: `masks` are the bytes that each takes, `follow` those that
    can come after it. A repeated piece is read again for each of its copies."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.masks: list[int] = []
        self.follow: list[set[int]] = []
        self._ignore_case = self._take(b"(?i)")
        self.at_start = self._take(b"^")
        self.at_end = False
        self.whole = self._whole()

    def _whole(self) -> _Part:
        part = self._alternatives()
        if self._take(b")"):
            raise self._error("a bracket is closed that was not opened")
        if part.empty:
            raise PatternError("it matches anything: nothing in it has to be there")
        # As everywhere, $ is the end or before a newline that ends the data.
        return self._joined(part, self._optional(self._leaf(_NEWLINE))) if self.at_end else part

    def _alternatives(self) -> _Part:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PatternError("too complex: too many brackets in one another")
        part = self._sequence()
        while self._take(b"|"):
            if self._depth == 1 and self.at_start:
                raise self._error("put brackets around the alternatives after ^")
            other = self._sequence()
            if self._depth == 1 and self.at_end:
                raise self._error("put brackets around the alternatives before $")
            part = _Part(
                part.empty or other.empty, part.first | other.first, part.last | other.last
            )
        self._depth -= 1
        return part

    def _sequence(self) -> _Part:
        part = _NOTHING
        while self._at < len(self._text) and self._peek() not in b"|)":
            if self._peek() == b"$":
                self._at += 1
                if self._depth > 1 or self._at < len(self._text):
                    raise self._error("$ is only for the end; write \\$ for the character")
                self.at_end = True
            else:
                part = self._joined(part, self._repeated())
        return part

    def _repeated(self) -> _Part:
        begins = self._at
        part = self._atom()
        low, high = self._bounds()
        after = self._at
        if (low, high) == (1, 1):
            return part
        if high == 0:
            return _NOTHING
        whole = part if low else self._optional(part)
        for number in range(1, max(low, high or 0)):
            self._at = begins
            part = self._atom()
            whole = self._joined(whole, part if number < low else self._optional(part))
        self._at = after
        if high is None:
            self._link(part, part)
        return whole

    def _bounds(self) -> tuple[int, int | None]:
        """How often the piece before may come."""
        low: int
        high: int | None
        if self._take(b"*"):
            low, high = 0, None
        elif self._take(b"+"):
            low, high = 1, None
        elif self._take(b"?"):
            low, high = 0, 1
        elif match := _REPEAT.match(self._text, self._at):
            self._at = match.end()
            low = int(match[1] or 0)
            high = low if match[2] is None else int(match[3]) if match[3] else None
            if high is not None and high < low:
                raise self._error("the greater number must come last")
            if max(low, high or 0) > MAX_POSITIONS:
                raise self._error(f"too complex: at most {MAX_POSITIONS} repeats")
        else:
            return 1, 1
        self._take(b"?")
        if self._peek() in (b"*", b"+", b"?") or _REPEAT.match(self._text, self._at):
            raise self._error("a repeat of a repeat needs brackets")
        return low, high

    def _atom(self) -> _Part:
        if self._take(b"("):
            if self._take(b"?") and not self._take(b":"):
                raise self._error("of (?...) only (?:...) is supported, and (?i) at the start")
            part = self._alternatives()
            if not self._take(b")"):
                raise self._error("a bracket is not closed")
            return part
        if self._take(b"["):
            return self._leaf(self._bracketed())
        if self._take(b"."):
            return self._leaf(_ALL ^ _NEWLINE)
        if self._peek() in (b"*", b"+", b"?"):
            raise self._error("there is nothing to repeat")
        if self._peek() == b"^":
            raise self._error("^ is only for the start; write \\^ for the character")
        return self._leaf(self._character())

    def _bracketed(self) -> int:
        negated = self._take(b"^")
        mask = 0
        is_first = True
        while is_first or not self._take(b"]"):
            is_first = False
            low = self._character()
            if self._peek() == b"-" and self._text[self._at + 1 : self._at + 2] not in (b"]", b""):
                self._at += 1
                high = self._character()
                if low.bit_count() != 1 or high.bit_count() != 1 or high < low:
                    raise self._error("that is no range of characters")
                low = byte_set(range(low.bit_length() - 1, high.bit_length()))
            mask |= low
        if self._ignore_case:
            mask = _both_cases(mask)
        return _ALL ^ mask if negated else mask

    def _character(self) -> int:
        """One character, or the set that an escape stands for."""
        character = self._peek()
        if not character:
            raise self._error("it ends too early")
        self._at += 1
        if character != b"\\":
            return byte_set(character[0])
        escaped = self._peek()
        self._at += 1
        if escaped in _CLASSES:
            return _CLASSES[escaped]
        if escaped in _ESCAPES:
            return byte_set(_ESCAPES[escaped])
        if escaped == b"x" and (digits := _HEX.match(self._text, self._at)):
            self._at += 2
            return byte_set(int(digits[0], 16))
        if not escaped or escaped.isalnum():
            raise self._error("that escape is not supported")
        return byte_set(escaped[0])

    def _leaf(self, mask: int) -> _Part:
        if len(self.masks) >= MAX_POSITIONS:
            raise PatternError(
                f"too complex: more than {MAX_POSITIONS} characters, repeats counted"
            )
        position = frozenset((len(self.masks),))
        self.masks.append(_both_cases(mask) if self._ignore_case else mask)
        self.follow.append(set())
        return _Part(False, position, position)

    def _joined(self, a: _Part, b: _Part) -> _Part:
        self._link(a, b)
        first = a.first | b.first if a.empty else a.first
        last = a.last | b.last if b.empty else b.last
        return _Part(a.empty and b.empty, first, last)

    def _link(self, a: _Part, b: _Part) -> None:
        for position in a.last:
            self.follow[position] |= b.first

    def _optional(self, part: _Part) -> _Part:
        return _Part(True, part.first, part.last)

    def _peek(self) -> bytes:
        return self._text[self._at : self._at + 1]

    def _take(self, expected: bytes) -> bool:
        if not self._text.startswith(expected, self._at):
            return False
        self._at += len(expected)
        return True

    def _error(self, what: str) -> PatternError:
        return PatternError(f"{what} (at character {self._at})")


def _both_cases(mask: int) -> int:
    for upper in range(65, 91):
        if mask >> upper & 1 or mask >> (upper + 32) & 1:
            mask |= byte_set(upper, upper + 32)
    return mask


def _compile(text: bytes) -> tuple[Row, Row]:
    """The row to start with, and the one that means found."""
    parsed = _Parser(text)
    first = parsed.whole.first
    always = frozenset() if parsed.at_start else first
    found: Row = []
    found += [found] * 256 + [True]
    # Bytes that no position tells apart share their next row.
    kinds: dict[int, list[int]] = {}
    for byte in range(256):
        kind = sum(1 << n for n, mask in enumerate(parsed.masks) if mask >> byte & 1)
        kinds.setdefault(kind, []).append(byte)
    start: Row = [None] * 256 + [False]
    rows = {(first, False): start}
    waiting = [(first, start)]
    while waiting:
        state, row = waiting.pop()
        for kind, members in kinds.items():
            taken = [position for position in state if kind >> position & 1]
            matched = not parsed.whole.last.isdisjoint(taken)
            following = always.union(*(parsed.follow[position] for position in taken))
            if matched and not parsed.at_end:
                after = found
            elif (after := rows.get((following, matched), found)) is found:
                if len(rows) >= MAX_STATES:
                    raise PatternError(f"too complex: it needs more than {MAX_STATES} states")
                after = rows[following, matched] = [None] * 256 + [matched]
                waiting.append((following, after))
            for byte in members:
                row[byte] = after
    return start, found
