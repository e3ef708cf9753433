"""A thread that hangs does not keep the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from pybal.runtime.ending import end_without_threads

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


def test_it_waits_for_as_long_as_it_says() -> None:
    ended = threading.Event()
    end_without_threads(0, 0.01, lambda _: ended.set())
    assert ended.wait(30)
