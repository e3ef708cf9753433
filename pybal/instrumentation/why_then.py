"""Why a server was or was not pooled at some moment, from the history.

The last decision before a moment held at it. One that was taken before all that is kept is known
from the first one after the moment, which says what it has replaced, or from the policy itself."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

from pybal.history.event import Inputs, Kind, LedgerEvent
from pybal.history.port import History
from pybal.history.query import MAX_LIMIT, EventQuery
from pybal.instrumentation.history_documents import event_document
from pybal.instrumentation.instants import instant, iso_time
from pybal.instrumentation.pools import find_server
from pybal.instrumentation.view import StatusView
from pybal.instrumentation.why import decision_json, why_json
from pybal.model import Decision, Verdict

Document = dict[str, Any]

_RUNS = frozenset({Kind.START, Kind.STOP})
_DECISIONS = frozenset({Kind.DECISION})
_EVENTS_SHOWN = 10


class Frame(NamedTuple):
    """What is known of a moment as a whole: the oldest event that is kept, and the last run that
    had begun or ended by then."""

    at: float
    oldest: LedgerEvent | None
    run: LedgerEvent | None

    @property
    def before_history(self) -> bool:
        """Whether the moment lies before all that is kept."""
        return self.oldest is None or self.at < self.oldest.at

    @property
    def running(self) -> bool | None:
        """Whether PyBal ran; None: that is not known."""
        return None if self.run is None else self.run.kind is Kind.START


class WhyThen:
    """Answers from the history of a view."""

    def __init__(self, view: StatusView) -> None:
        self._view = view

    async def of_server(self, service: str, host: str, at: float | None) -> Document | None:
        """One server of one service; None if nothing at all is known of it. HistoryBusyError."""
        found = await self.of_host(host, at, frozenset({service}))
        servers = found.pop("servers")
        return {**found, **servers[0]} if servers else None

    async def of_host(self, host: str, at: float | None, services: frozenset[str]) -> Document:
        """A server in all services, or in these. HistoryBusyError."""
        history = self._view.history()
        moment = history.now() if at is None else at
        frame = await self._frame(history, moment)
        known = dict.fromkeys(sorted(services or self._present(host)))
        last = await self._decisions(history, host, services, moment, newest=True)
        first = await self._decisions(history, host, services, moment, newest=False)
        servers = []
        for service in dict.fromkeys((*known, *last, *first)):
            document = await self._server(
                history, frame, service, host, last.get(service), first.get(service)
            )
            if document is not None:
                servers.append(document)
        return {
            "host": host,
            "at": instant(moment),
            "history_since": instant(None if frame.oldest is None else frame.oldest.at),
            "before_history": frame.before_history,
            "running": frame.running,
            "servers": servers,
        }

    def _present(self, host: str) -> Iterable[str]:
        return (each.name for each in self._view.services() if find_server(each, host) is not None)

    async def _frame(self, history: History, at: float) -> Frame:
        oldest = await history.find(EventQuery(limit=1))
        run = await history.find(EventQuery(kinds=_RUNS, until=at, newest=True, limit=1))
        return Frame(at, _first(oldest.events), _first(run.events))

    async def _decisions(
        self, history: History, host: str, services: frozenset[str], at: float, *, newest: bool
    ) -> dict[str, LedgerEvent]:
        """By service: the last one up to the moment, or the first one after it."""
        query = EventQuery(
            hosts=frozenset({host}),
            services=services,
            kinds=_DECISIONS,
            until=at if newest else None,
            since=None if newest else at,
            newest=newest,
            limit=MAX_LIMIT,
        )
        found = (await history.find(query)).events
        decisions: dict[str, LedgerEvent] = {}
        for event in reversed(found) if newest else found:
            if event.service is not None and (newest or event.at > at):
                decisions.setdefault(event.service, event)
        return decisions

    async def _server(
        self,
        history: History,
        frame: Frame,
        service: str,
        host: str,
        last: LedgerEvent | None,
        first: LedgerEvent | None,
    ) -> Document | None:
        found = self._in_force(service, host, frame.at, last, first)
        if found is None:
            return None
        why, cause = found
        events = await history.find(
            EventQuery(
                services=frozenset({service}),
                hosts=frozenset({host}),
                until=frame.at,
                newest=True,
                limit=_EVENTS_SHOWN,
            )
        )
        caused = None
        if cause is not None:
            before = await history.find(EventQuery(after=cause - 1, before=cause + 1, limit=1))
            caused = _first(before.events)
        is_stale = (
            last is not None
            and frame.run is not None
            and frame.run.kind is Kind.START
            and last.run != frame.run.run
        )
        return {
            "service": service,
            "host": host,
            "at": instant(frame.at),
            "why": why,
            "of_former_run": is_stale,
            "status": None if last is None else last.inputs.get("status"),
            "cause": None if caused is None else event_document(caused),
            "events": [event_document(each) for each in events.events],
        }

    def _in_force(
        self,
        service: str,
        host: str,
        at: float,
        last: LedgerEvent | None,
        first: LedgerEvent | None,
    ) -> tuple[Document | None, int | None] | None:
        """The decision of that moment, and the number of its cause."""
        if last is not None:
            return _document(host, last.inputs, last.at), last.cause
        if first is not None:
            before = first.inputs.get("before")
            if before is None:
                return None, None  # That was when it came.
            return (_document(host, before, before["at"]) if before["at"] <= at else None), None
        running = self._view.service(service)
        server = None if running is None else find_server(running, host)
        if running is None or server is None or server.decision is None:
            return None
        if server.decision.at > at:
            return None, None
        return why_json(server, running.depool_threshold), None


def _first(events: tuple[LedgerEvent, ...]) -> LedgerEvent | None:
    return events[0] if events else None


def _document(host: str, inputs: Inputs, at: float) -> Document | None:
    """A decision as `why` shows it."""
    if inputs["verdict"] == "removed":
        text = f"{host} was not in the pool list, which it had left at {iso_time(at)}."
        return {"text": text, "verdict": "removed", "cause": "the pool list", "at": instant(at)}
    decision = Decision(
        verdict=Verdict[str(inputs["verdict"]).upper()],
        cause=inputs["cause"],
        at=at,
        configured=inputs["configured"],
        up=inputs["up"],
        pooled=inputs["pooled"],
        required=Fraction(inputs["required"]),
    )
    return decision_json(host, decision, Fraction(inputs["threshold"]))
