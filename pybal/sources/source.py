"""What every pool source is."""

from __future__ import annotations

from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceSnapshot
from pybal.sources.last_good_list import LastGoodList


class Source:
    """Observes where a service's pool list comes from and publishes each changed list. What it
    finds goes to `last_good`, which decides what becomes of it.

    A list that cannot be had, or that holds no servers, is never published: the last good one
    stays in force. A damaged list takes no server out. Nothing is published after stop().
    """

    def __init__(self, last_good: LastGoodList) -> None:
        self._last_good = last_good

    def start(self) -> None:
        """Begin to observe: one that reads begins to after this."""
        self._last_good.start()

    def stop(self) -> None:
        """Idempotent. Reading ends after this."""
        self._last_good.stop()

    def follow(
        self, servers: tuple[ServerSpec, ...], good_at: float | None, *, falls_back: bool
    ) -> None:
        """Before start(): these are in force already, from a source in whose place this one comes,
        which gave them at `good_at`. As long as its list is not whole, they stay. If it
        `falls_back` on them they are also its first list while there is no other; what was ever
        kept on disk is not."""
        self._last_good.follow(servers, good_at, falls_back=falls_back)

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        """What of the published list is in force, and what lists have taken away lately: both are
        to be kept for the next start."""
        self._last_good.in_force(servers, past)

    def snapshot(self) -> SourceSnapshot:
        """As it stands."""
        return self._last_good.snapshot()
