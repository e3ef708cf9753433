"""Maintenance: traffic is moved away by BGP while everything else goes on. Pure.

Routes first become the last choice (last_choice.py), so that routers change over while ours still
forward; after a time they are withdrawn. Sessions stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # A daemon that speaks no BGP keeps maintenance, too, and loads none of it.
    from pybal.bgp.settings import MaintenanceSettings


class Phase(IntEnum):
    """How far maintenance has come; the order is that of what is announced."""

    NONE = 0
    LAST_CHOICE = 1
    WITHDRAWN = 2


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Since when, in Unix seconds: the whole `director`, and single `services` by name."""

    director: float | None = None
    services: Mapping[str, float] = field(default_factory=dict)

    def begun(self, service: str | None, now: float) -> Maintenance:
        """With this service, or the whole director; what has begun before goes on."""
        if service is None:
            return self if self.director is not None else replace(self, director=now)
        return replace(self, services={service: now, **self.services})

    def ended(self, service: str | None) -> Maintenance:
        """Without this service; None: without the whole director, single services may go on."""
        if service is None:
            return replace(self, director=None)
        left = {name: since for name, since in self.services.items() if name != service}
        return replace(self, services=left)

    def followed(self, renames: Iterable[tuple[str, str]]) -> Maintenance:
        """With services that come in the place of others (former and present name): what those are
        in goes on for them."""
        new = {now: self.services[was] for was, now in renames if was in self.services}
        return replace(self, services={**new, **self.services})

    def renamed(self, renames: Iterable[tuple[str, str]]) -> Maintenance:
        """With services under other names (former and present one)."""
        names = dict(renames)
        return replace(
            self, services={names.get(name, name): at for name, at in self.services.items()}
        )

    def by_clock(self, times: Mapping[float, float]) -> Maintenance:
        """The same by another clock; `times` has all of ours."""
        director = None if self.director is None else times[self.director]
        return Maintenance(director, {name: times[since] for name, since in self.services.items()})

    def scopes(self) -> Iterator[tuple[str | None, float]]:
        """What is in maintenance, and since when; None is the whole director."""
        if self.director is not None:
            yield None, self.director
        yield from self.services.items()

    def phase(self, service: str, now: float, settings: MaintenanceSettings) -> Phase:
        """That of one service, also through the whole director's; `now` by the clock of ours."""
        since = (self.director, self.services.get(service))
        return max((phase_since(at, now, settings) for at in since), default=Phase.NONE)

    def next_change_s(self, now: float, settings: MaintenanceSettings) -> float | None:
        """In how many seconds something is to be withdrawn."""
        after_s = settings.withdraw_after_s
        if after_s is None:
            return None
        waits = (since + after_s - now for _, since in self.scopes())
        return min((wait_s for wait_s in waits if wait_s > 0), default=None)


def phase_since(since: float | None, now: float, settings: MaintenanceSettings) -> Phase:
    """How far maintenance has come that began at `since`; None: it has not."""
    if since is None:
        return Phase.NONE
    after_s = settings.withdraw_after_s
    return Phase.WITHDRAWN if after_s is not None and now >= since + after_s else Phase.LAST_CHOICE
