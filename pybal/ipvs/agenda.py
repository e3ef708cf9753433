"""Which services are to be looked at next. Pure."""

from __future__ import annotations

from enum import IntEnum

from pybal.ipvs.model import ServiceKey


class Urgency(IntEnum):
    """What comes first."""

    CHANGE = 0
    """A service that stands in the kernel is to change: a depool must not wait."""
    LOAD = 1
    """A service is to be added, or has so much to be changed that it takes several turns."""
    AUDIT = 2
    """Nothing is known to differ."""


class Agenda:
    """Services, each once, by urgency and then by the order of arrival."""

    def __init__(self) -> None:
        self._queues: tuple[dict[ServiceKey, None], ...] = tuple({} for _ in Urgency)

    def add(self, key: ServiceKey, urgency: Urgency) -> None:
        """It keeps its place if it has one that is as urgent, or more so."""
        for rank in Urgency:
            if rank > urgency:
                self._queues[rank].pop(key, None)
            elif key in self._queues[rank]:
                return
        self._queues[urgency][key] = None

    def defer(self, key: ServiceKey) -> None:
        """It has had a turn that was not enough: let changes of others pass it."""
        if key not in self._queues[Urgency.LOAD]:
            self.discard(key)
            self._queues[Urgency.LOAD][key] = None

    def discard(self, key: ServiceKey) -> None:
        for queue in self._queues:
            queue.pop(key, None)

    def in_order(self) -> tuple[ServiceKey, ...]:
        """What is to be looked at, in order."""
        return tuple(key for queue in self._queues for key in queue)

    def only_audit(self, key: ServiceKey) -> bool:
        """Whether it is there for an audit alone."""
        return key in self._queues[Urgency.AUDIT]

    def __bool__(self) -> bool:
        return any(self._queues)

    @property
    def pressing(self) -> bool:
        """Whether anything is known to differ."""
        return bool(self._queues[Urgency.CHANGE] or self._queues[Urgency.LOAD])

    @property
    def auditing(self) -> bool:
        return bool(self._queues[Urgency.AUDIT])
