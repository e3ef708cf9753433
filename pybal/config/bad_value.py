"""Saying that a value is bad, and what was probably meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pybal.errors import PyBalError

_MAX_WORD = 64
_MAX_WORDS = 300
_TYPOGRAPHIC = frozenset("‘’‚‛“”„‟«»‹›″′")  # noqa: RUF001 - these are what is looked for


class BadValueError(PyBalError):
    """A value cannot be used. The text says which part is wrong and may be empty; it never
    quotes what could be a secret. `wanted` is what would be right, where that is narrower
    than the kind's own wording. Never leaves pybal.config."""

    def __init__(self, detail: str = "", *, wanted: str | None = None) -> None:
        super().__init__(detail)
        self.wanted = wanted


def quotes_hint(text: str) -> str:
    """What to write in place of quotes that a word processor has made; else nothing."""
    found = "".join(sorted(_TYPOGRAPHIC.intersection(text)))
    if not found:
        return ""
    return f"it has typographic quotes ({found}): write ' or " + '"'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean NAME?` for the nearest known name, or nothing."""
    if len(word) > _MAX_WORD:
        return ""
    by_lower_case = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower_case, n=1)
    return f"did you mean {by_lower_case[found[0]]}?" if found else ""


class Suggestions:
    """did_you_mean() for a whole file. Each look takes a millisecond or so: the same word is looked
    up once, and of very many only the first."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, frozenset[str]], str] = {}

    def of(self, word: str, known: frozenset[str]) -> str:
        """See did_you_mean()."""
        made = self._made.get((word, known))
        if made is None:
            if len(self._made) >= _MAX_WORDS:
                return ""
            made = self._made[word, known] = did_you_mean(word, sorted(known))
        return made


def is_one_slip(word: str, known: str) -> bool:
    """Whether one letter is missing, too many or another one, or two have changed places."""
    at = 0
    while at < min(len(word), len(known)) and word[at] == known[at]:
        at += 1
    left, right = word[at:], known[at:]
    swapped = len(left) > 1 and left[:2] == right[1::-1] and left[2:] == right[2:]
    return word != known and (swapped or left[1:] in (right, right[1:]) or left == right[1:])
