"""Tells that nothing has happened to a file, so that it need not be looked at.

A path leads to another file as soon as one of the names on it does: a link is exchanged, a
directory moved, the file replaced. So each directory that is looked into on the way is watched for
that name, links followed, and the file itself for what is written to it. What comes is read when
somebody asks, and wakes nobody.

Not all can be seen so: what is mounted over a directory, what is written through a mapping, what
another host does on a file system of the network. Therefore a file is looked at every LOOK_S in any
case, and each time one that is not on a disk of this host, or that cannot be watched.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from twisted.logger import Logger

from pybal.errors import describe_os_error
from pybal.runtime.threads import OwnThread, close_in
from pybal.sources.inotify import CONTENT, NAMES, Event, Inotify

LOOK_S = 10.0
"""A file that seems to be as it was is looked at so often."""

_SAME_MOMENT_S = 0.01
_MOST_READINGS = 8
_MOST_STEPS = 128

_log = Logger(namespace="pool-files")


class FileWatches:
    """All watches of a process. `clock` provides IReactorTime; `is_local` tells whether a path can
    be followed without waiting for another host. With the last watch inotify is closed, in
    `own_thread`: the kernel takes some milliseconds for that, and more than a hundred when it is
    busy."""

    def __init__(
        self,
        clock: Any,
        is_local: Callable[[Path], bool],
        own_thread: OwnThread,
        new_inotify: Callable[[], Inotify] = Inotify,
    ) -> None:
        self.clock = clock
        self.is_local = is_local
        self._own_thread = own_thread
        self._new_inotify = new_inotify
        self._inotify: Inotify | None = None
        self._watched: dict[int, dict[bytes, set[FileWatch]]] = {}
        """By the watch's number and a name in that directory; an empty one: the file itself."""
        self._read_at_s = float("-inf")
        self._has_complained = False

    def of(self, path: Path) -> FileWatch:
        """The watch of an absolute path."""
        return FileWatch(self, path)

    def read_events(self, now_s: float) -> None:
        """Tell those whom it concerns what has happened by now."""
        if self._inotify is None or now_s - self._read_at_s < _SAME_MOMENT_S:
            return
        self._read_at_s = now_s
        for _ in range(_MOST_READINGS):
            events = self._inotify.read()
            if not events:
                return
            for event in events:
                self._tell(event)
        # More goes on there than is worth reading.
        self._all_changed()

    def _tell(self, event: Event) -> None:
        if event.watch is None:
            self._all_changed()
        elif (by_name := self._watched.get(event.watch)) is not None:
            for name in (event.name,) if event.name else tuple(by_name):
                for watch in by_name.get(name, ()):
                    watch.changed()
            if event.is_last:
                del self._watched[event.watch]

    def add(self, watch: FileWatch, path: str, name: bytes) -> tuple[int, bytes]:
        """Watch a name in a directory, or a file without one; OSError if that cannot be."""
        if self._inotify is None:
            self._inotify = self._new_inotify()
        number = self._inotify.add(path, NAMES if name else CONTENT)
        self._watched.setdefault(number, defaultdict(set))[name].add(watch)
        return number, name

    def remove(self, watch: FileWatch, number: int, name: bytes) -> None:
        """No longer."""
        by_name = self._watched.get(number)
        if by_name is None:
            return
        by_name[name].discard(watch)
        if not by_name[name]:
            del by_name[name]
        if not by_name and self._inotify is not None:
            del self._watched[number]
            self._inotify.remove(number)
        if not self._watched and self._inotify is not None:
            inotify, self._inotify = self._inotify, None
            close_in(self._own_thread, inotify.close)

    def complain(self, path: Path, error: OSError) -> None:
        """Say once that a file cannot be watched."""
        if not self._has_complained:
            self._has_complained = True
            _log.info(
                "{path} cannot be watched: {why}; it is looked at every second",
                path=str(path),
                why=describe_os_error(error),
            )

    def _all_changed(self) -> None:
        for by_name in self._watched.values():
            for watches in by_name.values():
                for watch in watches:
                    watch.changed()


class FileWatch:
    """Of one file."""

    def __init__(self, watches: FileWatches, path: Path) -> None:
        self._watches = watches
        self._path = path
        self._places: set[tuple[int, bytes]] = set()
        self._is_whole = False
        """Whether all of the way is watched, as it was when that began."""
        self._looked_at_s = float("-inf")
        self._blind_until_s = float("-inf")

    def changed(self) -> None:
        """Something has happened on the way, or to the file."""
        self._is_whole = False

    def is_quiet(self) -> bool:
        """Whether, for sure, nothing has happened to it since begin()."""
        if not self._is_whole or not self._watches.is_local(self._path):
            return False
        now_s = float(self._watches.clock.seconds())
        self._watches.read_events(now_s)
        return self._is_whole and now_s - self._looked_at_s < LOOK_S

    def begin(self, *, anew: bool = False) -> None:
        """It is about to be looked at: from now on. `anew`: it has changed, whether that was seen
        or not."""
        now_s = self._looked_at_s = self._watches.clock.seconds()
        if self._is_whole and not anew:
            return
        self._is_whole = False
        if now_s < self._blind_until_s or not self._watches.is_local(self._path):
            return
        places: set[tuple[int, bytes]] = set()
        try:
            for directory, name in way(str(self._path), os.readlink):
                places.add(self._watches.add(self, directory, os.fsencode(name)))
            self._is_whole = True
        except OSError as error:
            # One that is not there is looked at each time, and watched once it is.
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self._blind_until_s = now_s + LOOK_S
                self._watches.complain(self._path, error)
        self._keep(places)

    def stop(self) -> None:
        """Nobody will ask any more. Idempotent."""
        self._is_whole = False
        self._keep(set())

    def _keep(self, places: set[tuple[int, bytes]]) -> None:
        former, self._places = self._places, places
        for number, name in former - places:
            self._watches.remove(self, number, name)


def way(path: str, read_link: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The directories on the way to what an absolute path leads to, each with the name that is
    looked up in it, and at last the file itself, without a name. A link is read only once the
    caller has had its place and asks for the next one. OSError where links go round."""
    done, left = PurePosixPath("/"), list(PurePosixPath(path).parts[1:])
    for _ in range(_MOST_STEPS):
        if not left:
            yield str(done), ""
            return
        part = left.pop(0)
        if part == "..":
            done = done.parent
            continue
        yield str(done), part
        try:
            target = PurePosixPath(read_link(str(done / part)))
        except OSError:
            done /= part
            continue
        if target.is_absolute():
            done = PurePosixPath("/")
        left[:0] = [each for each in target.parts if each != "/"]
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
