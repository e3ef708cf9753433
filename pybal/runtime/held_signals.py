"""Signals that wait while nobody can handle them: they would end a process that only begins.

Imports next to nothing, so that it is there first.
"""

from __future__ import annotations

import signal
from collections.abc import Collection

HARMLESS = (
    signal.SIGUSR1,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    signal.SIGXCPU,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
"""What would kill, and means nothing to this daemon. They are handled, not ignored: what is ignored
would be so in the commands of RunCommand, too."""
AT_START = (signal.SIGHUP, signal.SIGUSR2, *HARMLESS)
"""Those that are not meant to end anything."""
BETWEEN_PROGRAMS = (*AT_START, signal.SIGTERM, signal.SIGINT)
"""Those that the next program of this process is to handle."""


def hold_signals(numbers: Collection[int] = AT_START) -> None:
    """From now on these wait until let_signals_in()."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def let_signals_in() -> None:
    """Those that have waited are handled now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BETWEEN_PROGRAMS)
