"""Incidents and events of the last hours on a time line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident
from pybal.page.html import Child, Markup, element
from pybal.page.past import HOURS, Past
from pybal.page.piece import Piece, Slot, single
from pybal.page.words import count_of, listed, moment, service_link, state
from pybal.runtime.naming import duration

_MINUTES = HOURS * 60
_HEIGHT = 26
_LEAST = 1.5
_LINES = 40
_TOGETHER_S = 60.0
_WORRIES = frozenset({Kind.ISOLATION, Kind.LOST, Kind.HELD, Kind.CLOCK})


class _Run(NamedTuple):
    """Events of one kind that came together: the newest, and how many more."""

    event: LedgerEvent
    more: int


def timeline_slots(past: Past) -> tuple[Slot, ...]:
    """The strip, the incidents and the events; the newest first."""
    spans = tuple((each.began_at, each.ended_at) for each in past.incidents)
    marks = tuple(each.at for each in past.events)
    incidents = [Piece(f"incident-{i.id}", _incident, (i,)) for i in reversed(past.incidents)]
    runs = [Piece(f"event-{r.event.seq}", _event, (r,)) for r in _together(past.events)][:_LINES]
    return (
        single("strip", strip, spans, marks, past.until),
        Slot("incidents", tuple(incidents) or (Piece("incident-none", _nothing, ("incidents",)),)),
        Slot("events", tuple(runs) or (Piece("event-none", _nothing, ("events",)),)),
    )


def _nothing(id_: str, what: str) -> Markup:
    return element("li", f"No {what} in the last {HOURS} hours.", id=id_, class_="quiet")


def _together(events: Sequence[LedgerEvent]) -> list[_Run]:
    """The newest first. Of a kind that comes in hundreds at a start, those of the same minute are
    one line."""
    runs: list[list[LedgerEvent]] = []
    latest: dict[Kind, list[LedgerEvent]] = {}
    for event in events:
        run = latest.get(event.kind)
        if run is not None and abs(event.at - run[0].at) < _TOGETHER_S and _comes_often(event):
            run.append(event)
            continue
        runs.append([event])
        if _comes_often(event):
            latest[event.kind] = runs[-1]
    ordered = sorted(runs, key=lambda run: run[-1].seq, reverse=True)
    return [_Run(run[-1], len(run) - 1) for run in ordered]


def _comes_often(event: LedgerEvent) -> bool:
    if event.kind is Kind.DECISION:
        return str(event.inputs.get("verdict")).startswith("pooled")
    return event.kind in (Kind.ROUTE, Kind.RETRACTION, Kind.ADDRESS)


def strip(
    id_: str, spans: tuple[tuple[float, float | None], ...], marks: tuple[float, ...], until: float
) -> Markup:
    """The last hours from left to right: incidents above, events below. What it shows stands in
    words beneath it."""
    begin = until + 60 - HOURS * 3600

    def x(at: float) -> float:
        return min(max(0.0, (at - begin) / 60), float(_MINUTES))

    hours = [_rect(hour * 60, 0, 0.4, _HEIGHT, "hour") for hour in range(HOURS + 1)]
    bars = []
    for began_at, ended_at in spans:
        left, right = x(began_at), x(until + 60 if ended_at is None else ended_at)
        width = max(_LEAST, right - left)
        left = min(left, _MINUTES - width)
        bars.append(_rect(left, 3, width, 12, "over" if ended_at is not None else "open"))
    ticks = [_rect(min(x(at), _MINUTES - 1), 18, 1, 6, "event") for at in marks if at >= begin]
    picture = element(
        "svg",
        *hours,
        *bars,
        *ticks,
        class_="strip",
        viewBox=f"0 0 {_MINUTES} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{count_of(len(spans), 'incident')} and {count_of(len(marks), 'event')} "
        f"in {HOURS} hours",
    )
    scale = [element("span", f"−{hour} h" if hour else "now") for hour in range(HOURS, -1, -1)]  # noqa: RUF001
    return element("div", picture, element("p", scale, class_="scale", aria_hidden="true"), id=id_)


def _rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return element(
        "rect", x=f"{x:.1f}", y=f"{y:g}", width=f"{width:.1f}", height=f"{height:g}", class_=class_
    )


def _incident(id_: str, incident: Incident) -> Markup:
    ended_at = incident.ended_at
    lasted: Child = " goes on"
    if ended_at is not None:
        lasted = f" lasted {duration(max(0.0, ended_at - incident.began_at))}"
    services = [service_link(name) for name in incident.services]
    effects = f", {count_of(incident.effects, 'effect')}" if incident.effects else ""
    return element(
        "li",
        moment(incident.began_at),
        element(
            "div",
            state("open", "critical") if ended_at is None else state("over", "off"),
            element("span", " ", incident.text, class_="text"),
            element("span", lasted, effects, class_="quiet"),
            element("span", " · ", listed(services), class_="where") if services else None,
        ),
        id=id_,
        class_="critical" if ended_at is None else "off",
        data_find=" ".join((incident.subject.name, incident.text, *incident.services)),
    )


def _event(id_: str, run: _Run) -> Markup:
    event = run.event
    return element(
        "li",
        moment(event.at),
        element(
            "div",
            element("span", event.kind.value, class_="kind"),
            element("span", " ", event.text, class_="text"),
            f", and {run.more:,} more" if run.more else None,
            None
            if event.service is None
            else element("span", " · ", service_link(event.service), class_="where"),
        ),
        id=id_,
        class_="warning" if event.kind in _WORRIES else "off",
        data_find=f"{event.kind.value} {event.text} {event.service or ''} {event.host or ''}",
    )
