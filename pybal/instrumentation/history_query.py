"""The query of `/api/v1/events` and its like, from a URL. Pure.

What is not understood is refused with what there is: an option that is passed over in silence shows
the wrong events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from pybal.errors import RefusedError
from pybal.history.event import Kind
from pybal.history.moments import WANTED, MomentError, moment
from pybal.history.query import DEFAULT_LIMIT, MAX_LIMIT, EventQuery
from pybal.runtime.naming import shortened

EVENT_PARAMETERS = {
    "after": "only events after this number: the `next` of the page before",
    "before": "only events before this number: the `previous` of the page after",
    "limit": f"at most so many (default {DEFAULT_LIMIT}, at most {MAX_LIMIT})",
    "order": "asc: the oldest that are wanted; desc: the newest, the newest first",
    "service": "of this service; several: service=a&service=b or service=a,b",
    "host": "of this server; several as above",
    "kind": "of this kind; several as above",
    "incident": "of the incident of this number",
    "since": "not before this moment: 1h30m (ago), 03:12, 2026-11-28T03:12, Unix seconds",
    "until": "not after this moment",
    "follow": "1: then each event as it happens, as server-sent events",
    "pretty": "1: for people",
}
INCIDENT_PARAMETERS = {
    name: EVENT_PARAMETERS[name]
    for name in (
        "after", "before", "limit", "order", "service", "host", "since", "until", "pretty",
    )
}  # fmt: skip
DOCUMENT_PARAMETERS = {"pretty": EVENT_PARAMETERS["pretty"]}
"""Of whatever is not the history's."""
WHY_PARAMETERS = {
    "at": "the moment: 03:12 (the last one), 2026-11-28T03:12, 1h (ago), Unix seconds; or now",
    **DOCUMENT_PARAMETERS,
}


def parameters_of(segments: tuple[str, ...]) -> Mapping[str, str] | None:
    """What may be asked at a path below `/api/v1`; None if it is not the history's."""
    match segments:
        case ("events",):
            return EVENT_PARAMETERS
        case ("incidents",):
            return INCIDENT_PARAMETERS
        case ("servers", _, "why"):
            return {**WHY_PARAMETERS, "service": "in this service alone"}
        case ("services", _, "servers", _, "why"):
            return WHY_PARAMETERS
    return None


_MAX_NAMES = 100
LARGEST = 2**53


class BadQueryError(RefusedError):
    """A query that is not understood; `remedy` is what there is."""


Values = Mapping[str, Sequence[str]]


def read_values(query: bytes, known: Mapping[str, str]) -> Values:
    """The values of each parameter of a URL's query. BadQueryError if there is an unknown one."""
    values: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict",
                          max_num_fields=_MAX_NAMES)  # fmt: skip
    except ValueError:
        raise BadQueryError("The query is not UTF-8, or too long", _listed(known)) from None
    for name, value in pairs:
        if name not in known:
            raise BadQueryError(f"There is no parameter {shortened(name, 40)!r}", _listed(known))
        values.setdefault(name, []).append(value)
    return values


def _listed(known: Mapping[str, str]) -> str:
    return f"There {'is' if len(known) == 1 else 'are'} {', '.join(known)}"


def event_query(values: Values, now: float) -> EventQuery:
    """The events that are wanted. BadQueryError."""
    since, until = moment_of(values, "since", now), moment_of(values, "until", now)
    if since is not None and until is not None and since > until:
        raise BadQueryError("since is later than until", "Nothing can lie between them: swap them")
    return EventQuery(
        after=_number(values, "after", 0, LARGEST),
        before=_number(values, "before", 0, LARGEST),
        since=since,
        until=until,
        services=_names(values, "service"),
        hosts=_names(values, "host"),
        kinds=frozenset(map(_kind, _names(values, "kind"))),
        incident=_number(values, "incident", 0, LARGEST),
        newest=_newest(values),
        limit=_number(values, "limit", 1, MAX_LIMIT) or DEFAULT_LIMIT,
    )


def moment_of(values: Values, name: str, now: float) -> float | None:
    """The moment that a parameter names, if it is there. BadQueryError."""
    text = _one(values, name)
    if text is None:
        return None
    try:
        return moment(text, now)
    except MomentError as error:
        raise BadQueryError(f"{name}: {error}", WANTED) from None


def _one(values: Values, name: str) -> str | None:
    given = values.get(name, ())
    if len(given) > 1:
        raise BadQueryError(f"{name} is there more than once", "Once is enough")
    return given[0] if given else None


def _number(values: Values, name: str, low: int, high: int) -> int | None:
    text = _one(values, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and low <= int(text) <= high):
        limits = f"from {low} to {high}" if high < LARGEST else f"not below {low}"
        raise BadQueryError(
            f"{name} must be a whole number {limits}", f"It means: {EVENT_PARAMETERS[name]}"
        )
    return int(text)


def _names(values: Values, name: str) -> frozenset[str]:
    return frozenset(each for value in values.get(name, ()) for each in value.split(",") if each)


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        kinds = ", ".join(Kind)
        raise BadQueryError(
            f"There is no kind {shortened(name, 40)!r} of events", f"There are {kinds}"
        ) from (None)


def _newest(values: Values) -> bool:
    order = _one(values, "order")
    if order not in (None, "asc", "desc"):
        raise BadQueryError("order must be asc or desc", f"It means: {EVENT_PARAMETERS['order']}")
    if order is None:
        return "before" in values and "after" not in values
    return order == "desc"


def flag(values: Values, name: str) -> bool:
    """Whether the query has `name`, or `name=1`."""
    given = values.get(name, ())
    return bool(given) and given[-1].lower() not in ("0", "no", "false")
