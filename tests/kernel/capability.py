"""Doing without a capability for a while, in this thread."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_CAP_NET_ADMIN = 12
_VERSION_3 = 0x20080522
_U32 = ctypes.c_uint32


def _call(name: str, data: ctypes.Array[ctypes.c_uint32]) -> None:
    """capget or capset (capset(2)) for the calling thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)((_U32 * 2)(_VERSION_3, 0), data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def without_net_admin() -> Iterator[None]:
    """CAP_NET_ADMIN stays permitted, so that it can come back, but has no effect."""
    data = (_U32 * 6)()  # effective, permitted, inheritable, and the upper halves of these
    _call("capget", data)
    before = data[0]
    assert before & 1 << _CAP_NET_ADMIN
    data[0] = before & ~(1 << _CAP_NET_ADMIN)
    _call("capset", data)
    try:
        yield
    finally:
        data[0] = before
        _call("capset", data)
