"""What a page consists of: pieces that are rendered, and sent to viewers, on their own. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2s
from typing import Any, NamedTuple

from pybal.page.html import Markup


class Piece(NamedTuple):
    """One element of a page, whose HTML has the attribute id=`id`. `render(id, *values)` makes it;
    it is rendered anew only if a value is another one."""

    id: str
    render: Callable[..., Markup]
    values: tuple[Any, ...]


class Slot(NamedTuple):
    """The pieces inside the element id=`id`, in their order."""

    id: str
    pieces: tuple[Piece, ...]


class Page(NamedTuple):
    """All that changes on a page."""

    slots: tuple[Slot, ...]


@lru_cache(maxsize=20_000)
def piece_id(kind: str, *names: str) -> str:
    """An identifier for what has a name from outside."""
    digest = blake2s("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=8)
    return f"{kind}-{digest.hexdigest()}"


def single(id_: str, render: Callable[..., Markup], *values: Any) -> Slot:
    """A slot of one piece."""
    return Slot(id_, (Piece(f"{id_}-piece", render, values),))
