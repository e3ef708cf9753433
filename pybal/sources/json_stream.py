"""Reads a JSON document that may be long and of any making, one value of it at a time. Pure.

Python's json lets no other thread run while it makes lists of lists, and takes twenty times as much
memory for them as they are long: 64 MB held the reactor up for five seconds, and took 1.6 GB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_BLANKS = re.compile(r"[ \t\n\r]*")
_AFTER_VALUE = tuple(",:]} \t\n\r")


class JSONStream:
    """What a text in `pieces`, none of them empty, says next. All methods raise ValueError where
    that is not JSON or not what was asked for, or a value is much longer than `longest` characters,
    and RecursionError where one is nested too deeply. `hook`: json's object_hook."""

    def __init__(
        self, pieces: Iterator[str], longest: int, hook: Callable[[dict[str, Any]], Any]
    ) -> None:
        self._pieces = pieces
        self._longest = longest
        self._decode = json.JSONDecoder(object_hook=hook).raw_decode
        self._text = ""
        self._at = 0

    def members(self) -> Iterator[str]:
        """The names in an object; the value of each is to be taken before the next one."""
        self._take("{")
        if self._skips("}"):
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise ValueError("a name that is no string")
            self._take(":")
            yield name
            if self._skips("}"):
                return
            self._take(",")

    def elements(self) -> Iterator[Any]:
        """The values in an array."""
        self._take("[")
        if self._skips("]"):
            return
        while True:
            yield self.value()
            if self._skips("]"):
                return
            self._take(",")

    def value(self) -> Any:
        """A whole value."""
        self.next_is("")
        while True:
            try:
                found, end = self._decode(self._text, self._at)
            except ValueError:
                # It may just go on in the next piece.
                if not self._more():
                    raise
                continue
            # So may a number: "1" in "1." is none yet.
            if self._text[end : end + 1] in _AFTER_VALUE or not self._more():
                self._at = end
                return found

    def next_is(self, sign: str) -> bool:
        """Whether that is what comes next, after blanks."""
        while True:
            match = _BLANKS.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text) or not self._more():
                return self._text.startswith(sign, self._at)

    def end(self) -> None:
        """Nothing but blanks is left."""
        if not self.next_is("") or self._at < len(self._text):
            raise ValueError("more than one value")

    def _skips(self, sign: str) -> bool:
        found = self.next_is(sign)
        self._at += len(sign) if found else 0
        return found

    def _take(self, sign: str) -> None:
        if not self._skips(sign):
            raise ValueError(f"no {sign}")

    def _more(self) -> bool:
        """Take one more piece; false if there is none."""
        if len(self._text) - self._at > self._longest:
            raise ValueError("a value that is too long")
        piece = next(self._pieces, "")
        if piece:
            self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)
