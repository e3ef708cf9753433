"""Servers of all services that match what is looked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pybal.model import ServerSnapshot, ServiceSnapshot
from pybal.page.html import Markup, element
from pybal.page.overview import level_of
from pybal.page.tally import RANK, Care, care_of
from pybal.page.words import address_beside, count_of, service_link, state

SHOWN = 100
LONGEST = 200
"""Of what is looked for, characters that count."""

Match = tuple[str, ServerSnapshot, Care]


def matches(services: Iterable[ServiceSnapshot], query: str) -> Iterator[Match | None]:
    """Servers whose name or address has all the words of the query in it; None after the servers
    of each service."""
    words = query.casefold().split()
    for service in services:
        for server in service.servers:
            text = server.host.casefold()
            if not all(word in text for word in words):
                text = f"{text} {server.address} {service.name.casefold()}"
            if all(word in text for word in words):
                yield service.name, server, care_of(server)
        yield None


def found_section(query: str, found: list[Match]) -> Markup:
    """The worst first."""
    ordered = sorted(found, key=lambda each: RANK[each[2]])
    hosts = len({server.host for _, server, _ in found})
    title = f"{count_of(hosts, 'host')} in {count_of(len(found), 'place')} with “{query}”"
    more = len(found) - SHOWN
    heads = [element("th", name, scope="col") for name in ("Server", "State", "Service", "Weight")]
    return element(
        "div",
        element("h2", title),
        element(
            "table",
            element("caption", "Servers found", class_="unseen"),
            element("thead", element("tr", heads)),
            element("tbody", [_row(*each) for each in ordered[:SHOWN]]),
            class_="hosts found",
        )
        if found
        else None,
        element("p", f"and {more:,} more", class_="quiet") if more > 0 else None,
    )


def _row(service: str, server: ServerSnapshot, care: Care) -> Markup:
    return element(
        "tr",
        element("th", server.host, address_beside(server), scope="row"),
        element("td", state(care.value, level_of(care)), class_="is"),
        element("td", service_link(service, server.host), class_="where"),
        element("td", f"{server.weight}", class_="n", data_label="weight"),
        class_=level_of(care),
    )
