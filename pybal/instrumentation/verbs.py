"""What an operator can have done: the verbs of the control socket, by their paths. Pure.

A new verb is a line of VERBS and a method of Controls. All are POST, and answered on the control
socket alone, which the file's permissions keep for root and, if one is named, a group.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from pybal.errors import ControlError, NoSuchThingError
from pybal.instrumentation.body import (
    MAX_BODY_BYTES,
    BodyError,
    Field,
    Fields,
    JSONKind,
    as_bytes,
    read_body,
)
from pybal.instrumentation.responses import Response, json_document, refusal, refused
from pybal.override import MAX_DURATION_S, Action
from pybal.overrides.wish import Scope, Wish

Document = Mapping[str, Any]
Outcome = Document | Awaitable[Document]
"""What is answered as JSON, at once or when it is done."""


class Controls(Protocol):
    """What the daemon does at an operator's word. Each method may raise ControlError, which says
    why not and what would help. `by` is the user who asks."""

    def confirm(self, service: str, by: str) -> Outcome:
        """Apply what the service's list wants and its floor holds back."""
        ...

    def reload(self, by: str) -> Outcome:
        """Read pybal.conf again and go over to it; answered when that is done."""
        ...

    def maintenance(self, service: str | None, *, begin: bool, by: str) -> Outcome:
        """Move the traffic of a service, or of the whole director, away by BGP; or end that."""
        ...

    def override(self, wish: Wish, by: str) -> Outcome:
        """Drain, disable or enable a server for a time."""
        ...

    def undo(self, scope: Scope, by: str) -> Outcome:
        """End the overrides of a server."""
        ...

    def check(self, service: str, host: str, by: str) -> Outcome:
        """Check a server once by each of its monitors; answered when that is done."""
        ...

    def acknowledge(
        self, alert: str, service: str | None, for_s: float, reason: str, by: str
    ) -> Outcome:
        """Know of alerts for a time."""
        ...

    def unacknowledge(self, alert: str, service: str | None, by: str) -> Outcome:
        """Know of them no longer."""
        ...

    def compare(self, content: bytes, by: str) -> Outcome:
        """What a reload of this pybal.conf would do, one line a step."""
        ...


class Call(NamedTuple):
    """A request for a verb: what its path names, what its body says, who asks."""

    path: Mapping[str, str]
    body: Mapping[str, Any]
    by: str


@dataclass(frozen=True, slots=True)
class Verb:
    """Something to be done at POST `path`, whose parts in braces are names."""

    path: str
    summary: str
    act: Callable[[Controls, Call], Outcome]
    fields: Fields = field(default_factory=dict)
    max_body_bytes: int = MAX_BODY_BYTES


MAX_CONFIG_BYTES = 16 * 1024 * 1024
"""Configurations of hundreds of services are longer than what other verbs take."""

_MAINTAINED = {"service": Field(JSONKind.TEXT, "a service; without it, the whole director")}

_SCOPE = {
    "host": Field(JSONKind.TEXT, "the server, as pool lists name it", required=True, low=1),
    "services": Field(JSONKind.TEXTS, "in these services; without it, in its only one"),
    "all": Field(JSONKind.BOOLEAN, "in all services that have it"),
}
_FOR_A_TIME = {
    "for_s": Field(
        JSONKind.NUMBER,
        "for how many seconds, at most 7 days",
        required=True,
        low=1,
        high=MAX_DURATION_S,
    ),
    "reason": Field(
        JSONKind.TEXT,
        "why, for those who wonder: one line",
        required=True,
        low=1,
        high=200,
        one_line=True,
    ),
}


_ALERT = {
    "id": Field(JSONKind.TEXT, "the alert's id", required=True, low=1, high=100),
    "service": Field(JSONKind.TEXT, "of this service alone"),
}


def _scope(call: Call) -> Scope:
    body = call.body
    if body.get("services") and body.get("all"):
        raise BodyError("The fields services and all exclude each other", "Leave out one of them")
    return Scope(body["host"], tuple(body.get("services", ())), body.get("all", False))


def _wish(call: Call) -> Wish:
    body = call.body
    if body.get("force") and not Action(body["action"]).takes_away:
        text = f"The field force is none of {body['action']}, which takes nobody away"
        raise BodyError(text, "Leave it out")
    return Wish(
        Action(body["action"]),
        _scope(call),
        body["for_s"],
        body["reason"].strip(),
        body.get("force", False),
    )


