"""`pybalctl events`: what has happened."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pybal.ctl import render_history
from pybal.ctl.bursts import bursts
from pybal.ctl.client import Client
from pybal.ctl.commands import Asked, Result, refuse_unknown
from pybal.ctl.local_time import local_time
from pybal.ctl.table import Line

TIMES = "03:12, 'yesterday 03:12', 2026-11-28T03:12, 1h30m (ago)"
SHOWN = 50
"""So many events, unless it is said how many, or since when."""
_FOLLOWED = 10
"""... before those that are followed."""
_MOST_NUMBER = 2**52

_PAGE = "1000"
_MOST = 100_000
"""Who wants more wants the API's pages."""
_CUT = f"Only the first {_MOST} of them are shown. Ask for less, by --until"
_CUT_BEFORE = f"Only the newest {_MOST} are shown. Ask for those before, by --until"

Document = dict[str, Any]
Parameters = list[tuple[str, str]]


def number(text: str) -> int:
    """A whole number from 1 on, as it is typed."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= _MOST_NUMBER):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def objection(options: argparse.Namespace) -> str:
    """What of the command line has no effect on what is followed; empty if all has."""
    if options.follow and options.until is not None:
        return "--follow shows what happens from now on, and --until ends before"
    if options.follow and options.limit is not None and options.limit > int(_PAGE):
        return f"--follow begins with at most {_PAGE} events (--limit)"
    return ""


def events(asked: Asked) -> Result:
    """What has happened, the newest last."""
    options, client = asked.options, asked.client
    wanted = _parameters(options)
    limit = options.limit
    errors: tuple[str, ...]
    if options.follow:
        refuse_unknown(client, options.service, options.host)
        if limit is not None or options.since is None:
            wanted.append(("limit", str(limit or _FOLLOWED)))
        stream = client.follow("events", query=wanted)
        return Result(as_they_come(client, options, stream), stream, live=True)
    if limit is not None or options.since is None:
        document = _newest(client, wanted, limit or SHOWN)
        errors = (_CUT_BEFORE,) if document["more"] and (limit or SHOWN) > _MOST else ()
    else:
        document = _all(client, wanted)
        errors = (_CUT,) if document["more"] else ()
    if not document["events"]:
        refuse_unknown(client, options.service, options.host)
    return Result(_lines(client, options, document["events"]), document, errors)


def as_they_come(client: Client, options: Any, stream: Iterator[Document]) -> Iterator[Line]:
    """Each, or one line for what belongs together and comes together."""
    if _single(options):
        yield from map(render_history.event_line, stream)
        return
    told: dict[int, tuple[str, bool]] = {}
    for found in bursts(stream):
        incidents = _incidents(client, found)
        for id_, each in incidents.items():
            news = each["text"], each["ended_at"] is None
            incidents[id_] = {**each, "again": id_ in told, "news": news != told.get(id_)}
            told[id_] = news
        yield from _summed_up(found, incidents)


def _parameters(options: Any) -> Parameters:
    given = [(name, getattr(options, name)) for name in ("since", "until", "incident")]
    found = [(name, str(value)) for name, value in given if value is not None]
    for name in ("service", "host", "kind"):
        found += [(name, value) for value in getattr(options, name)]
    return found


def _newest(client: Client, wanted: Parameters, limit: int) -> Document:
    found: list[Document] = []
    before: Parameters = []
    while True:
        most = min(limit - len(found), int(_PAGE))
        query = [*wanted, *before, ("order", "desc"), ("limit", str(most))]
        document: Document = client.get("events", query=query)
        found += document["events"]
        if not document["more"] or len(found) >= min(limit, _MOST):
            return {**document, "events": found[::-1]}
        before = [("before", str(document["previous"]))]


def _all(client: Client, wanted: Parameters) -> Document:
    """All that are wanted, a page after the other."""
    document: Document = client.get("events", query=[*wanted, ("limit", _PAGE)])
    found = document["events"]
    while document["more"] and len(found) < _MOST:
        after = ("after", str(document["next"]))
        document = client.get("events", query=[*wanted, after, ("limit", _PAGE)])
        found += document["events"]
    return {**document, "events": found}


def _lines(client: Client, options: Any, found: list[Document]) -> Iterator[Line]:
    """One line for all of an incident, for all that a list has decided, and for results that are as
    they should be, unless single events are wanted."""
    if not found:
        yield Line("Nothing of that kind has happened" + _history_begins(client, options))
    elif _single(options):
        yield from map(render_history.event_line, found)
    else:
        yield from _summed_up(found, _incidents(client, found))


def _history_begins(client: Client, options: Any) -> str:
    """Nobody is to take for quiet what lies before all that is known."""
    if options.since is None and options.until is None:
        return ""
    first = client.get("events", query=[("limit", "1"), ("order", "asc")])["events"]
    return f"; the history begins at {local_time(first[0]['at'])}" if first else ""


def _single(options: Any) -> bool:
    """Whether each event is wanted, one by one."""
    return bool(options.all or options.incident or options.service or options.host or options.kind)


def _summed_up(found: list[Document], incidents: dict[int, Document]) -> Iterator[Line]:
    lists = {event["seq"] for event in found if event["kind"] == "list"}
    good = {event["seq"] for event in found if _is_good_result(event)}
    decided: dict[int, Counter[str]] = {}
    for event in found:
        if event["kind"] == "decision" and event["cause"] in lists:
            decided.setdefault(event["cause"], Counter())[event["inputs"]["verdict"]] += 1
    told_elsewhere = good | decided.keys()
    shown: set[int] = set()
    results: list[Document] = []
    for event in found:
        if event["seq"] in good:
            results.append(event)
            continue
        if event["kind"] == "decision" and event["cause"] in told_elsewhere:
            continue  # It is part of a line above, or of one to come.
        if results:
            yield render_history.good_results_line(results)
            results = []
        incident = incidents.get(event["incident"])
        if incident is None:
            yield render_history.event_line(event, decided.get(event["seq"]))
        elif incident["id"] not in shown:
            shown.add(incident["id"])
            if incident.get("news", True):
                yield render_history.incident_line(incident)
    if results:
        yield render_history.good_results_line(results)


def _is_good_result(event: Document) -> bool:
    """A report of up that ends nothing: a first one."""
    is_up = event["kind"] == "report" and event["inputs"].get("up") is True
    return is_up and event["incident"] is None


def _incidents(client: Client, found: list[Document]) -> dict[int, Document]:
    """By number: those to which the events belong, if they are more than two events."""
    numbers = sorted({event["incident"] for event in found if event["incident"] is not None})
    incidents: dict[int, Document] = {}
    while numbers:
        query = [("after", str(numbers[0] - 1)), ("before", str(numbers[-1] + 1)), ("limit", _PAGE),
                 ("order", "asc")]  # fmt: skip
        document = client.get("incidents", query=query)
        incidents |= {each["id"]: each for each in document["incidents"] if each["events"] > 2}
        if not document["more"]:
            break
        numbers = [number for number in numbers if number > document["next"]]
    return incidents
