"""The kernel's inotify(7), by its C functions: Python has no names for them. Nothing waits here.

Not twisted.internet.inotify, which drops the kernel's word that events were lost (IN_Q_OVERFLOW),
closes itself once a watched directory is deleted, and wakes the reactor for each event.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

# Of sys/inotify.h.
_IN_MODIFY = 0x2
_IN_ATTRIB = 0x4
_IN_CLOSE_WRITE = 0x8
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x1000000
_IN_MASK_ADD = 0x20000000

NAMES = (
    _IN_ATTRIB | _IN_CREATE | _IN_DELETE | _IN_MOVED_FROM | _IN_MOVED_TO
    | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR | _IN_MASK_ADD
)  # fmt: skip
"""What befalls the names in a directory, and itself."""
CONTENT = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_ATTRIB | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_MASK_ADD
"""What befalls a file, by whatever name."""

_HEAD = struct.Struct("iIII")
_READ_BYTES = 16384


class Event(NamedTuple):
    """`watch` None: events were lost. `name` is empty if it is about what is watched itself;
    `is_last`: no more will come of that watch."""

    watch: int | None
    name: bytes
    is_last: bool


class Inotify:
    """One instance. OSError if there is none to be had, or no further watch."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._checked(
            self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1"
        )

    def add(self, path: str, mask: int) -> int:
        """Watch what the path leads to: the number of its watch, the same for the same file."""
        where = os.fsencode(path)
        return self._checked(self._libc.inotify_add_watch(self._descriptor, where, mask), path)

    def remove(self, watch: int) -> None:
        """End a watch, if it has not ended."""
        self._libc.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> list[Event]:
        """Some of what has happened since; nothing if that is all."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return []
        return list(_events(data))

    def close(self) -> None:
        """End all watches. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _checked(self, result: int, what: str) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), what)
        return result


def _events(data: bytes) -> Iterator[Event]:
    at = 0
    while at < len(data):
        watch, mask, _, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = data[at : at + size].rstrip(b"\0")
        at += size
        yield Event(None if mask & _IN_Q_OVERFLOW else watch, name, bool(mask & _IN_IGNORED))
