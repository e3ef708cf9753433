"""HTML that is escaped by construction. Pure.

Text becomes HTML in here alone: whatever is put into an element is escaped unless this module made
it. A link leads to a path of this server, or within the page, or it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, urlencode

_VOID = frozenset({"br", "input", "link", "meta"})
_UNSHOWN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, what turns the order of letters around (a name or a reason could pass for
another one), and halves of characters."""
_LINKS = frozenset({"href", "src", "action"})


class Markup(str):
    """HTML. Made by `element` and `joined` alone; a test sees to that."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
"""A Markup is put in as it is, any other text is escaped, None is nothing."""


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """An element. Of attributes' names a trailing `_` goes, another is a `-`; True is an attribute
    without a value, None and False are none."""
    opening = f"<{tag}{''.join(_attribute(*each) for each in attributes.items())}>"
    if tag in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Markup:
    """All of them, one after another."""
    return Markup("".join(map(_html, children)))


def path_to(*segments: str, **query: str) -> str:
    """A path of this server, each segment and value quoted; a value that is empty is left out."""
    # A segment of dots alone would be taken for the way up.
    quoted = (quote(each, safe="").replace(".", "%2E") if each.strip(".") == "" else quote(each, "")
              for each in segments)  # fmt: skip
    asked = urlencode({name: value for name, value in query.items() if value}, errors="replace")
    return "/" + "/".join(quoted) + (f"?{asked}" if asked else "")


def _html(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return _text(child)
    if child is None:
        return ""
    return str(child) if isinstance(child, int) else joined(child)


def _text(text: str) -> str:
    return escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text))


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if name in _LINKS and not _leads_here(str(value)):
        raise ValueError(f"a link out of this server: {value!r}")
    return f' {name}="{_text(str(value))}"'


def _leads_here(link: str) -> bool:
    return link.startswith("#") or (link.startswith("/") and not link.startswith(("//", "/\\")))