VERBS = (
    Verb(
        "/api/v1/services/{service}/confirm",
        "Apply what the service's list wants and its floor holds back",
        lambda controls, call: controls.confirm(call.path["service"], call.by),
    ),
    Verb(
        "/api/v1/services/{service}/servers/{host}/check",
        "Check a server now, once, apart from the checks that run, and say how that went",
        lambda controls, call: controls.check(call.path["service"], call.path["host"], call.by),
    ),
    Verb(
        "/api/v1/reload",
        "Read pybal.conf again and go over to it",
        lambda controls, call: controls.reload(call.by),
    ),
    Verb(
        "/api/v1/bgp/maintenance/begin",
        "Move the traffic of a service, or of the whole director, away by BGP",
        lambda controls, call: controls.maintenance(
            call.body.get("service"), begin=True, by=call.by
        ),
        _MAINTAINED,
    ),
    Verb(
        "/api/v1/bgp/maintenance/end",
        "Announce a service, or the whole director, as before",
        lambda controls, call: controls.maintenance(
            call.body.get("service"), begin=False, by=call.by
        ),
        _MAINTAINED,
    ),
    Verb(
        "/api/v1/overrides/begin",
        "Drain, disable or enable a server for a time",
        lambda controls, call: controls.override(_wish(call), call.by),
        {
            "action": Field(
                JSONKind.TEXT,
                "drain: no new connections; disable: not pooled; enable: as if its list did",
                required=True,
                choices=tuple(action.value for action in Action),
            ),
            **_SCOPE,
            **_FOR_A_TIME,
            "force": Field(JSONKind.BOOLEAN, "though fewer are left than the threshold wants"),
        },
    ),
    Verb(
        "/api/v1/overrides/end",
        "End the overrides of a server",
        lambda controls, call: controls.undo(_scope(call), call.by),
        _SCOPE,
    ),
    Verb(
        "/api/v1/alerts/ack",
        "Know of an alert for a time: it raises no alarm",
        lambda controls, call: controls.acknowledge(
            call.body["id"],
            call.body.get("service"),
            call.body["for_s"],
            call.body["reason"].strip(),
            call.by,
        ),
        {**_ALERT, **_FOR_A_TIME},
    ),
    Verb(
        "/api/v1/alerts/unack",
        "Know of an alert no longer",
        lambda controls, call: controls.unacknowledge(
            call.body["id"], call.body.get("service"), call.by
        ),
        _ALERT,
    ),
    Verb(
        "/api/v1/config/compare",
        "What a reload of this pybal.conf would do",
        lambda controls, call: controls.compare(as_bytes(call.body["content"]), call.by),
        {
            "content": Field(
                JSONKind.TEXT,
                "the text of a pybal.conf; a byte 0xNN that is no UTF-8 is \\udcNN",
                required=True,
                high=MAX_CONFIG_BYTES,
                any_bytes=True,
            )
        },
        MAX_CONFIG_BYTES,
    ),
)


class Found(NamedTuple):
    """A verb that a path names, and the names in the path."""

    verb: Verb
    names: Mapping[str, str]


def find_verb(segments: tuple[str, ...] | None) -> Found | None:
    """The verb at a path, if there is one."""
    for verb in VERBS if segments else ():
        names = _match(verb.path.split("/")[1:], segments or ())
        if names is not None:
            return Found(verb, names)
    return None


def _match(pattern: list[str], segments: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    names = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            names[wanted.strip("{}")] = given
        elif wanted != given:
            return None
    return names


async def perform(
    controls: Controls, found: Found, data: bytes, by: str, signed: Callable[[Document], Document]
) -> Response:
    """Do it; the answer says what was done, and is `signed`, or why it was not."""
    try:
        call = Call(found.names, read_body(data, found.verb.fields, found.verb.max_body_bytes), by)
        outcome = found.verb.act(controls, call)
        document = outcome if isinstance(outcome, Mapping) else await outcome
    except BodyError as error:
        status = HTTPStatus.BAD_REQUEST
        if len(data) > found.verb.max_body_bytes:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return refused(error, status)
    except NoSuchThingError as error:
        return refused(error, HTTPStatus.NOT_FOUND)
    except ControlError as error:
        return refused(error, HTTPStatus.CONFLICT)
    return json_document(signed(document))


def longest_body_bytes() -> int:
    """The longest body that any verb takes."""
    return max(verb.max_body_bytes for verb in VERBS)


def no_verb() -> Response:
    """The answer to a POST at a path that is no verb's."""
    known = ", ".join(verb.path for verb in VERBS)
    response = refusal(
        "Nothing can be changed at this path", HTTPStatus.METHOD_NOT_ALLOWED, f"POST {known}"
    )
    return response._replace(allow=("GET", "HEAD"))


def verbs_document() -> list[dict[str, str]]:
    """All verbs, for people."""
    return [{"method": "POST", "path": verb.path, "summary": verb.summary} for verb in VERBS]
