"""The base of all sources that are read again and again: read, compare, publish, wait.

A new source of this kind is a Reader, and a case in `create.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pybal.config.pool_list import PoolList
from pybal.errors import HTTPFetchError, SourceError, said_by
from pybal.runtime.stopping import end_each
from pybal.sources.last_good_list import LastGoodList
from pybal.sources.poller import Pauses, Poller
from pybal.sources.ports import SourcePorts
from pybal.sources.source import Source

Early = Callable[[PoolList], None]
"""Takes what a reading that is not over has found for sure."""


class Reader(Protocol):
    """Reads one pool list."""

    async def read(self, early: Early) -> PoolList | None:
        """The list; None if it is as it was when it was last returned. Raises SourceError or
        HTTPFetchError for what is no list; can be cancelled."""

    def stop(self) -> None:
        """It is not asked again. Idempotent."""


class PollingSource(Source):
    """The Source of a Reader."""

    def __init__(
        self,
        reader: Reader,
        pauses: Pauses,
        ports: SourcePorts,
        log: Logger,
        last_good: LastGoodList,
    ) -> None:
        super().__init__(last_good)
        self._reader = reader
        self._log = log
        self._now = ports.now
        self._poller = Poller(ports.reactor, ports.random, log, self._poll, pauses)

    def start(self) -> None:
        """See Source. The first reading has begun when this returns."""
        super().start()
        self._poller.start()

    def stop(self) -> None:
        """See Source. A reading that is under way is cancelled."""
        end_each(self._log, super().stop, self._poller.stop, self._reader.stop)

    async def _poll(self) -> bool:
        began_at = self._now()

        def early(found: PoolList) -> None:
            if found.part or found.damage:
                self._last_good.accept_part(found)
            else:
                self._last_good.accept(found, began_at)

        try:
            found = await self._reader.read(early)
            if found is None:
                self._last_good.unchanged(began_at)
            else:
                self._last_good.accept(found, began_at)
        except (HTTPFetchError, SourceError) as error:
            self._last_good.reject(str(error))
            return False
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a document that upsets us is no list
            self._last_good.reject(f"unexpected {said_by(error)}")
            return False
        return True
