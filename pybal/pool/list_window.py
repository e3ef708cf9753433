"""What pool lists took away within a window of time, and how many they had enabled before. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from pybal.kept_change import ListPast

_STEPS = 100
"""A window is remembered in so many steps, so that a list that changes all the time takes no
more memory than one that does not."""


class _Count(NamedTuple):
    """How many servers were enabled from `at` on: `first`, within a step at the `most`, and in the
    end `last`."""

    at: float
    first: int
    most: int
    last: int


@dataclass(frozen=True, slots=True)
class ListWindow:
    """The last `length_s` seconds. Times are seconds of a clock that does not jump.

    `taken` has the servers that lists took away and have not brought back, and when.
    """

    length_s: float
    taken: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    _counts: tuple[_Count, ...] = ()

    def enabled_at_start(self, at: float) -> int:
        """How many were enabled when the window that ends `at` began; if none were, or nothing is
        known of that time, how many there were next."""
        start = at - self.length_s
        later = 0
        for count in reversed(self._counts):
            if count.at <= start:
                then = count.most if start < count.at + self._step_s else count.last
                return then or later
            later = count.first or count.most or later
        return later

    def counted(self, at: float, enabled: int) -> ListWindow:
        """So many are enabled from `at` on."""
        counts = self._counts
        if counts and counts[-1].last == enabled:
            return self
        if counts and at < counts[-1].at + self._step_s:
            merged = counts[-1]._replace(most=max(counts[-1].most, enabled), last=enabled)
            return replace(self, _counts=(*counts[:-1], merged))
        start = at - self.length_s
        old = sum(count.at <= start for count in counts)
        return replace(
            self, _counts=(*counts[max(0, old - 1) :], _Count(at, enabled, enabled, enabled))
        )

    def past(self, at: float, reference: int | None) -> ListPast:
        """For the next run."""
        counts = tuple((each.at, each.first, each.most, each.last) for each in self._counts)
        return ListPast(
            at_s=at, taken=tuple(self.taken.items()), counts=counts, reference=reference
        )

    def after(self, past: ListPast) -> ListWindow:
        """This window, of a run that has just begun, after what the last run has left."""
        counts = tuple(_Count(*each) for each in past.counts)
        return replace(self, taken=MappingProxyType(dict(past.taken)), _counts=counts)

    def changed(self, taken: Mapping[str, float], back: Collection[str]) -> ListWindow:
        """These were taken away, and when; but those that are `back`."""
        out = {host: when for host, when in taken.items() if host not in back}
        return self if out == self.taken else replace(self, taken=MappingProxyType(out))

    def without_old(self, at: float) -> ListWindow:
        """What was taken before the window that ends `at` no longer counts."""
        start = at - self.length_s
        if all(when > start for when in self.taken.values()):
            return self
        recent = {host: when for host, when in self.taken.items() if when > start}
        return replace(self, taken=MappingProxyType(recent))

    @property
    def _step_s(self) -> float:
        return self.length_s / _STEPS
