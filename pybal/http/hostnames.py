"""The hosts of pool sources' URLs, looked up by the C library in threads of their own.

A look-up takes half a minute while DNS is away. In the reactor's own threads it keeps writes to the
disk waiting, and the process from ending for as long as any is under way.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet._resolver import GAIResolver
from twisted.python.threadpool import ThreadPool

_AT_ONCE = 10


class _Threads(ThreadPool):
    # Nothing waits for them at the end.
    threadFactory: Any = partial(threading.Thread, daemon=True)  # noqa: N815 - Twisted's name


def look_up_in_own_threads(
    reactor: Any, getaddrinfo: Callable[..., Any] = socket.getaddrinfo
) -> None:
    """From now on the reactor (IReactorPluggableNameResolver) resolves names so."""
    threads = _Threads(0, _AT_ONCE, "names")
    threads.start()
    reactor.installNameResolver(GAIResolver(reactor, lambda: threads, getaddrinfo))
