"""A page as it was last rendered, and what of it has changed since a version. Pure.

However many look at a page, it is rendered once, and only what has changed of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pybal.page.html import Markup, joined
from pybal.page.piece import Page, Piece

_KEPT = 32


@dataclass(slots=True)
class _Rendered:
    piece: Piece
    html: Markup
    version: int
    """The one in which it last changed."""


@dataclass(slots=True)
class _Order:
    ids: tuple[str, ...]
    version: int


class RenderedPage:
    """The versions of one page, counted from 1. `epoch` tells this run's from those of others."""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self.version = 0
        self._pieces: dict[str, _Rendered] = {}
        self._orders: dict[str, _Order] = {}
        self._changes: dict[int, bytes] = {}

    def update(self, page: Page) -> Iterator[None]:
        """The page is this now. Done once the iteration has ended; each step is a little work.
        The version is another one then only if anything has changed."""
        version = self.version + 1
        pieces: dict[str, _Rendered] = {}
        orders: dict[str, _Order] = {}
        changed = False
        for slot in page.slots:
            for piece in slot.pieces:
                before = self._pieces.get(piece.id)
                if before is None or not _same(before.piece, piece):
                    html = piece.render(piece.id, *piece.values)
                    if before is not None and before.html == html:
                        before.piece = piece
                    else:
                        before = _Rendered(piece, html, version)
                        changed = True
                    yield
                pieces[piece.id] = before
            ids, known = tuple(piece.id for piece in slot.pieces), self._orders.get(slot.id)
            if known is None or known.ids != ids:
                known, changed = _Order(ids, version), True
            orders[slot.id] = known
        self._pieces, self._orders = pieces, orders
        if changed:
            self.version = version
            self._changes.clear()

    @property
    def state(self) -> str:
        """The version as viewers name it."""
        return f"{self._epoch}.{self.version}"

    def slot(self, id_: str) -> Markup:
        """All pieces of a slot."""
        return joined(self._pieces[each].html for each in self._orders[id_].ids)

    def version_of(self, state: str) -> int:
        """The version that a viewer has by its own word; 0, which is none, if that is no version
        of this run."""
        epoch, _, number = state.rpartition(".")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 16):
            return 0
        return int(number) if int(number) <= self.version else 0

    def since(self, version: int) -> bytes:
        """What has changed since, as JSON: `pieces` are HTML by id, `order` the ids of each slot
        whose pieces are others or in another order."""
        if version not in self._changes:
            if len(self._changes) >= _KEPT:
                self._changes.clear()
            changes = {
                "pieces": {id_: p.html for id_, p in self._pieces.items() if p.version > version},
                "order": {id_: o.ids for id_, o in self._orders.items() if o.version > version},
            }
            self._changes[version] = json.dumps(changes, separators=(",", ":")).encode("ascii")
        return self._changes[version]


def _same(before: Piece, now: Piece) -> bool:
    return before.render is now.render and before.values == now.values
