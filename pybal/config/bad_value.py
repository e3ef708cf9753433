"""Saying that a value is bad, and what was probably meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_WORD = 64
_TYPOGRAPHIC = frozenset("‘’‚‛“”„‟«»‹›″′")  # noqa: RUF001 - these are what is looked for


class BadValueError(Exception):
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
