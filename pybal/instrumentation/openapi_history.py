"""The OpenAPI description of the history's documents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybal.history.event import Kind
from pybal.history.moments import LATEST
from pybal.history.query import MAX_LIMIT
from pybal.instrumentation.history_query import LARGEST
from pybal.instrumentation.schema_kinds import (
    BOOLEAN,
    COUNTS,
    MAYBE_BOOLEAN,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    list_of,
    maybe,
    object_of,
    ref,
)

_CURSORS = {"next": WHOLE, "previous": MAYBE_WHOLE, "more": BOOLEAN, "newest": WHOLE}
_FRAME: dict[str, Any] = {
    "host": TEXT,
    "at": MOMENT,
    "history_since": MOMENT,
    "before_history": BOOLEAN,
    "running": MAYBE_BOOLEAN,
}

STREAM: dict[str, Any] = {
    "schema": {
        **TEXT,
        "description": "With Accept: text/event-stream or ?follow=1: each event as it happens. "
        "`data` is an Event, `id` its seq; Last-Event-ID goes on after it.",
    }
}

_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": LARGEST}
_AGO: Schema = {"type": "string", "pattern": "^[0-9]{1,4}[smhdw]$", "examples": ["1h"]}
_WHEN: Schema = {"anyOf": [{"type": "number", "minimum": 0, "maximum": LATEST}, _AGO]}
"""Unix seconds, or so long ago; more is understood than is promised to programs."""
_PARAMETERS: dict[str, Schema] = {
    "after": _NUMBER,
    "before": _NUMBER,
    "incident": _NUMBER,
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    "order": {"enum": ["asc", "desc"]},
    "kind": {"enum": [each.value for each in Kind]},
    "since": _WHEN,
    "until": _WHEN,
    "at": _AGO,
}


def query_parameters(asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """What may be asked, but for the streams, which never end, and `pretty`, which all have."""
    return [
        {"name": name, "in": "query", "description": words, "schema": _PARAMETERS.get(name, TEXT)}
        for name, words in asked.items()
        if name not in ("follow", "pretty")
    ]


HISTORY_SCHEMAS: dict[str, Schema] = {
    "Event": object_of(
        seq=WHOLE,
        at=MOMENT,
        run=WHOLE,
        elapsed_s=NUMBER,
        kind={"enum": [each.value for each in Kind]},
        service=MAYBE_TEXT,
        host=MAYBE_TEXT,
        text=TEXT,
        cause=MAYBE_WHOLE,
        incident=MAYBE_WHOLE,
        inputs={"type": "object"},
    ),
    "Incident": object_of(
        id=WHOLE,
        subject=object_of(kind={"enum": ["host", "peer", "isolation", "list"]}, name=TEXT),
        text=TEXT,
        cause=TEXT,
        began_at=MOMENT,
        last_at=MOMENT,
        ended_at=MOMENT,
        open=BOOLEAN,
        events=WHOLE,
        effects=WHOLE,
        services=list_of(TEXT),
        verdicts=COUNTS,
    ),
    "History": object_of(
        events_total=WHOLE,
        in_memory=WHOLE,
        disk=maybe(
            object_of(
                path=TEXT,
                size_bytes=WHOLE,
                waiting=WHOLE,
                written_total=WHOLE,
                lost=COUNTS,
                errors_total=WHOLE,
                last_error=MAYBE_TEXT,
            )
        ),
    ),
    "WhyThen": object_of(
        service=TEXT,
        host=TEXT,
        at=MOMENT,
        # A decision has its numbers, too.
        why=maybe(
            {
                **object_of(text=TEXT, verdict=TEXT, cause=TEXT, at=MOMENT),
                "additionalProperties": True,
            }
        ),
        of_former_run=BOOLEAN,
        status=MAYBE_TEXT,
        cause=maybe(ref("Event")),
        events=list_of(ref("Event")),
    ),
}

HISTORY_DOCUMENTS: dict[str, tuple[str, Schema]] = {
    "/api/v1/events": (
        "What has happened, and because of what: a page of it, or as it happens",
        object_of(events=list_of(ref("Event")), **_CURSORS),
    ),
    "/api/v1/incidents": (
        "What belongs together, such as all that one host's death has caused",
        object_of(incidents=list_of(ref("Incident")), **_CURSORS),
    ),
    "/api/v1/servers/{host}/why": (
        "Why a server is or was (not) pooled, in each service, at some moment",
        object_of(**_FRAME, servers=list_of(ref("WhyThen"))),
    ),
    "/api/v1/services/{service}/servers/{host}/why": (
        "Why a server of a service is or was (not) pooled at some moment",
        {"allOf": [object_of(**_FRAME), ref("WhyThen")]},
    ),
}
