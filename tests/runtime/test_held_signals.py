"""A signal that comes while nobody handles it waits, and is handled once somebody does."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from pybal.runtime.held_signals import BETWEEN_PROGRAMS, HARMLESS, hold_signals, let_signals_in


def test_a_held_signal_waits_until_signals_are_let_in() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: came.append(number))
    try:
        hold_signals()
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
        assert signal.SIGUSR2 in signal.sigpending() and came == []
        let_signals_in()
        assert came == [signal.SIGUSR2]
    finally:
        let_signals_in()
        signal.signal(signal.SIGUSR2, before)


def test_what_ends_a_process_ends_one_that_only_begins_but_waits_for_the_next_program() -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        hold_signals()
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        hold_signals(BETWEEN_PROGRAMS)
        held = {signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT}
        assert held <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
        let_signals_in()
        assert not held & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_what_means_nothing_ends_no_process_that_only_begins() -> None:
    """The program that takes over in a restart begins, too, with all sessions in its hands."""
    script = (
        "import os, signal; from pybal.runtime.held_signals import *; hold_signals();"
        " [os.kill(os.getpid(), number) for number in HARMLESS]; print(len(signal.sigpending()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert int(done.stdout) == len(HARMLESS) >= 8


def test_next_to_nothing_is_loaded_before_they_are_held() -> None:
    script = "import sys, pybal.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, check=True)
    loaded = set(done.stdout.decode().split())
    assert {each for each in loaded if each.startswith("pybal")} == {
        "pybal",
        "pybal.__main__",
        "pybal.runtime",
        "pybal.runtime.held_signals",
    }
    assert not loaded & {"typing", "re", "importlib.util", "contextlib"}
