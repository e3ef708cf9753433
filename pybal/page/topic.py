"""One page and all who look at it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybal.instrumentation.server_sent_events import Subscriber, event
from pybal.page.counted_slices import CountedSlices
from pybal.page.piece import Page
from pybal.page.rendered_page import RenderedPage
from pybal.runtime.time_slices import TimeSlices

Compose = Callable[[CountedSlices], Awaitable[Page | None]]
"""Puts the page together as it stands; None if there is none any more."""


class Topic:
    """A page that is composed and rendered once for all."""

    def __init__(self, clock: Any, time_slices: TimeSlices, compose: Compose, epoch: str) -> None:
        self._clock = clock
        self._slices = CountedSlices(clock, time_slices)
        self._compose = compose
        self._viewers: dict[Subscriber, int] = {}
        """With the version that each has."""
        self._waiting: list[Deferred[bool]] | None = None
        self.rendered = RenderedPage(epoch)
        self.updated_at_s: float | None = None

    @property
    def spent_s(self) -> float:
        """What its updates took of the reactor's time so far."""
        return self._slices.spent_s

    @property
    def viewers(self) -> int:
        """How many look at it."""
        return len(self._viewers)

    def update(self) -> Deferred[bool]:
        """Compose the page anew; fires with whether there is one. Who asks while that is under way
        gets its outcome."""
        waiter: Deferred[bool] = Deferred()
        if self._waiting is not None:
            self._waiting.append(waiter)
            return waiter
        self._waiting = [waiter]
        Deferred.fromCoroutine(self._update()).addBoth(self._updated)
        return waiter

    def add(self, viewer: Subscriber, state: str) -> None:
        """A viewer who has the page as it was in that state."""
        self._viewers[viewer] = self.rendered.version_of(state)
        self.tell(viewer)

    def remove(self, viewer: Subscriber) -> None:
        """A viewer is gone."""
        self._viewers.pop(viewer, None)

    def tell(self, viewer: Subscriber) -> None:
        """Send a viewer what is new to it, if it can take it now."""
        version, rendered = self._viewers.get(viewer), self.rendered
        if version is not None and viewer.ready and version != rendered.version:
            self._viewers[viewer] = rendered.version
            viewer.send(event(rendered.since(version), id_=rendered.state))

    def tell_all(self, data: bytes) -> None:
        """Send everybody what is new, and `data`."""
        for viewer in tuple(self._viewers):
            self.tell(viewer)
            if data and viewer.ready:
                viewer.send(data)

    def end_all(self) -> None:
        """Cut everybody off."""
        for viewer in tuple(self._viewers):
            viewer.cut_off()

    async def _update(self) -> bool:
        self._slices.begin()
        page = await self._compose(self._slices)
        if page is not None:
            for _ in self.rendered.update(page):
                await self._slices.pause()
            self.updated_at_s = self._clock.seconds()
        self._slices.end()
        return page is not None

    def _updated(self, outcome: bool | Failure) -> None:
        waiting, self._waiting = self._waiting or [], None
        for waiter in waiting:
            waiter.callback(outcome)
