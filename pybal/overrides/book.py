"""All overrides that there are: the owner of them, of their ends and of their file."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.logger import Logger

from pybal.override import MAX_DURATION_S, Override, Overrides
from pybal.overrides.timed import TimedEntries

MAX_OVERRIDES = 20_000
"""More than the largest director has servers."""

Key = tuple[str, str]
"""Service and host."""


class Happening(enum.Enum):
    """What has become of an override."""

    BEGUN = "begun"
    UNDONE = "undone"
    EXPIRED = "expired"
    DROPPED = "dropped"
    """Its service is gone."""


class OverrideEvent(NamedTuple):
    """What has become of an override; `by` whom, empty if by nobody."""

    what: Happening
    override: Override
    by: str


OverrideObserver = Callable[[OverrideEvent], None]


def nobody(_: OverrideEvent) -> None:
    """Nobody observes."""


class BookPorts(NamedTuple):
    """`clock` provides IReactorTime and does not jump, `now()` is Unix seconds. `save` keeps all
    that there is for the next start. `changed` hears of the services whose overrides are others
    now."""

    clock: Any
    now: Callable[[], float]
    save: Callable[[tuple[Override, ...]], None]
    changed: Callable[[Collection[str]], None]
    observe: OverrideObserver = nobody


class OverrideBook:
    """One override for each server of each service. They end by themselves."""

    def __init__(self, ports: BookPorts, log: Logger) -> None:
        self._ports = ports
        self._log = log
        self._by_service: dict[str, dict[str, Override]] = {}
        self._ends = TimedEntries[Key](ports.clock, self._expired)

    def start(self, kept: Iterable[Override], services: Collection[str]) -> None:
        """With those of the last run; those of services that there are no more have ended."""
        now = self._ports.now()
        for override in kept:
            if override.service in services and override.until > now:
                # Though the clock may have been set back, it lasts no longer than was said.
                self._put(override, override.until - max(now, override.since))
            else:
                gone = override.until > now
                self._tell(Happening.DROPPED if gone else Happening.EXPIRED, override)
        self._save()

    def stop(self) -> None:
        """End nothing any more. Idempotent."""
        self._ends.stop()

    def of(self, service: str) -> Overrides:
        """Those of one service."""
        return self._by_service.get(service, {})

    def all(self) -> tuple[Override, ...]:
        """By service, in the order in which they began."""
        return tuple(each for those in self._by_service.values() for each in those.values())

    def begin(self, overrides: Collection[Override]) -> tuple[Override, ...]:
        """From now on these count, each in place of an earlier one for its server: those."""
        replaced = [self.of(each.service).get(each.host) for each in overrides]
        for override in overrides:
            self._put(override, override.until - override.since)
            self._tell(Happening.BEGUN, override, override.by)
        self._save()
        return tuple(each for each in replaced if each is not None)

    def end(self, keys: Iterable[Key], by: str) -> tuple[Override, ...]:
        """An operator wants these no longer; those that there were."""
        ended = self._remove(keys)
        for override in ended:
            self._tell(Happening.UNDONE, override, by)
        self._save()
        return ended

    def rename(self, renamed: Iterable[tuple[str, str]]) -> None:
        """Services go on under another name (former and present one), and so do their overrides."""
        for before, after in renamed:
            # By the clock that does not jump: the wall clock may have been set meanwhile.
            left_s = {host: self._ends.left_s((before, host)) for host in self.of(before)}
            for override in self._remove([(before, host) for host in left_s]):
                self._put(replace(override, service=after), left_s[override.host])
        self._save()

    def drop_all_but(self, services: Collection[str]) -> None:
        """There are no others any more."""
        self.drop([name for name in self._by_service if name not in services])

    def drop(self, services: Iterable[str]) -> None:
        """These are gone."""
        for override in self._remove((name, host) for name in services for host in self.of(name)):
            self._tell(Happening.DROPPED, override)
        self._save()

    def _put(self, override: Override, left_s: float) -> None:
        self._by_service.setdefault(override.service, {})[override.host] = override
        self._ends.put((override.service, override.host), min(left_s, MAX_DURATION_S))

    def _remove(self, keys: Iterable[Key]) -> tuple[Override, ...]:
        removed = []
        for service, host in tuple(keys):
            override = self._by_service.get(service, {}).pop(host, None)
            self._ends.forget((service, host))
            if override is not None:
                removed.append(override)
                if not self._by_service[service]:
                    del self._by_service[service]
        return tuple(removed)

    def _expired(self, keys: Collection[Key]) -> None:
        ended = self._remove(keys)
        for override in ended:
            self._tell(Happening.EXPIRED, override)
        self._save()
        self._ports.changed({override.service for override in ended})

    def _tell(self, what: Happening, override: Override, by: str = "") -> None:
        self._log.warn("{text}", text=_line(what, override, by))
        try:
            self._ports.observe(OverrideEvent(what, override, by))
        except Exception:  # noqa: BLE001 - who watches must not hinder what is watched
            self._log.failure("Telling of an override failed")

    def _save(self) -> None:
        self._ports.save(self.all())


def _line(what: Happening, override: Override, by: str) -> str:
    name = f"{override.service}: {override.host}"
    match what:
        case Happening.BEGUN:
            return f"{name} is {override.text}" + (" (forced)" if override.force else "")
        case Happening.UNDONE:
            return f"{name} is no longer {override.text} ({by} has undone it)"
        case Happening.EXPIRED:
            return f"{name} is no longer {override.text} (its time is over)"
        case Happening.DROPPED:
            return f"{name} is no longer {override.text} (the service is gone)"
