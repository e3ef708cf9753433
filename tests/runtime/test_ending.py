"""How a process ends: a thread that hangs does not keep it, nor does anything else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from twisted.python.threadpool import ThreadPool

from pybal.runtime.ending import end_without_threads, stop_threads

HANGING = """
import threading
from pybal.runtime.ending import end_without_threads
threading.Thread(target=threading.Event().wait).start()
end_without_threads(7, 0.2)
"""


def test_a_process_with_a_thread_that_hangs_ends_all_the_same() -> None:
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 7
    assert b"A thread hangs" in ended.stderr
    assert time.monotonic() - began < 50


NO_THREAD = """
import threading
from pybal.runtime.ending import end_without_threads
def start(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
end_without_threads(7)
print("goes on")
"""


def test_where_no_thread_is_left_to_watch_over_it_the_end_goes_on() -> None:
    command = [sys.executable, "-c", NO_THREAD]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"goes on\n"


def test_it_waits_for_as_long_as_it_says() -> None:
    ended = threading.Event()
    end_without_threads(0, 0.01, lambda _: ended.set())
    assert ended.wait(30)


def test_a_thread_that_could_not_be_started_is_not_waited_for() -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    pool: Any = ThreadPool(0, 1)
    pool.start()
    pool.threadFactory = NoThread
    with pytest.raises(RuntimeError, match="new thread"):
        pool.callInThread(time.time)
    stop_threads(pool)
    assert pool.joined


UNAWAITED = """
import sys, threading
from pybal.runtime.ending import unawaited_threads
began = threading.Event()
threads = unawaited_threads(2, "reading")
for _ in range(3):
    threads.callInThread(lambda: (began.set(), threading.Event().wait()))
began.wait()
sys.exit(7)
"""


def test_threads_that_nobody_waits_for_do_not_keep_the_interpreter_either() -> None:
    """As where the kernel forbids what the daemon needs: that ends it another way."""
    ended = subprocess.run([sys.executable, "-c", UNAWAITED], timeout=60, check=False)
    assert ended.returncode == 7


AT_ONCE = """
import atexit, os
from pybal.runtime.ending import end_at_once

class Table:
    def __del__(self):
        os.write(1, b"taken apart")

kept = Table()
atexit.register(os.write, 1, b"registered")
end_at_once(7, lambda: os.write(1, b"flushed"))
"""


def test_a_process_that_has_stopped_takes_nothing_apart_but_writes_its_log() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", AT_ONCE], capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, b"flushed", b"")
