"""The audits of the whole table, and the drift that they have found."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pybal.ipvs.drift import Drift, DriftBook
from pybal.ipvs.kernel import Kernel
from pybal.ipvs.known_table import KnownTable
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.reading import Reader
from pybal.ipvs.slices import SlicedWork, Slices
from pybal.ipvs.snapshot import AuditSnapshot
from pybal.ipvs.unmanaged import UnmanagedServices, standing_unmanaged


def listing_of(
    kernel: Kernel,
    known: KnownTable,
    ours: Collection[ServiceKey],
    unmanaged: UnmanagedServices,
    reader: Reader,
) -> Slices[None]:
    """How an audit begins: with who else is there. `ours`, a live view, are read in their turn."""
    left = unmanaged.lately_left
    left.clear()
    others, foreign = yield from standing_unmanaged(kernel, known, ours, left)
    unmanaged.audited(others, foreign)
    for number, key in enumerate(tuple(ours), 1):
        if key in ours:
            reader.audit(key)
        if number % 100 == 0:
            yield 10


class Audits:
    """One at a time. `now()` is Unix seconds; `told` hears what others have done to a service, in
    words; `others_follow`: without audits drift is over when it is repaired."""

    def __init__(
        self,
        now: Callable[[], float],
        told: Callable[[ServiceKey, str], None],
        *,
        others_follow: bool,
    ) -> None:
        self._now = now
        self._told = told
        self._others_follow = others_follow
        self._drift = DriftBook()
        self._listing: SlicedWork[None] | None = None
        self._total = 0
        self._finished_at: float | None = None

    def reconfigure(self, *, others_follow: bool) -> None:
        """Whether there will be other audits."""
        self._others_follow = others_follow

    @property
    def under_way(self) -> bool:
        return self._listing is not None

    def begin(self, listing: Slices[None]) -> None:
        """`listing` is what comes before the reading of the single services."""
        self._listing = SlicedWork(listing)

    def drop(self) -> None:
        """It is not to be finished."""
        self._listing = None

    def go_on(self, most: int) -> int:
        """Go on with the listing; returns how much was done. KernelError: the audit is over."""
        if self._listing is None or self._listing.done:
            return 0
        listing, self._listing = self._listing, None
        spent = listing.go_on(most)
        self._listing = listing
        return spent

    def finish(self, *, reading: bool) -> None:
        """The audit is over, unless services are still to be read."""
        if self._listing is not None and self._listing.done and not reading:
            self._listing = None
            self._total += 1
            self._finished_at = self._now()

    def found(self, key: ServiceKey, drift: tuple[Drift, ...]) -> str:
        """This is what others have done to a service; returns it in words."""
        self._drift.note(key, drift, self._now())
        words = self._drift.words(key)
        self._told(key, words)
        return words

    def repaired(self, key: ServiceKey, changes: int) -> None:
        """The service stands as it should, after so many changes."""
        if key in self._drift:
            self._drift.repaired(key, changes)
            if not self._others_follow:
                self._drift.over(key)

    def over(self, key: ServiceKey) -> None:
        """The service was found as it was left, or is no longer ours."""
        self._drift.over(key)

    def snapshot(self) -> AuditSnapshot:
        drift = self._drift
        return AuditSnapshot(
            self._total, self._finished_at, drift.open, drift.totals, drift.repairs_total
        )
