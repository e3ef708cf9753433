"""Where the strip draws what, and how incidents and events read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Incident, Subject
from pybal.page.past import Past
from pybal.page.timeline import strip, timeline_slots
from tests.fakes.view import NOON
from tests.page.reading import drawn, words

AT = "2023-11-14 22:13:20 UTC"
UNTIL = NOON - NOON % 60
BEGIN = UNTIL + 60 - 6 * 3600
"""The strip is 360 minutes wide and 26 high, and ends a minute after the last whole one."""

Rect = tuple[float, ...]


def rects(
    class_: str, *spans: tuple[float, float | None], marks: tuple[float, ...] = ()
) -> list[Rect]:
    """Left, top, width and height of what is drawn of a class."""
    drawn = strip("s", spans, marks, UNTIL)
    found = re.findall(
        rf'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" class="{class_}">',
        drawn,
    )
    return [tuple(map(float, each)) for each in found]


def test_each_hour_has_a_line_and_a_word() -> None:
    assert rects("hour") == [(60.0 * hour, 0, 0.4, 26) for hour in range(7)]
    shown = strip("s", (), (), UNTIL)
    assert 'viewBox="0 0 360 26"' in shown
    assert re.findall(r"<span>(.*?)</span>", shown) == [
        "\N{MINUS SIGN}6 h", "\N{MINUS SIGN}5 h", "\N{MINUS SIGN}4 h", "\N{MINUS SIGN}3 h",
        "\N{MINUS SIGN}2 h", "\N{MINUS SIGN}1 h", "now",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("began_at", "ended_at", "class_", "left", "width"),
    [
        (BEGIN, BEGIN + 3600, "over", 0, 60),
        (BEGIN + 600, BEGIN + 1200, "over", 10, 10),
        (BEGIN - 3600, BEGIN + 600, "over", 0, 10),
        (UNTIL, None, "open", 358.5, 1.5),
        (UNTIL - 540, None, "open", 350, 10),
        # A moment is to be seen, too, and within the picture.
        (BEGIN + 600, BEGIN + 600, "over", 10, 1.5),
        (UNTIL + 60, UNTIL + 60, "over", 358.5, 1.5),
    ],
)
def test_incidents_are_bars(
    began_at: float, ended_at: float | None, class_: str, left: float, width: float
) -> None:
    if ended_at is None and began_at == UNTIL:
        left, width = 358.5, 1.5
    assert rects(class_, (began_at, ended_at)) == [(left, 3, width, 12)]
    other = "open" if class_ == "over" else "over"
    assert rects(other, (began_at, ended_at)) == []


@pytest.mark.parametrize(
    ("at", "left"),
    [(BEGIN - 1, None), (BEGIN, 0), (BEGIN + 90, 1.5), (UNTIL, 359), (UNTIL + 60, 359)],
)
def test_events_are_ticks(at: float, left: float | None) -> None:
    assert rects("event", marks=(at,)) == ([] if left is None else [(left, 18, 1, 6)])


def incident(number: int = 1, **more: Any) -> Incident:
    given: dict[str, Any] = {
        "subject": Subject("host", "cp1"), "cause": "silent", "began_at": NOON, "last_at": NOON,
    }  # fmt: skip
    return Incident(number, **{**given, **more})


def event(seq: int, kind: Kind = Kind.RELOAD, at: float = NOON, **more: Any) -> LedgerEvent:
    return LedgerEvent(seq, at, 0.0, 1, kind, f"event {seq}", **more)


def said(id_: str, *events: LedgerEvent, incidents: tuple[Incident, ...] = ()) -> list[str]:
    (slot,) = [s for s in timeline_slots(Past(events, incidents, UNTIL)) if s.id == id_]
    return [words(drawn(piece)) for piece in slot.pieces]


def test_nothing_happened() -> None:
    assert said("incidents") == ["No incidents in the last 6 hours."]
    assert said("events") == ["No events in the last 6 hours."]


@pytest.mark.parametrize(
    ("one", "text", "class_"),
    [
        (incident(), f"{AT}[open critical] cp1 failed: silent goes on", "critical"),
        (
            incident(ended_at=NOON + 90, effects=1, services=("web",)),
            f"{AT}[over off] cp1 failed in 1 service: silent lasted 90 s, 1 effect · web",
            "off",
        ),
        (
            # The clock was set back meanwhile.
            incident(ended_at=NOON - 90, effects=2, services=("a", "b", "c", "d")),
            f"{AT}[over off] cp1 failed in 4 services: silent lasted 0 s, 2 effects"
            " · a, b, c and 1 more",
            "off",
        ),
    ],
    ids=lambda value: "",
)
def test_an_incident(one: Incident, text: str, class_: str) -> None:
    assert said("incidents", incidents=(one,)) == [text]
    piece = timeline_slots(Past((), (one,), UNTIL))[1].pieces[0]
    assert f'<li id="incident-1" class="{class_}"' in drawn(piece)


def test_the_newest_incident_comes_first() -> None:
    slots = timeline_slots(Past((), (incident(1), incident(2)), UNTIL))
    assert [piece.id for piece in slots[1].pieces] == ["incident-2", "incident-1"]


@pytest.mark.parametrize(
    ("kind", "class_"),
    [
        (Kind.RELOAD, "off"),
        (Kind.ISOLATION, "warning"),
        (Kind.LOST, "warning"),
        (Kind.HELD, "warning"),
        (Kind.CLOCK, "warning"),
    ],
)
def test_an_event(kind: Kind, class_: str) -> None:
    assert said("events", event(7, kind)) == [f"{AT}{kind.value} event 7"]
    of_service = event(7, kind, service="web", host="cp1")
    assert said("events", of_service) == [f"{AT}{kind.value} event 7 · web"]
    piece = timeline_slots(Past((of_service,), (), UNTIL))[2].pieces[0]
    assert f'<li id="event-7" class="{class_}"' in drawn(piece)
    assert f'data-find="{kind.value} event 7 web cp1"' in drawn(piece)


POOLED, OUT = {"verdict": "pooled_unproven"}, {"verdict": "depooled"}


@pytest.mark.parametrize(
    ("kind", "inputs", "together"),
    [
        (Kind.ROUTE, {}, True),
        (Kind.RETRACTION, {}, True),
        (Kind.ADDRESS, {}, True),
        (Kind.DECISION, POOLED, True),
        (Kind.DECISION, OUT, False),
        (Kind.DECISION, {}, False),
        (Kind.RELOAD, {}, False),
    ],
)
def test_what_comes_in_hundreds_within_a_minute_is_one_line(
    kind: Kind, inputs: dict[str, str], together: bool
) -> None:
    times = (0.0, 1.0, 59.9, 60.0)
    some = [event(n, kind, NOON + after, inputs=inputs) for n, after in enumerate(times, 1)]
    shown = said("events", *some)
    assert len(shown) == (2 if together else 4)
    if together:
        assert shown[0].endswith("event 4")
        assert shown[1].endswith("event 3, and 2 more")


def test_others_of_its_kind_are_not_put_together_with_what_is_no_news_of_hundreds() -> None:
    shown = said(
        "events",
        event(1, Kind.DECISION, inputs=POOLED),
        event(2, Kind.DECISION, inputs=OUT),
        event(3, Kind.DECISION, inputs=POOLED),
    )
    assert [each.partition("decision ")[2] for each in shown] == ["event 3, and 1 more", "event 2"]


def test_forty_lines_are_shown() -> None:
    shown = said("events", *(event(n) for n in range(1, 100)))
    assert len(shown) == 40
    assert shown[0].endswith("event 99")
