"""What becomes of work that this host has no thread for."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Queue
from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.python.threadpool import ThreadPool

from pybal.runtime.threads import (
    NoThreadError,
    OwnThread,
    close_in,
    in_own_thread,
    in_pool,
    own_thread,
)
from tests.fakes.deferreds import error_of, result_of

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


def test_a_pool_that_has_not_been_started_yet_keeps_no_work_without_a_thread() -> None:
    """The reactor starts its own once it runs; what had come before waited for ever if there was
    just then no thread for it, and nobody was told."""
    pool: Any = ThreadPool(0, 1)
    pool.threadFactory = no_more
    try:
        with pytest.raises(NoThreadError, match=NONE_LEFT):
            result_of(in_pool(Calls(), pool, lambda: 1))
        pool.start()  # as the reactor does then
        assert pool._team.statistics().backloggedWorkCount == 0
    finally:
        pool.threads = []
        pool.stop()


def test_a_process_that_ends_before_its_reactor_runs_waits_for_no_thread() -> None:
    """A start that fails, say, after something was to be written."""
    ending = """
import sys
from twisted.internet import reactor
from pybal.runtime.threads import in_pool
in_pool(reactor, reactor.getThreadPool(), int)
sys.exit(70)
"""
    assert subprocess.run([sys.executable, "-c", ending], timeout=60, check=False).returncode == 70


def test_what_closes_is_closed_here_where_no_thread_is_left() -> None:
    def full(_: Callable[[], None]) -> None:
        raise NoThreadError(NONE_LEFT)

    def closed_in(thread: OwnThread) -> int:
        where: Queue[int] = Queue()
        close_in(thread, lambda: where.put(threading.get_ident()))
        return where.get(timeout=30)

    assert closed_in(full) == threading.get_ident()
    assert closed_in(own_thread) != threading.get_ident()


class Calls:
    """A reactor, and the thread of its own that may hang."""

    def __init__(self) -> None:
        self.threads: list[Callable[[], None]] = []
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        self.calls.append(partial(function, *arguments))

    def own_thread(self, function: Callable[[], None]) -> None:
        self.threads.append(function)

    def run(self) -> None:
        self.threads.pop()()
        self.calls.pop()()


def test_what_may_hang_is_told_in_the_reactors_thread_if_anybody_waits_still() -> None:
    reactor = Calls()
    found = in_own_thread(reactor, reactor.own_thread, lambda: 7)
    reactor.threads.pop()()
    assert not found.called
    reactor.calls.pop()()
    assert result_of(found) == 7
    broken = in_own_thread(reactor, reactor.own_thread, lambda: 7 // 0)
    reactor.run()
    with pytest.raises(ZeroDivisionError):
        result_of(broken)
    gone = in_own_thread(reactor, reactor.own_thread, lambda: 7)
    gone.cancel()
    reactor.run()
    with pytest.raises(CancelledError):
        result_of(gone)


def test_what_may_hang_fails_where_no_thread_is_left() -> None:
    def full(_: Callable[[], None]) -> None:
        raise NoThreadError(NONE_LEFT)

    with pytest.raises(NoThreadError, match=NONE_LEFT):
        result_of(in_own_thread(Calls(), full, lambda: 7))


def test_a_mistake_that_would_end_the_process_is_told_to_whoever_waits() -> None:
    """As a plug-in's sys.exit() is: who waits would wait for ever."""
    reactor = Calls()
    exiting = in_own_thread(reactor, reactor.own_thread, sys.exit)
    with suppress(SystemExit):
        reactor.run()
    with pytest.raises(SystemExit):
        result_of(exiting)


class Document:
    """What a function has read before it fails."""


def test_what_failed_in_a_thread_leaves_nothing_that_must_be_searched_for() -> None:
    def fail() -> None:
        document = Document()
        read.append(weakref.ref(document))
        raise ValueError("no list")

    read: list[weakref.ref[Document]] = []
    reactor, ended = Calls(), threading.Event()
    pool: Any = ThreadPool(0, 1)
    pool.start()
    gc.disable()
    try:
        in_the_pool = in_pool(reactor, pool, fail)
        pool.callInThread(ended.set)
        assert ended.wait(30)
        in_one_of_its_own = in_own_thread(reactor, reactor.own_thread, fail)
        reactor.threads.pop()()
        while reactor.calls:
            reactor.calls.pop()()
        for failed in (in_the_pool, in_one_of_its_own):
            assert str(error_of(failed)) == "no list"
        del failed, in_the_pool, in_one_of_its_own
        assert [each() for each in read] == [None, None]
    finally:
        gc.enable()
        pool.stop()
