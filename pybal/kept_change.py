"""What a pool list takes away and what stays all the same: as it is shown, and as it is kept over a
restart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple


class KeptSnapshot(NamedTuple):
    """Servers that a pool list has taken away `since` then and that stay: `waiting` for others to
    work, or held, as without them `left` would work and `required` must. Others were `taken` (host,
    when) within `window_s`."""

    servers: tuple[str, ...]
    since: float
    waiting: bool
    left: int
    required: int
    taken: tuple[tuple[str, float], ...]
    window_s: float


@dataclass(frozen=True, slots=True)
class ListPast:
    """What pool lists took away lately, as the next run is to know it. All times are seconds of a
    clock that does not jump, which showed `at_s` when this was true.

    `taken` has (host, when); `counts` how many servers were enabled from when on: (when, first,
    most, last), see list_window.py. `reference` is how many there were when the window began that
    stands still since a change is kept; None while none is. `kept` has the servers that stay though
    a list takes them away, and when that list came. `unproven` were down, or had not been seen to
    work yet. `moving` has (host, address) of those that stayed where they worked, though their
    names have moved to an address at which they were not found up. `departed` has (name or address,
    when) of those that were down when they left the list.
    """

    at_s: float
    taken: tuple[tuple[str, float], ...] = ()
    counts: tuple[tuple[float, int, int, int], ...] = ()
    reference: int | None = None
    kept: tuple[tuple[str, float], ...] = ()
    unproven: tuple[str, ...] = ()
    moving: tuple[tuple[str, str], ...] = ()
    departed: tuple[tuple[str, float], ...] = ()

    def moved(self, by_s: float) -> ListPast:
        """The same on a clock that shows so much more."""
        counts = ((when, (first, most, last)) for when, first, most, last in self.counts)
        return replace(
            self,
            at_s=self.at_s + by_s,
            taken=tuple((host, when + by_s) for host, when in self.taken),
            counts=tuple((when + by_s, *numbers) for when, numbers in counts),
            kept=tuple((host, when + by_s) for host, when in self.kept),
            departed=tuple((key, when + by_s) for key, when in self.departed),
        )

    def is_as(self, other: ListPast | None) -> bool:
        """Whether it says the same, whatever time it is."""
        return other is not None and replace(self, at_s=other.at_s) == other
