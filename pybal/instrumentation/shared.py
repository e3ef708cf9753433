"""Large documents: made in pieces between the reactor's other work, once for all who wait."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator

from twisted.internet.defer import Deferred

from pybal.runtime.shared_work import SharedWork
from pybal.runtime.time_slices import TimeSlices

Pieces = tuple[bytes, ...]
Begin = Callable[[], Awaitable[Iterable[bytes]]]
"""Gathers what a document shows; it is rendered by going through what that gives."""

_PIECE_BYTES = 32 * 1024
"""Smaller ones are put together, larger ones stay: a client is sent one at a time."""
_GZIP = 16 + zlib.MAX_WBITS
_FASTEST = 1
"""Higher levels take several times as long, for a tenth less."""


class SharedDocuments:
    """Renders documents.

    The largest configurations have 200,000 series: a quarter of a second's work, which is done a
    few milliseconds a turn. Not in a thread, for which the reactor would have to wait at each of
    its system calls. However many ask, there is one rendering at a time of each document; who
    asks while it runs gets its outcome.
    """

    def __init__(self, time_slices: TimeSlices) -> None:
        self._time_slices = time_slices
        self._under_way: SharedWork[Pieces] = SharedWork()

    def get(self, key: Hashable, begin: Begin) -> Deferred[Pieces]:
        """The document of that key: what `begin` gives is gone through with pauses. Fails with
        whatever goes wrong in making it."""
        return self._under_way.get(key, lambda: Deferred.fromCoroutine(self._render(begin)))

    def compressed(self, pieces: Pieces) -> Deferred[Pieces]:
        """A document as gzip has it; the very same one is compressed once."""

        async def begin() -> Iterable[bytes]:
            return _gzip(pieces)

        return self.get(("gzip", id(pieces)), begin)

    async def _render(self, begin: Begin) -> Pieces:
        pieces: list[bytes] = []
        gathered: list[bytes] = []
        size = 0
        for piece in await begin():
            gathered.append(piece)
            size += len(piece)
            if size >= _PIECE_BYTES:
                pieces.append(b"".join(gathered))
                gathered, size = [], 0
            await self._time_slices.pause()
        return (*pieces, b"".join(gathered)) if size else tuple(pieces)


def _gzip(pieces: Pieces) -> Iterator[bytes]:
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        for start in range(0, len(piece), _PIECE_BYTES):
            yield compressor.compress(piece[start : start + _PIECE_BYTES])
    yield compressor.flush()
