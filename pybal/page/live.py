"""Who looks at which page, and how often the pages are made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.instrumentation.server_sent_events import Subscriber, end_if_unreachable, event
from pybal.instrumentation.view import StatusView
from pybal.page.composer import Composer
from pybal.page.counted_slices import CountedSlices
from pybal.page.piece import Page
from pybal.page.topic import Compose, Topic
from pybal.runtime.clock import cancel
from pybal.runtime.time_slices import TimeSlices

INTERVAL_S = 1.0
"""A page is not made anew more often."""
LONGEST_INTERVAL_S = 10.0
SHARE = 0.007
"""Of a core, that the pages may take for each viewer; updates come less often then."""
MOST = 0.05
"""Of a core, for all of them."""
HEARTBEAT_S = 15.0
MAX_VIEWERS = 64
_KEPT = 8
"""Pages that nobody looks at and that are kept all the same, for those who ask again and again."""
_STATISTICS_S = 10.0
_STATISTICS_OF_ONE_S = 0.01
"""So old may the counts of connections be, and so much more for each server in the kernel, which
has to be asked for all of them."""


class Live:
    """Keeps pages up to date for as long as somebody looks. `clock` is IReactorTime, `now()` Unix
    seconds. Viewers are told the `build` of the pages, as
    after an upgrade theirs is an old one. The director's page is that of None."""

    def __init__(
        self,
        clock: Any,
        view: StatusView,
        composer: Composer,
        time_slices: TimeSlices,
        now: Callable[[], float],
        log: Logger,
        build: str,
    ) -> None:
        self._clock = clock
        self._view = view
        self._composer = composer
        self._time_slices = time_slices
        self._now = now
        self._log = log
        self._build = build
        self._topics: dict[str | None, Topic] = {}
        """The one that was asked for last is the last."""
        self._made = 0
        self._call: Any = None
        self._beat_at_s = 0.0
        self._refreshed_at_s: float | None = None
        self._stopped = False

    @property
    def viewers(self) -> int:
        """How many look at any page."""
        return sum(topic.viewers for topic in self._topics.values())

    async def fresh(self, service: str | None) -> Topic | None:
        """A page that is at most a second old; None if there is no such service."""
        topic = self._topics.pop(service, None) or self._new_topic(service)
        self._topics[service] = topic
        if service is not None:
            await self._refresh_statistics()
        at_s = topic.updated_at_s
        young = at_s is not None and self._clock.seconds() - at_s < INTERVAL_S
        if not young:
            await self._time_slices.finish(self._view.preparing())
        if not young and not await topic.update():
            self._topics.pop(service, None)
            return None
        self._forget_old()
        return topic

    def watch(self, request: Any, topic: Topic, state: str) -> None:
        """Tell a client what changes of a page from now on; it has it as in that state."""
        end_if_unreachable(request)
        viewer = Subscriber(self._clock, request, topic.tell, topic.remove)
        viewer.start()
        viewer.send(self._heartbeat())
        topic.add(viewer, state)
        if self._call is None:
            self._beat_at_s = self._clock.seconds()
            self._call = self._clock.callLater(INTERVAL_S, self._tick)

    def stop(self) -> None:
        """Make no page anew any more. Idempotent."""
        self._stopped = True
        cancel(self._call)

    def _new_topic(self, service: str | None) -> Topic:
        self._made += 1
        composer = self._composer

        compose = composer.overview if service is None else _composing(composer, service)
        epoch = f"{int(self._now() * 1000):x}-{self._made}"
        return Topic(self._clock, self._time_slices, compose, epoch)

    def _forget_old(self) -> None:
        unseen = [name for name, topic in self._topics.items() if not topic.viewers]
        for name in unseen[:-_KEPT]:
            del self._topics[name]

    def _tick(self) -> None:
        updating = Deferred.fromCoroutine(self._update_all())
        updating.addErrback(lambda f: self._log.failure("Cannot show what is new", failure=f))
        updating.addBoth(self._again)

    async def _update_all(self) -> float:
        """What is looked at; returns when to do so again, in seconds."""
        seen = [(name, topic) for name, topic in self._topics.items() if topic.viewers]
        before_s = sum(topic.spent_s for _, topic in seen)
        if any(name is not None for name, _ in seen):
            await self._refresh_statistics()
        await self._time_slices.finish(self._view.preparing())
        beat = b""
        if self._clock.seconds() - self._beat_at_s >= HEARTBEAT_S:
            self._beat_at_s, beat = self._clock.seconds(), self._heartbeat()
        for name, topic in seen:
            if await topic.update():
                topic.tell_all(beat)
            else:
                self._topics.pop(name, None)
                topic.end_all()
        spent_s = sum(topic.spent_s for _, topic in seen) - before_s
        share = min(MOST, SHARE * max(1, self.viewers))
        return min(LONGEST_INTERVAL_S, max(INTERVAL_S, spent_s / share))

    def _again(self, delay_s: float | None) -> None:
        self._call = None
        if self.viewers and not self._stopped:
            self._call = self._clock.callLater(delay_s or LONGEST_INTERVAL_S, self._tick)

    async def _refresh_statistics(self) -> None:
        now_s = self._clock.seconds()
        last_s = self._refreshed_at_s
        oldest_s = _STATISTICS_S + _STATISTICS_OF_ONE_S * self._view.ipvs().destinations
        if last_s is None or now_s - last_s >= oldest_s:
            self._refreshed_at_s = now_s
            await self._view.refresh()

    def _heartbeat(self) -> bytes:
        return event(f"{self._now():.3f} {self._build}".encode("ascii"), name="time")


def _composing(composer: Composer, service: str) -> Compose:
    past = composer.past_of(service)

    async def compose(_: CountedSlices) -> Page | None:
        return await composer.service(service, past)

    return compose
