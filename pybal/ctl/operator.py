"""What an operator says for a time: overrides of servers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from pybal.ctl.client import UnknownError
from pybal.ctl.commands import Asked, Result, refuse_service_as_host
from pybal.ctl.render import clock_time, since
from pybal.ctl.table import Line, Style, count, row, table

Document = dict[str, Any]


_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:s|sec|m|min|h|d|w)\s*)+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|min|m|h|d|w)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MOST_S = 7 * 86400
_MOST_REASON = 200


def duration_s(text: str) -> float:
    """`90s`, `45min`, `1h`, `2h30m`, `7d`: seconds."""
    words = text.strip().lower()
    if _NUMBER.fullmatch(words) and float(words):
        raise argparse.ArgumentTypeError(
            f"{text!r} has no unit: is it {words}s, {words}min or {words}h?"
        )
    signless = words.removeprefix("-")
    if not _DURATION.fullmatch(signless) and not _NUMBER.fullmatch(signless):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 30min, 1h, 2h30m or 1d")
    total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(words))
    total = -total if words.startswith("-") else total
    if not 1 <= total <= _MOST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 1s to 7d")
    return total


def reason(text: str) -> str:
    """One line for those who wonder."""
    text = text.strip()
    if not text or not text.isprintable() or len(text) > _MOST_REASON:
        raise argparse.ArgumentTypeError(
            f"a reason is one line of printable text, of {_MOST_REASON} characters at most"
        )
    return text


def add_scope(parser: argparse.ArgumentParser) -> None:
    """HOST [SERVICE …|--all]."""
    parser.add_argument("host", metavar="HOST", help="the server, as pool lists name it")
    parser.add_argument(
        "services",
        metavar="SERVICE",
        nargs="*",
        default=[],
        help="in these services; default: its only one",
    )
    parser.add_argument(
        "--all", action="store_true", dest="everywhere", help="in all services that have it"
    )


def add_for_a_time(parser: argparse.ArgumentParser) -> None:
    """--for and --reason, which nothing that is said for a time goes without."""
    parser.add_argument(
        "--for",
        type=duration_s,
        required=True,
        dest="for_s",
        metavar="TIME",
        help="for how long: 30min, 1h, 2h30m; 7d at most",
    )
    parser.add_argument(
        "--reason", type=reason, required=True, metavar="TEXT", help="why: one line, for others"
    )


def add_alert(parser: argparse.ArgumentParser) -> None:
    """ID [SERVICE]."""
    parser.add_argument("id", metavar="ID", help="the alert, as `pybalctl alerts` names it")
    parser.add_argument("service", metavar="SERVICE", nargs="?", help="of this service alone")


def change(asked: Asked) -> Result:
    """Drain, disable or enable a server."""
    options = asked.options
    body = {
        "action": options.command,
        **_scope(options),
        "for_s": options.for_s,
        "reason": options.reason,
    }
    if getattr(options, "force", False):
        body["force"] = True
    document = _post(asked, "begin", body)
    before = {each["service"]: each for each in document.get("replaced", ())}
    lines = [Line(_said(each, before.get(each["service"]))) for each in document["overrides"]]
    lines += [Line(note, Style.WORSE) for note in document.get("notes", ())]
    return Result(lines, document)


def undo(asked: Asked) -> Result:
    """End overrides of a server."""
    document = _post(asked, "end", _scope(asked.options))
    lines = [Line(f"{each['service']}: {each['host']} is as its list has it again; it was "
                  f"{each['text']}") for each in document["ended"]]  # fmt: skip
    return Result(lines, document)


def _post(asked: Asked, action: str, body: Document) -> Document:
    try:
        document: Document = asked.client.post("overrides", action, body=body)
    except UnknownError as error:
        refuse_service_as_host(asked.client, asked.options.host, error)
        raise
    return document


def acknowledge(asked: Asked) -> Result:
    """Know of alerts for a time."""
    options = asked.options
    body = {**_alert(options), "for_s": options.for_s, "reason": options.reason}
    document = asked.client.post("alerts", "ack", body=body)
    return Result([Line(f"{_name(e)} is {e['text']}") for e in document["acknowledged"]], document)


def unacknowledge(asked: Asked) -> Result:
    """Know of alerts no longer."""
    document = asked.client.post("alerts", "unack", body=_alert(asked.options))
    lines = [Line(f"{_name(each)} raises the alarm again; it was {each['text']}")
             for each in document["ended"]]  # fmt: skip
    return Result(lines, document)


def _alert(options: argparse.Namespace) -> Document:
    service = {} if options.service is None else {"service": options.service}
    return {"id": options.id, **service}


def _name(alert: Document) -> str:
    about = " ".join(filter(None, (alert["service"], alert["about"])))
    return str(alert["id"]) + (f" ({about})" if about else "")


def _scope(options: argparse.Namespace) -> Document:
    scope: Document = {"host": options.host}
    if options.services:
        scope["services"] = options.services
    if options.everywhere:
        scope["all"] = True
    return scope


def _said(override: Document, before: Document | None) -> str:
    text = f"{override['service']}: {override['host']} is {override['text']}"
    return text if before is None else f"{text} (before, it was {before['text']})"


def overrides(asked: Asked) -> Result:
    """All overrides that there are."""
    document = asked.client.get("overrides")
    return Result(overrides_lines(document["overrides"], asked.now()), document)


def overrides_lines(found: Sequence[Document], now: float) -> list[Line]:
    """A table, those that are not in effect first."""
    if not found:
        return [Line("There are no overrides: all is as the pool lists have it")]
    rows = [
        row(
            each["service"],
            each["host"],
            each["action"],
            each["by"],
            since(each["since"], now),
            clock_time(each["until"]),
            each["reason"],
            f"not in effect: {each['suspended']}" if each["suspended"] else "",
            style=Style.WORSE if each["suspended"] else Style.PLAIN,
        )
        for each in sorted(found, key=lambda o: (o["in_effect"], o["service"], o["host"]))
    ]
    titles = ("SERVICE", "HOST", "ACTION", "BY", "SINCE", "UNTIL", "REASON", "NOTE")
    return [Line(f"{count(len(found), 'override')}"), *table(titles, rows)]
