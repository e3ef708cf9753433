"""Events as they happen, by server-sent events (HTML Standard, section 9.2).

A stream is a cursor: it reads the history from where it has come to, a page at a time, as fast as
its client takes that. So nothing waits in memory for who is slow, and all who follow cost little.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from pybal.errors import PyBalError
from pybal.history.event import LedgerEvent
from pybal.history.port import History
from pybal.history.query import EventQuery
from pybal.instrumentation.history_documents import event_document
from pybal.runtime.time_slices import TimeSlices

STREAM_TYPE = "text/event-stream"
MAX_STREAMS = 24
"""At each place where is listened: each costs a connection and a little of each event."""
HEARTBEAT_S = 15.0
"""So that what lies between, and the client, know that the stream is alive."""
SLOW_S = 30.0
"""Who takes nothing for so long is cut off; it may come back with the number of its last event."""
_GATHER_S = 0.05
_PAGE = 200
_AT_ONCE = 10
_RETRY_MS = 3000
_RENDERED = 2000


@dataclass(frozen=True, slots=True)
class Following:
    """What a client follows: events that the query wants, after its `after`. With a `backlog` the
    newest so many that there are come first."""

    query: EventQuery
    backlog: int = 0


class EventStreams:
    """The streams of one place where is listened. `clock` is IReactorTime."""

    def __init__(
        self, clock: Any, history: Callable[[], History], time_slices: TimeSlices, log: Logger
    ) -> None:
        self.clock = clock
        self.time_slices = time_slices
        self.history = history
        self.log = log
        self._open: set[_Stream] = set()
        self._unsubscribe: Callable[[], None] | None = None
        self._waking: Any = None
        self._rendered: dict[int, bytes] = {}
        self.cut_off_total = 0

    @property
    def full(self) -> bool:
        """Whether there is no place for one more."""
        return len(self._open) >= MAX_STREAMS

    def serve(self, request: Request, following: Following) -> None:
        """Begin to answer with the stream."""
        stream = _Stream(self, request, following)
        self._open.add(stream)
        if self._unsubscribe is None:
            self._unsubscribe = self.history().subscribe(self._happened)
        stream.start()

    def over(self, stream: _Stream) -> None:
        """A stream has ended."""
        self._open.discard(stream)
        if not self._open and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._rendered.clear()
            if self._waking is not None and self._waking.active():
                self._waking.cancel()
            self._waking = None

    def _happened(self, _: LedgerEvent) -> None:
        if self._waking is None:
            self._waking = self.clock.callLater(_GATHER_S, self._wake)

    def _wake(self) -> None:
        self._waking = None
        for stream in tuple(self._open):
            stream.go_on()

    def rendered(self, event: LedgerEvent) -> bytes:
        """An event as all streams write it; made once."""
        found = self._rendered.get(event.seq)
        if found is None:
            if len(self._rendered) >= _RENDERED:
                self._rendered.clear()
            data = json.dumps(event_document(event))
            found = self._rendered[event.seq] = f"id: {event.seq}\ndata: {data}\n\n".encode()
        return found


@implementer(IPushProducer)
class _Stream:
    """One client's."""

    def __init__(self, streams: EventStreams, request: Request, following: Following) -> None:
        self._streams = streams
        self._request = request
        self._query = replace(following.query, newest=False, limit=_PAGE)
        self._backlog = following.backlog
        self._paused = False
        self._over = False
        self._reading: Deferred[None] | None = None
        self._again = False
        self._heartbeat: Any = None
        self._slow: Any = None

    def start(self) -> None:
        request = self._request
        request.setHeader(b"content-type", STREAM_TYPE.encode())
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-accel-buffering", b"no")
        request.notifyFinish().addBoth(self._ended)
        if request.method == b"HEAD":
            request.write(b"")
            request.finish()
            return
        request.registerProducer(self, True)
        request.write(b": PyBal's events\nretry: %d\n\n" % _RETRY_MS)
        self._beat_later()
        if self._query.after is None and not self._backlog:
            self._query = replace(self._query, after=self._streams.history().newest)
        self.go_on()

    def go_on(self) -> None:
        """There may be something to write."""
        self._again = True
        if self._reading is None and not self._paused and not self._over:
            reading = Deferred.fromCoroutine(self._read())
            reading.addErrback(self._failed)
            if not reading.called:
                self._reading = reading
            reading.addBoth(self._read_over)

    async def _read(self) -> None:
        if self._backlog:
            await self._write_backlog()
        while self._again and not self._paused and not self._over:
            self._again = False
            history = self._streams.history()
            newest = history.newest
            found = await history.find(self._query)
            await self._write(found.events)
            if found.more:
                self._again = True
                self._query = replace(self._query, after=found.events[-1].seq)
            else:
                last = found.events[-1].seq if found.events else 0
                self._query = replace(self._query, after=max(newest, last))

    async def _write_backlog(self) -> None:
        history = self._streams.history()
        newest = history.newest
        wanted = replace(self._query, newest=True, limit=self._backlog)
        found = await history.find(wanted)
        self._backlog = 0
        await self._write(found.events)
        last = found.events[-1].seq if found.events else 0
        self._query = replace(self._query, after=max(newest, last))

    async def _write(self, events: tuple[LedgerEvent, ...]) -> None:
        for start in range(0, len(events), _AT_ONCE):
            if self._over:
                return
            some = events[start : start + _AT_ONCE]
            self._request.write(b"".join(map(self._streams.rendered, some)))
            await self._streams.time_slices.pause()

    def _read_over(self, _: object) -> None:
        self._reading = None
        if self._again and not self._paused and not self._over:
            # It may have been woken as it ended.
            self._streams.clock.callLater(0, self.go_on)

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) or self._over:
            return
        if not failure.check(PyBalError):
            self._streams.log.failure("A stream of events failed", failure)
        # The client comes back with the number of its last event.
        self._abort()

    # -- the client ---------------------------------------------------------------------------

    def _beat_later(self) -> None:
        self._heartbeat = self._streams.clock.callLater(HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        self._beat_later()
        if not self._paused:
            self._request.write(b": heartbeat\n\n")

    def pauseProducing(self) -> None:  # noqa: N802
        """The client cannot take more."""
        self._paused = True
        if self._slow is None:
            self._slow = self._streams.clock.callLater(SLOW_S, self._too_slow)

    def resumeProducing(self) -> None:  # noqa: N802
        """The client can take more."""
        self._paused = False
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        self.go_on()

    def stopProducing(self) -> None:  # noqa: N802
        """The client is gone."""
        self._over = True

    def _too_slow(self) -> None:
        self._slow = None
        self._streams.cut_off_total += 1
        self._streams.log.info("Cut off who follows the events and has taken nothing for a while")
        self._abort()

    def _abort(self) -> None:
        self._request.channel.forceAbortClient()

    def _ended(self, _: object) -> None:
        self._over = True
        for call in (self._heartbeat, self._slow):
            if call is not None and call.active():
                call.cancel()
        if self._reading is not None:
            self._reading.cancel()
        self._streams.over(self)
