"""Events, incidents and reasons as lines: which are red, and what is said when something is not."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.ctl.local_time import local_time
from pybal.ctl.render_history import event_line, good_results_line, incident_line, why_lines
from pybal.ctl.table import Line, Style

NOON = {"epoch": 1_700_000_000.0}
LATER = {"epoch": 1_700_000_090.0}


def event(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"kind": kind, "service": "web", "text": "it is", "incident": None, "at": NOON,
            "inputs": inputs}  # fmt: skip


@pytest.mark.parametrize(
    ("happened", "style"),
    [
        (event("decision", verdict="held"), Style.BAD),
        (event("decision", verdict="depooled"), Style.BAD),
        (event("decision", verdict="not_ready"), Style.BAD),
        (event("decision", verdict="refused"), Style.BAD),
        (event("decision", verdict="pooled"), Style.PLAIN),
        (event("report", up=False), Style.WORSE),
        (event("report", up=True), Style.PLAIN),
        (event("report"), Style.PLAIN),
        (event("isolation"), Style.WORSE),
        (event("lost"), Style.WORSE),
        (event("held"), Style.WORSE),
        (event("clock"), Style.WORSE),
        (event("list"), Style.PLAIN),
    ],
)
def test_what_is_bad_stands_out(happened: dict[str, Any], style: Style) -> None:
    text = f"{local_time(NOON)} {happened['kind']:10} [web] it is"
    assert event_line(happened) == Line(text, style)


def test_a_single_good_result_is_itself() -> None:
    one = event("report", up=True)
    assert good_results_line([one]) == event_line(one)
    assert good_results_line([one, {**one, "text": "other"}]).text.endswith(
        "2 monitors of 1 service report their servers up"
    )


INCIDENT: dict[str, Any] = {
    "id": 7, "text": "cp1 failed", "began_at": NOON, "last_at": LATER, "ended_at": None,
    "effects": 1, "events": 2,
}  # fmt: skip


def test_an_incident_that_goes_on_is_worse_than_one_that_is_over() -> None:
    words = "1 effect, 2 events: pybalctl events --incident 7)"
    going_on = f"incident   cp1 failed (goes on; {words}"
    assert incident_line(INCIDENT) == Line(f"{local_time(NOON)} {going_on}", Style.BAD)
    over = f"{local_time(NOON)} incident   cp1 failed (over after 90 s; {words}"
    assert incident_line({**INCIDENT, "ended_at": LATER}) == Line(over, Style.WORSE)
    again = f"{local_time(LATER)} {going_on}"
    assert incident_line({**INCIDENT, "again": True}) == Line(again, Style.BAD)


SERVER: dict[str, Any] = {
    "service": "web", "host": "cp1", "status": "enabled/up/pooled", "cause": None, "events": [],
    "why": {"verdict": "pooled", "text": "cp1 is pooled"}, "of_former_run": False,
}  # fmt: skip
MOMENT: dict[str, Any] = {
    "at": NOON, "history_since": LATER, "before_history": False, "running": True,
    "servers": [SERVER],
}  # fmt: skip


def reasons(moment: dict[str, Any], **server: Any) -> list[Line]:
    first, *lines = why_lines({**MOMENT, "servers": [{**SERVER, **server}], **moment})
    assert first == Line(f"At {local_time(NOON)}:", Style.HEAD)
    return lines


def test_why_says_how_it_was_and_why() -> None:
    name = "web: cp1 was enabled/up/pooled"
    reason = Line("  cp1 is pooled")
    assert reasons({}) == [Line(name), reason]
    assert reasons({"running": False})[0] == Line("PyBal did not run at that moment", Style.WORSE)
    assert reasons({"running": None}) == reasons({}), "nobody knows"
    out = {"verdict": "depooled", "text": "cp1 is depooled"}
    assert reasons({}, why=out) == [Line(name, Style.BAD), Line("  cp1 is depooled")]
    nothing = Line("  Nothing had been decided of it.")
    assert reasons({}, why=None, status=None) == [Line("web: cp1", Style.BAD), nothing]
    former = Line("  PyBal was restarted after that, and had not decided anew.", Style.WORSE)
    assert reasons({}, of_former_run=True)[2:] == [former]


def test_a_moment_before_the_history_is_said_to_be_one() -> None:
    words = "That moment lies before the history"
    begins = f"{words}, which begins at {local_time(LATER)}"
    assert reasons({"before_history": True})[0] == Line(begins, Style.WORSE)
    empty = reasons({"before_history": True, "history_since": None})[0]
    assert empty == Line(f"{words}, which is empty", Style.WORSE)
