"""What becomes of work that this host has no thread for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from twisted.python.threadpool import ThreadPool

from pybal.runtime.threads import NoThreadError, OwnThread, close_in, in_pool, own_thread
from tests.fakes.deferreds import result_of

NONE_LEFT = "can't start new thread"


def no_more(*_: object, **__: object) -> threading.Thread:
    """As threading does."""
    raise RuntimeError(NONE_LEFT)


def test_a_pool_that_gets_no_thread_fails_and_goes_on_later() -> None:
    class Reactor:
        def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
            came.set()

    came = threading.Event()
    pool: Any = ThreadPool(0, 1)
    made, pool.threadFactory = pool.threadFactory, no_more
    pool.start()
    try:
        with pytest.raises(NoThreadError, match=NONE_LEFT):
            result_of(in_pool(Reactor(), pool, lambda: 1))
        pool.threadFactory = made
        in_pool(Reactor(), pool, lambda: 1)
        assert came.wait(30)
    finally:
        pool.stop()


def test_what_closes_is_closed_here_where_no_thread_is_left() -> None:
    def full(_: Callable[[], None]) -> None:
        raise NoThreadError(NONE_LEFT)

    def closed_in(thread: OwnThread) -> int:
        where: Queue[int] = Queue()
        close_in(thread, lambda: where.put(threading.get_ident()))
        return where.get(timeout=30)

    assert closed_in(full) == threading.get_ident()
    assert closed_in(own_thread) != threading.get_ident()
