"""Small things that every part of a page has: moments, states, links, counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pybal.instrumentation.instants import iso_time
from pybal.model import ServerSnapshot
from pybal.page.html import Child, Markup, element, path_to

_DAY = slice(0, 10)
_TIME = slice(11, 19)
NAMES_SHOWN = 3


def moment(at: float | None, never: str = "never") -> Markup:
    """A moment in UTC. The script shows how long ago it is, which needs no new rendering."""
    if at is None:
        return element("span", never, class_="quiet")
    iso = iso_time(at)
    return element("time", f"{iso[_DAY]} {iso[_TIME]} UTC", datetime=iso)


def state(word: str, level: str) -> Markup:
    """A state in a word; the colour of its level only underlines that. Levels are `critical`,
    `warning`, `degraded`, `ok` and `off`."""
    return element("span", word, class_=f"state {level}")


def count_of(count: int, one: str, many: str = "") -> str:
    """`1 server`, `2 servers`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def service_link(name: str, query: str = "") -> Markup:
    """To a service's own page."""
    return element("a", name, href=path_to("status", name, q=query))


def listed(items: Sequence[Child], shown: int = NAMES_SHOWN) -> Markup:
    """A few of them, with commas, and how many more there are."""
    parts: list[Child] = []
    for item in items[:shown]:
        parts += [", ", item] if parts else [item]
    if len(items) > shown:
        parts.append(f" and {len(items) - shown} more")
    return element("span", *parts)


def address_beside(server: ServerSnapshot) -> Markup | None:
    """A server's address below its name, if that is another."""
    if server.address is None:
        return element("span", "no address", class_="why")
    address = str(server.address)
    return None if address == server.host else element("span", address, class_="why")


def plain(value: float) -> str:
    """A number without zeros at its end."""
    return f"{value:.6g}"
