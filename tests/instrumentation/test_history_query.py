"""What may be asked of the history in a URL, and what is said of what may not."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.history.event import Kind
from pybal.history.query import EventQuery
from pybal.instrumentation.history_query import (
    EVENT_PARAMETERS,
    INCIDENT_PARAMETERS,
    WHY_PARAMETERS,
    BadQueryError,
    event_query,
    flag,
    moment_of,
    parameters_of,
    read_values,
)

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (("events",), set(EVENT_PARAMETERS)),
        (
            ("incidents",),
            {"after", "before", "limit", "order", "service", "host", "since", "until", "pretty"},
        ),
        (("servers", "cp1", "why"), {"at", "pretty", "service"}),
        (("services", "web", "servers", "cp1", "why"), {"at", "pretty"}),
        (("services", "web"), None),
        (("events", "1"), None),
        ((), None),
    ],
)
def test_each_path_has_its_parameters(path: tuple[str, ...], known: set[str] | None) -> None:
    found = parameters_of(path)
    assert (None if found is None else set(found)) == known
    assert INCIDENT_PARAMETERS["host"] == EVENT_PARAMETERS["host"]
    assert "service" not in WHY_PARAMETERS


def query(text: str) -> EventQuery:
    return event_query(read_values(text.encode(), EVENT_PARAMETERS), NOW)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("after=0&before=9007199254740992", {"after": 0, "before": 2**53}),
        ("before=0&incident=0&order=asc", {"before": 0, "incident": 0}),
        ("incident=7&limit=1", {"incident": 7, "limit": 1}),
        ("limit=1000", {"limit": 1000}),
        ("service=a&service=b,c&host=,d,", {"services": {"a", "b", "c"}, "hosts": {"d"}}),
        ("kind=bgp,route", {"kinds": {Kind.BGP, Kind.ROUTE}}),
        ("since=1h&until=now", {"since": NOW - 3600, "until": NOW}),
        ("since=now&until=now", {"since": NOW, "until": NOW}),
        ("order=asc", {"newest": False}),
        ("order=desc", {"newest": True}),
        ("order=asc&before=7", {"newest": False, "before": 7}),
        # Who pages back wants what comes just before.
        ("before=7", {"newest": True, "before": 7}),
        ("before=7&after=3", {"newest": False, "before": 7, "after": 3}),
        ("host=caf%C3%A9", {"hosts": {"café"}}),
    ],
)
def test_what_is_asked_is_what_is_wanted(text: str, wanted: dict[str, Any]) -> None:
    expected: dict[str, Any] = {
        name: frozenset(each) if isinstance(each, set) else each for name, each in wanted.items()
    }
    assert query(text) == EventQuery(**{"limit": 100, **expected})


WHOLE = "must be a whole number"


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        ("limit=0", f"limit {WHOLE} from 1 to 1000", "It means: at most so many"),
        ("limit=1001", f"limit {WHOLE} from 1 to 1000", "It means: at most so many"),
        ("limit=-1", f"limit {WHOLE} from 1 to 1000", ""),
        ("limit=", f"limit {WHOLE} from 1 to 1000", ""),
        ("limit=%D9%A3", f"limit {WHOLE} from 1 to 1000", ""),
        ("after=-1", f"after {WHOLE} not below 0", "It means: only events after this number"),
        ("after=9007199254740993", f"after {WHOLE} not below 0", ""),
        ("after=" + "1" * 20, f"after {WHOLE} not below 0", ""),
        ("after=1.5", f"after {WHOLE} not below 0", ""),
        ("after=1&after=2", "after is there more than once", "Once is enough"),
        ("order=up", "order must be asc or desc", "It means: asc: the oldest"),
        ("kind=nosuch", "There is no kind 'nosuch' of events", "There are start, stop, service"),
        ("since=nosuch", "since: 'nosuch' is no moment", "It may be 03:12"),
        ("since=now&until=1h", "since is later than until", "Nothing can lie between them"),
        ("nosuch=1", "There is no parameter 'nosuch'", "There are after, before, limit, order"),
        ("x" * 50 + "=1", f"There is no parameter '{'x' * 39}…'", "There are after"),
        ("host=%FF", "The query is not UTF-8, or too long", "There are after"),
        ("&".join(["host=a"] * 101), "The query is not UTF-8, or too long", ""),
    ],
)
def test_what_is_not_understood_is_refused_with_what_there_is(
    text: str, said: str, remedy: str
) -> None:
    with pytest.raises(BadQueryError) as refused:
        query(text)
    assert str(refused.value) == said
    assert refused.value.remedy.startswith(remedy)


def test_a_hundred_values_are_read_and_octets_beyond_ascii_are_not() -> None:
    assert len(query("&".join(f"host=h{n}" for n in range(100))).hosts) == 100
    with pytest.raises(BadQueryError):
        read_values("host=é".encode(), EVENT_PARAMETERS)


def test_nineteen_digits_are_a_number_that_is_too_large() -> None:
    with pytest.raises(BadQueryError, match="not below 0"):
        query("after=" + "0" * 19 + "1")
    assert query("after=" + "0" * 18 + "1").after == 1


def test_a_moment_that_is_not_asked_for() -> None:
    assert moment_of({}, "at", NOW) is None
    assert moment_of({"at": ["30m"]}, "at", NOW) == NOW - 1800


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("", False),
        ("follow", True),
        ("follow=", True),
        ("follow=1", True),
        ("follow=yes", True),
        ("follow=0", False),
        ("follow=NO", False),
        ("follow=false", False),
        ("follow=0&follow=1", True),
        ("follow=1&follow=0", False),
    ],
)
def test_a_flag_is_there_or_is_not(text: str, on: bool) -> None:
    assert flag(read_values(text.encode(), EVENT_PARAMETERS), "follow") is on
