"""A site that is listened for before it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

if TYPE_CHECKING:
    from pybal.instrumentation.channel import BoundedSite

_log = Logger(namespace="instrumentation")


class LateSite:
    """What is answered may still be being loaded (`daemon/on_demand.py`). Who connects by then
    waits in the kernel's queue."""

    def __init__(self, site: BoundedSite | None = None) -> None:
        self._site = site
        self._waiting: list[Callable[[BoundedSite], None]] = []

    def when_there(self, begin: Callable[[BoundedSite], None]) -> None:
        """Have it told of the site, now or later."""
        if self._site is None:
            self._waiting.append(begin)
        else:
            begin(self._site)

    def serve(self, site: BoundedSite) -> None:
        """It is there."""
        self._site = site
        waiting, self._waiting = self._waiting, []
        for begin in waiting:
            try:
                begin(site)
            except Exception:  # noqa: BLE001 - who connects at another address has its answers
                _log.failure("Nothing is answered at one of the addresses")

    async def abort_all(self) -> None:
        """Abort every connection; returns when the last is gone."""
        if self._site is not None:
            await self._site.connections.abort_all()
