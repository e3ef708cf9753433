"""What a person reads of a piece of a page."""

from __future__ import annotations

import re
from html import unescape

from pybal.page.html import Markup
from pybal.page.piece import Piece


def words(markup: Markup | None) -> str:
    """The words of each row, item or paragraph, with ` / ` between; states in brackets."""
    if markup is None:
        return ""
    text = re.sub(r'<span class="state (\w+)">(.*?)</span>', r"[\2 \1]", markup)
    text = re.sub(r"</(li|p|tr|h3|dd|caption)>", " / ", text)
    text = re.sub(r"</(th|td|dt)>", " | ", text)
    text = re.sub(r"<[^>]+>", "", text)
    text = re.sub(r"[ ]*/ (/ )*", " / ", re.sub(r"\s+", " ", text))
    return unescape(text).strip().removesuffix(" /")


def facts(markup: Markup) -> dict[str, str]:
    """A list of names and what is said of them."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", markup)
    return {name: words(Markup(said)) for name, said in found}


def drawn(piece: Piece) -> Markup:
    """A piece as it is rendered."""
    return piece.render(piece.id, *piece.values)
