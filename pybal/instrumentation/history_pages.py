"""`/api/v1/events`, `/api/v1/incidents` and `why`: what is asked of the history."""

from __future__ import annotations

from typing import Any

from pybal.history.query import EventQuery
from pybal.instrumentation.api import NoSuchDocumentError
from pybal.instrumentation.event_stream import Following
from pybal.instrumentation.history_documents import events_document, incidents_document
from pybal.instrumentation.history_query import (
    BadQueryError,
    Values,
    event_query,
    moment_of,
)
from pybal.instrumentation.instants import iso_time
from pybal.instrumentation.view import StatusView
from pybal.instrumentation.why_then import WhyThen

Document = dict[str, Any]
Segments = tuple[str, ...]

_RETENTION = "history-retention in pybal.conf says how long it is kept"
_SEE = "/api/v1/services lists the services that there are, each with its servers"


class HistoryPages:
    """Answers from the history of a view."""

    def __init__(self, view: StatusView) -> None:
        self._view = view
        self._why = WhyThen(view)

    def following(self, values: Values, last_event_id: str | None) -> Following:
        """What is to be followed. BadQueryError."""
        query = self._event_query(values)
        for name in ("until", "before"):
            if name in values:
                text = f"What is followed happens from now on, and {name} ends before"
                raise BadQueryError(text, f"Leave out {name}, or follow")
        if last_event_id:
            if not (last_event_id.isascii() and last_event_id.isdecimal()):
                raise BadQueryError("Last-Event-ID is no event's number", "Leave it out")
            return Following(self._of_this_history(query._replace(after=int(last_event_id[:18]))))
        if query.after is None and "limit" in values:
            return Following(query, backlog=query.limit)
        if query.after is None and query.since is not None:
            return Following(query._replace(after=0))
        return Following(query)

    async def document(self, segments: Segments, values: Values) -> Document:
        """The document at a path. BadQueryError, HistoryBusyError, NoSuchDocumentError."""
        history = self._view.history()
        now = history.now()
        match segments:
            case ("events",):
                query = self._event_query(values)
                newest = history.newest
                return events_document(query, await history.find(query), newest)
            case ("incidents",):
                query = self._event_query(values)
                newest = history.newest
                found, more = await history.find_incidents(query)
                return incidents_document(query, found, newest, more=more)
            case ("servers", host, "why"):
                services = event_query({"service": values.get("service", ())}, now).services
                document = await self._why.of_host(host, _past(values, now), services)
                if not document["servers"]:
                    raise await self._unknown(f"a server {host}", _past(values, now))
                return document
            case ("services", service, "servers", host, "why"):
                found_one = await self._why.of_server(service, host, _past(values, now))
                if found_one is None:
                    raise await self._unknown(f"a server {host} of {service}", _past(values, now))
                return found_one
        raise NoSuchDocumentError("/api/v1 lists the paths that there are")

    def _event_query(self, values: Values) -> EventQuery:
        return self._of_this_history(event_query(values, self._view.history().now()))

    def _of_this_history(self, query: EventQuery) -> EventQuery:
        """A number that is yet to come is one of a history that is lost, or of a former run that
        kept none: who waits for what follows it would hear nothing until as much has happened
        again. All of this run is new to them, if that is all that there is."""
        history = self._view.history()
        if query.after is None or query.after <= history.newest:
            return query
        return query._replace(after=0 if history.snapshot().disk is None else history.newest)

    async def _unknown(self, what: str, at: float | None) -> NoSuchDocumentError:
        """Nothing is known of it; why, if the history is too short."""
        oldest = (await self._view.history().find(EventQuery(limit=1))).events
        if at is not None and (not oldest or at < oldest[0].at):
            begins = iso_time(oldest[0].at) if oldest else "now"
            text = f"{iso_time(at)} lies before the history, which begins at {begins}"
            return NoSuchDocumentError(_RETENTION, text)
        return NoSuchDocumentError(_SEE, f"Nothing is known of {what}")


def _past(values: Values, now: float) -> float | None:
    at = moment_of(values, "at", now)
    if at is not None and at > now + 1:
        raise BadQueryError("at lies in the future", "Name a moment that has been, or now")
    return at
