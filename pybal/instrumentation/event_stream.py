"""Events as they happen, by server-sent events (HTML Standard, section 9.2).

A stream is a cursor: it reads the history from where it has come to, a page at a time, as fast as
its client takes that. So nothing waits in memory for who is slow, and all who follow cost little.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.http import Request

from pybal.errors import PyBalError
from pybal.history.event import LedgerEvent
from pybal.history.port import History
from pybal.history.query import EventQuery
from pybal.instrumentation.history_documents import event_document
from pybal.instrumentation.server_sent_events import Subscriber, event
from pybal.runtime.clock import cancel
from pybal.runtime.time_slices import TimeSlices

STREAM_TYPE = "text/event-stream"
MAX_STREAMS = 24
"""At each place where is listened: each costs a connection and a little of each event."""
HEARTBEAT_S = 15.0
"""So that what lies between, and the client, know that the stream is alive."""
_GATHER_S = 0.05
_PAGE = 200
_AT_ONCE = 10
_RETRY_MS = 3000
_RENDERED = 2000


class Following(NamedTuple):
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
            cancel(self._waking)
            self._waking = None

    def _happened(self, _: LedgerEvent) -> None:
        if self._waking is None:
            self._waking = self.clock.callLater(_GATHER_S, self._wake)

    def _wake(self) -> None:
        self._waking = None
        for stream in tuple(self._open):
            stream.go_on()

    def rendered(self, noted: LedgerEvent) -> bytes:
        """An event as all streams write it; made once."""
        found = self._rendered.get(noted.seq)
        if found is None:
            if len(self._rendered) >= _RENDERED:
                self._rendered.clear()
            data = json.dumps(event_document(noted)).encode()
            found = self._rendered[noted.seq] = event(data, id_=str(noted.seq))
        return found


class _Stream:
    """One client's. One that is cut off may come back with the number of its last event."""

    def __init__(self, streams: EventStreams, request: Request, following: Following) -> None:
        self._streams = streams
        self._request = request
        self._query = following.query._replace(newest=False, limit=_PAGE)
        self._backlog = following.backlog
        self._subscriber = Subscriber(
            streams.clock, request, lambda _: self.go_on(), self._ended, self._too_slow
        )
        self._over = False
        self._reading: Deferred[None] | None = None
        self._again = False
        self._heartbeat: Any = None

    def start(self) -> None:
        request = self._request
        request.setHeader(b"content-type", STREAM_TYPE.encode())
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-accel-buffering", b"no")
        if request.method == b"HEAD":
            request.notifyFinish().addBoth(self._ended)
            request.write(b"")
            request.finish()
            return
        self._subscriber.start()
        self._subscriber.send(b": PyBal's events\nretry: %d\n\n" % _RETRY_MS)
        self._beat_later()
        if self._query.after is None and not self._backlog:
            self._query = self._query._replace(after=self._streams.history().newest)
        self.go_on()

    def go_on(self) -> None:
        """There may be something to write."""
        self._again = True
        if self._reading is None and self._subscriber.ready:
            reading = Deferred.fromCoroutine(self._read())
            reading.addErrback(self._failed)
            if not reading.called:
                self._reading = reading
            reading.addBoth(self._read_over)

    async def _read(self) -> None:
        if self._backlog:
            await self._write_page(self._query._replace(newest=True, limit=self._backlog))
            self._backlog = 0
        while self._again and self._subscriber.ready:
            self._again = False
            if await self._write_page(self._query):
                self._again = True

    async def _write_page(self, wanted: EventQuery) -> bool:
        """Write what is found, and go on behind it; whether there is more."""
        history = self._streams.history()
        newest = history.newest
        found = await history.find(wanted)
        await self._write(found.events)
        more = found.more and not wanted.newest
        last = found.events[-1].seq if found.events else 0
        self._query = self._query._replace(after=last if more else max(newest, last))
        return more

    async def _write(self, events: tuple[LedgerEvent, ...]) -> None:
        for start in range(0, len(events), _AT_ONCE):
            if self._over:
                return
            some = events[start : start + _AT_ONCE]
            self._subscriber.send(b"".join(map(self._streams.rendered, some)))
            await self._streams.time_slices.pause()

    def _read_over(self, _: object) -> None:
        self._reading = None
        if self._again and self._subscriber.ready:
            # It may have been woken as it ended.
            self._streams.clock.callLater(0, self.go_on)

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) or self._over:
            return
        if not failure.check(PyBalError):
            self._streams.log.failure("A stream of events failed", failure)
        # The client comes back with the number of its last event.
        self._subscriber.cut_off()

    # -- the client ---------------------------------------------------------------------------

    def _beat_later(self) -> None:
        self._heartbeat = self._streams.clock.callLater(HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        self._beat_later()
        if self._subscriber.ready:
            self._subscriber.send(b": heartbeat\n\n")

    def _too_slow(self) -> None:
        self._streams.log.info("Cut off who follows the events and has taken nothing for a while")

    def _ended(self, _: object) -> None:
        self._over = True
        cancel(self._heartbeat)
        if self._reading is not None:
            self._reading.cancel()
        self._streams.over(self)
