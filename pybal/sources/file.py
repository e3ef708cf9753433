"""`file:///path`: a pool list in a file, looked at every second.

A file may be seen while it is being written. A list read at first sight of a change is
therefore taken only if it is complete (all of it parses and, in the text format, its last line
has ended) and drops no server that is in force. Anything else waits until the file has stood
still from one look to the next, or was written anew with the very same complete content; then it
counts as it is. So a change of weights, of `enabled`,
or a new server is in force within a second, a removal within two.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from twisted.logger import Logger

from pybal.config.poollist import PoolList
from pybal.errors import SourceError
from pybal.model import SourceSnapshot
from pybal.sources.base import MAX_LIST_BYTES, SourcePorts, parse_bytes
from pybal.sources.lastgood import LastGood
from pybal.sources.poller import Poller
from pybal.state.files import (
    FileContent,
    Signature,
    file_signature,
    read_regular_file,
)

_INTERVAL_S = 1.0


class FilePool:
    """The Source of a file; JSON if its name ends in `.json`, else one dict literal a line."""

    def __init__(self, path: Path, ports: SourcePorts, log: Logger, last_good: LastGood) -> None:
        self._path = path
        self._json_format = path.name.endswith(".json")
        self._last_good = last_good
        self._seen: tuple[Signature, bytes] | None = None  # with the digest of the content
        self._settled: Signature | None = None
        self._settled_good = False
        self._poller = Poller(
            ports.reactor,
            ports.random,
            log,
            self._poll,
            interval_s=_INTERVAL_S,
            retry_s=_INTERVAL_S,
            max_retry_s=_INTERVAL_S,
        )

    def start(self) -> None:
        """See Source. The file is read at once."""
        self._last_good.start()
        self._poller.start()

    def stop(self) -> None:
        """See Source."""
        self._poller.stop()
        self._last_good.stop()

    def snapshot(self) -> SourceSnapshot:
        """See Source."""
        return self._last_good.snapshot()

    async def _poll(self) -> bool:
        try:
            self._look()
        except OSError as error:
            self._unreadable(f"{self._path} cannot be read: {error.strerror}")
        except SourceError as error:
            self._unreadable(str(error))
        return True

    def _unreadable(self, why: str) -> None:
        # Whatever can be read next time is news, even if it is the same file.
        self._seen = self._settled = None
        self._last_good.reject(why)

    def _look(self) -> None:
        if file_signature(self._path) == self._settled:
            if self._settled_good:
                self._last_good.unchanged()
            return
        content = read_regular_file(self._path, MAX_LIST_BYTES)
        before, self._seen = self._seen, (content.signature, sha256(content.data).digest())
        if before == self._seen:
            self._settle(content)
            return
        pool = self._complete(content.data)
        if pool is None:
            return
        if before is not None and before[1] == self._seen[1]:
            # It is written again and again, and always the same.
            self._settle(content)
        else:
            self._take_if_safe(pool)

    def _settle(self, content: FileContent) -> None:
        """The file has stood still: what it holds is what it says, good or bad."""
        self._settled = content.signature
        self._settled_good = False
        try:
            pool = parse_bytes(content.data, json_format=self._json_format)
            self._last_good.accept(pool.servers, [str(problem) for problem in pool.problems])
            self._settled_good = True
        except SourceError as error:
            self._last_good.reject(str(error))

    def _complete(self, data: bytes) -> PoolList | None:
        """The list, unless it may be the beginning of one that is being written."""
        if not self._json_format and not data.endswith(b"\n"):
            return None
        try:
            return parse_bytes(data, json_format=self._json_format)
        except SourceError:
            return None

    def _take_if_safe(self, pool: PoolList) -> None:
        """The file has just changed, perhaps only in part."""
        in_force = {server.host for server in self._last_good.servers}
        found = {server.host for server in pool.servers}
        if found and not pool.problems and in_force <= found:
            self._last_good.accept(pool.servers)
