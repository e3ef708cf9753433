"""Events, incidents and why something was so, from `/api/v1` to lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybal.ctl.local_time import local_time, with_local_times
from pybal.ctl.table import Line, Style, age, count

Document = dict[str, Any]

_KIND_WIDTH = 10
_WORDS = {"held": "pooled though down"}
"""As in history/incidents.py, which is not loaded here."""
_BAD_VERDICTS = ("held", "depooled", "not_ready", "refused")


def event_line(event: Document, decided: Mapping[str, int] | None = None) -> Line:
    """An event, as a line of a log; with how many servers it has `decided` what."""
    service = f"[{event['service']}] " if event["service"] else ""
    kind = event["kind"].ljust(_KIND_WIDTH)
    incident = f" (incident {event['incident']})" if event["incident"] is not None else ""
    became = ", ".join(
        f"{number} {_WORDS.get(verdict) or verdict.replace('_', ' ')}"
        for verdict, number in (decided or {}).items()
    )
    text = f"{local_time(event['at'])} {kind} {service}{event['text']}{incident}"
    if became:
        text += f" ({became})"
    return Line(text, _style(event))


def _style(event: Document) -> Style:
    inputs = event["inputs"]
    if event["kind"] == "decision":
        verdict = inputs.get("verdict")
        return Style.BAD if verdict in _BAD_VERDICTS else Style.PLAIN
    if event["kind"] == "report":
        return Style.PLAIN if inputs.get("up", True) else Style.WORSE
    return Style.WORSE if event["kind"] in ("isolation", "lost", "held", "clock") else Style.PLAIN


def good_results_line(reports: Sequence[Document]) -> Line:
    """Monitors that have found their servers up, one after the other."""
    if len(reports) == 1:
        return event_line(reports[0])
    services = {report["service"] for report in reports}
    kind = "report".ljust(_KIND_WIDTH)
    text = f"{len(reports)} monitors of {count(len(services), 'service')} report their servers up"
    return Line(f"{local_time(reports[0]['at'])} {kind} {text}")


def incident_line(incident: Document) -> Line:
    """All of an incident; of one that was shown already (`again`), as of its last event."""
    kind = "incident".ljust(_KIND_WIDTH)
    ended = incident["ended_at"]
    if ended is None:
        until = "goes on"
    else:
        until = f"over after {age(ended['epoch'] - incident['began_at']['epoch'])}"
    numbers = f"{count(incident['effects'], 'effect')}, {count(incident['events'], 'event')}"
    at = incident["last_at"] if incident.get("again") else incident["began_at"]
    return Line(
        f"{local_time(at)} {kind} {incident['text']} ({until}; {numbers}: "
        f"pybalctl events --incident {incident['id']})",
        Style.BAD if ended is None else Style.WORSE,
    )


def why_lines(document: Document) -> list[Line]:
    """Why a server was or was not pooled at some moment."""
    lines = [Line(f"At {local_time(document['at'])}:", Style.HEAD)]
    since = document["history_since"]
    if document["before_history"]:
        begins = f", which begins at {local_time(since)}" if since else ", which is empty"
        lines.append(Line(f"That moment lies before the history{begins}", Style.WORSE))
    if document["running"] is False:
        lines.append(Line("PyBal did not run at that moment", Style.WORSE))
    for server in document["servers"]:
        lines += _server_lines(server)
    return lines


def _server_lines(server: Document) -> list[Line]:
    why, status = server["why"], server["status"]
    known = f" was {status}" if status else ""
    good = why is not None and why["verdict"] not in _BAD_VERDICTS
    lines = [
        Line(f"{server['service']}: {server['host']}{known}", Style.PLAIN if good else Style.BAD)
    ]
    if why is None:
        lines.append(Line("  Nothing had been decided of it."))
    else:
        lines.append(Line(f"  {with_local_times(why['text'])}"))
    if server["of_former_run"]:
        lines.append(
            Line("  PyBal was restarted after that, and had not decided anew.", Style.WORSE)
        )
    if server["cause"]:
        lines.append(Line(f"  because of: {event_line(server['cause']).text}"))
    lines += [Line(f"  {event_line(each).text}") for each in server["events"]]
    return lines
