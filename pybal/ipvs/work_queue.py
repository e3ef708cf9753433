"""Which services are to be looked at next. Pure."""

from __future__ import annotations

from itertools import chain, islice

from pybal.ipvs.model import ServiceKey


class WorkQueue:
    """Services, each once: the urgent ones come first, then it is the order of arrival."""

    def __init__(self) -> None:
        self._urgent: dict[ServiceKey, None] = {}
        self._others: dict[ServiceKey, None] = {}

    def add(self, key: ServiceKey, *, urgent: bool) -> None:
        """It keeps its place if it has one that is as urgent, or more so."""
        if key in self._urgent:
            return
        if urgent:
            self._others.pop(key, None)
            self._urgent[key] = None
        else:
            self._others.setdefault(key)

    def defer(self, key: ServiceKey) -> None:
        """It has so much to be done that it takes several turns: let the urgent ones pass it. It
        keeps its place among the others, where one is finished before the next begins."""
        self._urgent.pop(key, None)
        self._others.setdefault(key)

    def let_pass(self, key: ServiceKey) -> None:
        """It has had a turn that was not enough: if it is urgent, the other urgent ones come first
        now."""
        if key in self._urgent:
            del self._urgent[key]
            self._urgent[key] = None

    def discard(self, key: ServiceKey) -> None:
        """Not there, it stays so."""
        self._urgent.pop(key, None)
        self._others.pop(key, None)

    def first(self, most: int) -> tuple[ServiceKey, ...]:
        """The first ones, in order."""
        return tuple(islice(chain(self._urgent, self._others), most))

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    @property
    def urgent(self) -> bool:
        """Whether any of them is."""
        return bool(self._urgent)

    @property
    def others(self) -> bool:
        """Whether there are any that are not urgent."""
        return bool(self._others)
