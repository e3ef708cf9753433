"""Whole documents: the frame around what changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pybal.page.html import Child, Markup, element
from pybal.page.words import service_link

RELOAD_S = 15
"""So often a browser without JavaScript asks again."""


class Frame(NamedTuple):
    """What is around a page: which director, links to its icon, style sheet and script, the version
    shown, of which build of the pages, and where its changes are to be had, what is looked for, and
    the time."""

    director: str
    icon: str
    style: str
    script: str
    state: str
    build: str
    stream: str
    query: str
    now: float


Fill = Callable[[str], Markup]
"""The contents of a slot."""


def document(
    frame: Frame, title: str, body: Sequence[Child], *, live: bool = True, kind: str = ""
) -> bytes:
    """A whole HTML document."""
    reload = element("meta", http_equiv="refresh", content=RELOAD_S)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        element("link", rel="icon", type="image/svg+xml", href=frame.icon),
        element("link", rel="stylesheet", href=frame.style),
        element("script", src=frame.script, defer=True) if live else None,
        element("noscript", reload) if live else None,
    )
    stream = {"data_stream": frame.stream, "data_state": frame.state, "data_build": frame.build}
    stream = stream if live else {}
    shown = element("body", *body, class_=kind or None, data_now=f"{frame.now:.3f}", **stream)
    page = element("html", head, shown, lang="en")
    return b"<!DOCTYPE html>\n" + page.encode("utf-8", "replace")


def top(frame: Frame, title: Child, verdict: Markup) -> Markup:
    """The head of a page: whose it is, how it is, whether it is live; and the filter."""
    shown = element("div", verdict, id="verdict", data_slot=True, aria_live="polite")
    return element(
        "header",
        element("a", "Skip to the content", href="#main", class_="skip"),
        element("div", title, shown, class_="title"),
        element(
            "form",
            element("label", "Filter", for_="q"),
            element("input", id="q", name="q", type="search", value=frame.query,
                    autocomplete="off", spellcheck="false", autocapitalize="none",
                    placeholder="service, host, address"),
            element("noscript", element("button", "Find")),
            element("span", id="found", role="status"),
            role="search",
        ),
        element("p", f"reloads every {RELOAD_S} s", id="live", class_="quiet"),
    )  # fmt: skip


def overview_document(frame: Frame, fill: Fill, found: Markup | None) -> bytes:
    """`/status`. `found` are the servers that are looked for."""
    title = element("h1", frame.director)
    body = (
        top(frame, title, fill("verdict")),
        element(
            "main",
            element("nav", element("ul", fill("tiles"), id="tiles", data_slot=True, class_="tiles"),
                    aria_label="Sections"),
            element("section", found, id="servers-found", hidden=found is None),
            _section("alerts", "Alerts", fill),
            _section("hosts", "Hosts out", fill, ("Host", "State", "Where", "Since")),
            _section(
                "services", "Services", fill,
                ("Service", "State", "Servers", "Up", "Pooled", "Address"),
            ),
            _timeline(fill),
            element(
                "div",
                _section("overrides", "Overrides", fill),
                _section("bgp", "BGP", fill),
                _section("kernel", "Kernel table", fill),
                _section("lists", "Pool lists", fill),
                _section("config", "Configuration", fill),
                _section("daemon", "Director", fill),
                class_="cards",
            ),
            id="main",
        ),
    )  # fmt: skip
    return document(frame, f"{frame.director} · PyBal", body)


def service_document(frame: Frame, name: str, fill: Fill) -> bytes:
    """`/status/SERVICE`."""
    title = element(
        "div",
        element("a", f"All of {frame.director}", href="/status", class_="up"),
        element("h1", name),
    )
    body = (
        top(frame, title, fill("verdict")),
        element(
            "main",
            _section("alerts", "Alerts", fill),
            _section(
                "servers", "Servers", fill,
                ("Server", "State", "Monitors", "Why", "Weight", "Connections"),
            ),
            _timeline(fill),
            element("div", _section("about", "Service", fill), _section("list", "Pool list", fill),
                    class_="cards"),
            id="main",
        ),
    )  # fmt: skip
    return document(frame, f"{name} · {frame.director} · PyBal", body, kind="one")


def missing_document(frame: Frame, names: Sequence[str]) -> bytes:
    """Instead of the page of a service that there is not."""
    body = (
        element(
            "main",
            element("h1", "There is no such service"),
            element("p", element("a", f"All of {frame.director}", href="/status")),
            element("ul", [element("li", service_link(name)) for name in names]),
            id="main",
        ),
    )
    return document(frame, "No such service · PyBal", body, live=False)


def _timeline(fill: Fill) -> Markup:
    return element(
        "section",
        element("h2", "Time line", id="timeline-h"),
        element("div", fill("strip"), id="strip", data_slot=True),
        element("h3", "Incidents"),
        element("ul", fill("incidents"), id="incidents", data_slot=True, class_="timeline"),
        element("h3", "Events"),
        element("ul", fill("events"), id="events", data_slot=True, class_="timeline"),
        aria_labelledby="timeline-h",
    )


def _section(id_: str, title: str, fill: Fill, columns: Sequence[str] = ()) -> Markup:
    heading = element("h2", title, id=f"{id_}-h")
    if not columns:
        return element("section", heading, element("div", fill(id_), id=id_, data_slot=True),
                       aria_labelledby=f"{id_}-h")  # fmt: skip
    heads = element("tr", [element("th", column, scope="col") for column in columns])
    table = element(
        "table",
        element("caption", title, class_="unseen"),
        element("thead", heads),
        element("tbody", fill(id_), id=id_, data_slot=True),
        class_=id_,
    )
    return element("section", heading, table, aria_labelledby=f"{id_}-h")
