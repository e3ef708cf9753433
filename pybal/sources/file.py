"""`file:///path`: a pool list in a file, looked at every second unless it is known that nothing has
happened to it (file_watches.py).

Once a change is seen the file is read several times a second, until it is complete: see
file_completeness.py. So a change of weights, of `enabled`, or a new server is in force within a
second; a removal, too, if the file is JSON or came by a rename, else within two.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from twisted.internet.task import deferLater

from pybal.config.pool_list import MAX_LIST_BYTES, PoolList
from pybal.errors import SourceError
from pybal.runtime.file_stamp import FileStamp
from pybal.sources.file_completeness import MOST_S, FileReadings
from pybal.sources.parsing import parsed
from pybal.sources.poller import Pauses
from pybal.sources.polling_source import Early
from pybal.sources.ports import SourcePorts
from pybal.state.files import FileContent, read_regular_file, regular_file_stamp

FILE_PAUSES = Pauses(1.0, 1.0, 1.0)
FILE_OVERDUE_S = 30.0

_LOOK_S = 0.19
_BYTES_PER_S = 1_000_000
"""Readings of a larger file are rarer, since each reads it anew."""


class FileReader:
    """The Reader of a file; JSON if its name ends in `.json`, else one dict literal a line."""

    def __init__(self, path: Path, ports: SourcePorts) -> None:
        self._path = path
        self._json_format = path.name.endswith(".json")
        self._clock = ports.reactor
        self._now = ports.now
        self._access = ports.files
        self._ports = ports
        self._time_slices = ports.time_slices
        self._watch = ports.watches.of(path)
        self._seen: FileStamp | None = None
        self._settled: FileStamp | None = None
        self._refused = ""

    async def read(self, early: Early) -> PoolList | None:
        """See Reader."""
        if self._settled is not None and self._watch.is_quiet():
            self._raise_refusal()
            return None
        # Nothing is settled by a look that fails: the next one comes in any case.
        settled, self._settled = self._settled, None
        self._watch.begin()
        if await self._stamp() == settled:
            self._settled = settled
            self._raise_refusal()
            return None
        self._watch.begin(anew=True)
        await self._time_slices.pause()
        asked_at_s = self._clock.seconds()
        readings = FileReadings(self._seen, asked_at_s, json_format=self._json_format)
        content = await self._content()
        while True:
            changed_ns = await self._access.run(self._path, self._directory_changed_ns)
            at_s, now = self._clock.seconds(), self._now()
            add = partial(readings.add, content, changed_ns, at_s, now)
            found = await parsed(len(content.data), add, self._ports)
            self._seen = content.stamp
            if readings.stood_still(asked_at_s):
                return await self._settle(content, readings)
            if found is not None:
                early(found)
            if readings.took_too_long(asked_at_s):
                break
            await deferLater(self._clock, _LOOK_S + len(content.data) / _BYTES_PER_S)
            await self._time_slices.pause()
            asked_at_s = self._clock.seconds()
            content = await self._next_content()
        if found is not None and not (found.part or found.damage):
            return found
        raise SourceError(f"{self._path} is written to all the time, for {MOST_S:.0f} s by now")

    def stop(self) -> None:
        """See Reader."""
        self._watch.stop()

    def _raise_refusal(self) -> None:
        if self._refused:
            raise SourceError(self._refused)

    async def _settle(self, content: FileContent, readings: FileReadings) -> PoolList:
        """The file has stood still: what it holds is what it says, good or bad."""
        self._settled = content.stamp
        self._refused = ""
        try:
            return await parsed(len(content.data), readings.content, self._ports)
        except SourceError as error:
            self._refused = str(error)
            raise

    async def _next_content(self) -> FileContent:
        """It may be away for a moment while it is replaced."""
        try:
            return await self._content()
        except SourceError:
            await deferLater(self._clock, _LOOK_S)
            return await self._content()

    async def _content(self) -> FileContent:
        try:
            return await self._access.run(
                self._path, lambda: read_regular_file(self._path, MAX_LIST_BYTES)
            )
        except OSError as error:
            raise self._unreadable(error) from None

    def _directory_changed_ns(self) -> int:
        try:
            return self._path.parent.stat().st_mtime_ns
        except OSError:
            return 0

    async def _stamp(self) -> FileStamp:
        try:
            return await self._access.run(self._path, lambda: regular_file_stamp(self._path))
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(f"{self._path} cannot be read: {error.strerror}")
