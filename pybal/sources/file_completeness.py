"""Is a pool file complete, or is somebody still writing it? Told from several readings. Pure.

A file may be seen while it is being written, and a text cut off between two lines is a text. What
is in it counts at once; that a server is *not* in it counts only when the file is whole. It is if

- it is JSON, which cannot be cut off without showing it;
- it came by a rename: another inode that has changed, by that, after its content was written;
- it has stood still for STILL_S, or for FRESH_STILL_S if it is another inode that was not written
  to after it came into its directory; or it is written again and again for so long, and the server
  is in none of the contents of that time. A content that only grows is still being written, and one
  that ends amid an entry says nothing of what is not in it.
"""

from __future__ import annotations

from typing import NamedTuple

from pybal.config.pool_list import PoolList, parse_pool_bytes
from pybal.errors import SourceError
from pybal.model import ServerSpec
from pybal.net.addresses import same_host
from pybal.runtime.file_stamp import FileStamp
from pybal.state.files import FileContent

STILL_S = 0.95
FRESH_STILL_S = 0.35
MOST_S = 10.0
"""A file that is never seen whole for so long is an error."""

_FEWEST_READINGS = 3


class _Reading(NamedTuple):
    """What was read; `end`: what a last line says that has no end yet. None: it is cut off."""

    at_s: float
    pool: PoolList
    end: tuple[ServerSpec, ...] | None


class FileReadings:
    """Readings of one file, whose stamp was `before` (None: it was never seen)."""

    def __init__(self, before: FileStamp | None, now_s: float, *, json_format: bool) -> None:
        self._before = before
        self._first_at_s = now_s
        self._json_format = json_format
        self._last: FileContent | None = None
        self._directory_changed_ns = 0
        self._still_since_s = now_s
        self._usable: list[_Reading] = []
        self._usable_since_s = now_s
        self._text: bytes | None = None
        """What was parsed last: a long list takes its time, and is read again and again."""
        self._outcome: PoolList | SourceError = SourceError("it was not read")
        """Of that."""

    def add(
        self, content: FileContent, directory_changed_ns: int, now_s: float, now: float
    ) -> PoolList | None:
        """One more reading, which ended at `now_s`, in Unix seconds `now`. What is known for sure:
        a `part` or, if the file is whole, all of it; None if that is nothing."""
        last, self._last = self._last, content
        if last is None:
            self._first_at_s = now_s
        self._directory_changed_ns = directory_changed_ns
        if last is None or last.data != content.data:
            self._still_since_s = now_s
            if last is not None and content.data.startswith(last.data):
                self._usable.clear()
        whole = self._json_format or self._came_whole(content, now)
        end = len(content.data) if whole else content.data.rfind(b"\n") + 1
        if content.data[:end] != self._text:
            self._text = content.data[:end]
            self._outcome = self._parsed(self._text)
        outcome = self._outcome
        pool = None if isinstance(outcome, SourceError) else outcome
        if pool is None:
            self._usable.clear()
        elif whole and not pool.damage:
            return pool
        else:
            self._remember(_Reading(now_s, pool, self._servers_of(content.data[end:])))
        return self._together(now_s) if self._usable else None

    def stood_still(self, asked_at_s: float) -> bool:
        """Whether the content is what it says, good or bad. The last reading began at `asked_at_s`:
        a slow disk, or a long list to be parsed, is no sign that nobody writes."""
        last = self._last
        untouched = last is not None and last.stamp.modified_ns <= self._directory_changed_ns
        still_s = FRESH_STILL_S if self._is_fresh() and untouched else STILL_S
        return asked_at_s - self._still_since_s >= still_s

    def content(self) -> PoolList:
        """What the last one says as it stands. Raises SourceError. Long, if `add` has left out the
        end."""
        data = b"" if self._last is None else self._last.data
        outcome = self._outcome if data == self._text else self._parsed(data)
        if isinstance(outcome, SourceError):
            raise SourceError(str(outcome))
        return outcome

    def took_too_long(self, asked_at_s: float) -> bool:
        """Whether further readings than the last, begun at `asked_at_s`, are in vain."""
        return asked_at_s - self._first_at_s >= MOST_S

    def _is_fresh(self) -> bool:
        last, before = self._last, self._before
        if last is None or before is None:
            return False
        return (last.stamp.device, last.stamp.inode) != (before.device, before.inode)

    def _came_whole(self, content: FileContent, now: float) -> bool:
        """Whether nobody can still be writing to it, as far as its dates tell."""
        stamp = content.stamp
        if self._is_fresh() and stamp.changed_ns > stamp.modified_ns:
            return True
        if self._before is not None:
            return False
        # One that was there before us; if its date is to come, a clock was wrong.
        age_s = now - stamp.changed_ns / 1e9
        return age_s >= STILL_S or (age_s < 0 and content.data.endswith(b"\n"))

    def _parsed(self, data: bytes) -> PoolList | SourceError:
        try:
            return parse_pool_bytes(data, json_format=self._json_format)
        except SourceError as error:
            # Without its traceback, which leads here, and so to itself and all that was read; for
            # that reason what content() raises is another one again.
            return SourceError(str(error))

    def _servers_of(self, line: bytes) -> tuple[ServerSpec, ...] | None:
        """See _Reading."""
        if not line.strip() or line.lstrip().startswith(b"#"):
            return ()
        found = self._parsed(line)
        return None if isinstance(found, SourceError) or found.damage else found.servers

    def _remember(self, reading: _Reading) -> None:
        if not self._usable:
            self._usable_since_s = reading.at_s
        recent = [each for each in self._usable if reading.at_s - each.at_s < STILL_S]
        self._usable = [*recent, reading]

    def _together(self, now_s: float) -> PoolList:
        """Each server as it was seen last, and all of them if that has gone on for long enough."""
        servers: dict[str, ServerSpec] = {}
        whole = (
            now_s - self._usable_since_s >= STILL_S
            and len(self._usable) >= _FEWEST_READINGS
            and not any(each.pool.damage or each.end is None for each in self._usable)
        )
        for reading in reversed(self._usable):
            end = reading.end if whole and reading.end else ()
            for server in (*reading.pool.servers, *end):
                servers.setdefault(same_host(server.host), server)
        return self._usable[-1].pool._replace(servers=tuple(servers.values()), part=not whole)
