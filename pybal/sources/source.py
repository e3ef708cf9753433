"""What every pool source has in common: it reports to a LastGoodList."""

from __future__ import annotations

from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceSnapshot
from pybal.sources.last_good_list import LastGoodList


class ListSource:
    """The base of every Source. What it finds goes to `last_good`, which decides what becomes of
    it."""

    def __init__(self, last_good: LastGoodList) -> None:
        self._last_good = last_good

    def start(self) -> None:
        """See Source. Reading begins after this."""
        self._last_good.start()

    def stop(self) -> None:
        """See Source. Reading ends after this."""
        self._last_good.stop()

    def follow(self, servers: tuple[ServerSpec, ...], *, falls_back: bool) -> None:
        """See Source."""
        self._last_good.follow(servers, falls_back=falls_back)

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        """See Source."""
        self._last_good.in_force(servers, past)

    def snapshot(self) -> SourceSnapshot:
        """See Source."""
        return self._last_good.snapshot()
