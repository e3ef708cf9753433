"""A JSON document in pieces of little work each. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

_STEP = 2


class Each:
    """A list whose elements are made while the document is written; it can be written once."""

    def __init__(self, elements: Iterable[object]) -> None:
        self.elements = elements


def json_pieces(value: object, *, pretty: bool, _depth: int = 0) -> Iterator[bytes]:
    """What json.dumps makes of it, an element of an Each at a time. `pretty`: for people."""
    if isinstance(value, Each):
        items = ((b"", element) for element in value.elements)
        yield from _block(b"[]", items, pretty=pretty, depth=_depth)
    elif isinstance(value, Mapping) and _holds_each(value):
        named = ((json.dumps(str(name)).encode() + b": ", part) for name, part in value.items())
        yield from _block(b"{}", named, pretty=pretty, depth=_depth)
    elif pretty:
        # A line break in a text is written as an escape: these are all of the layout.
        text = json.dumps(value, indent=_STEP)
        yield text.replace("\n", "\n" + " " * (_STEP * _depth)).encode("ascii")
    else:
        yield json.dumps(value).encode("ascii")


def _holds_each(value: Mapping[object, object]) -> bool:
    return any(
        isinstance(part, Each) or (isinstance(part, Mapping) and _holds_each(part))
        for part in value.values()
    )


def _block(
    brackets: bytes, items: Iterable[tuple[bytes, object]], *, pretty: bool, depth: int
) -> Iterator[bytes]:
    inside = b"\n" + b" " * (_STEP * (depth + 1)) if pretty else b""
    between = b"," + (inside if pretty else b" ")
    before = brackets[:1] + inside
    empty = True
    for name, part in items:
        yield (before if empty else between) + name
        yield from json_pieces(part, pretty=pretty, _depth=depth + 1)
        empty = False
    if empty:
        yield brackets
    else:
        yield (b"\n" + b" " * (_STEP * depth) if pretty else b"") + brackets[1:]
