"""The program that takes this process's place on SIGUSR2, where no service manager starts the
next one: the same command line, the same process, the same descriptors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from pybal.errors import said_by
from pybal.handover.own_store import OwnStore
from pybal.handover.store import DescriptorStore, manager_store
from pybal.runtime.held_signals import BETWEEN_PROGRAMS, hold_signals
from pybal.runtime.service_manager import is_managed

_CHECK_S = 60.0
_ERROR = "ERROR: "
_SHOWN_LINES = 20


class Successor:
    """`program` is run with `command`, argv[0] included. `flush` writes what is to be logged."""

    def __init__(
        self,
        store: OwnStore,
        program: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        flush: Callable[[], object],
    ) -> None:
        self.store = store
        self._program = program
        self._command = list(command)
        self._environment = dict(environment)
        self._flush = flush
        self._taking = threading.Lock()

    def objections(self) -> tuple[str, ...]:
        """Why it could not start: the errors that it finds in its configuration itself, as it may
        be another version. Takes a second or so of its own processor time; not for the reactor's
        thread."""
        # Warnings are no reason.
        wanted = [each for each in self._command[1:] if each != "--strict"]
        try:
            done = subprocess.run(  # noqa: S603 - what runs already
                [self._program, *wanted, "--check-config", "--json"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_CHECK_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return (f"{self._program} --check-config: no answer within {_CHECK_S:g} s",)
        except (OSError, subprocess.SubprocessError) as error:
            return (f"{self._program} --check-config: {said_by(error)}",)
        if done.returncode == 0:
            return ()
        reasons = _refusal(done.stdout)
        if not reasons:
            lines = done.stdout.decode(errors="replace").splitlines()
            errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
            reasons = errors or [f"it ends with {done.returncode}", *lines]
        return tuple(reasons[-_SHOWN_LINES:])

    def take_place(self, pending: Callable[[], Iterable[int]] = tuple) -> NoReturn:
        """Run it here and now; the `pending` signals, which are asked for at the last moment, are
        handled by it. If it cannot be run, the process ends, with status 1. Of several threads that
        come to this the first does it, and the others go with it."""
        self._taking.acquire()
        hold_signals(BETWEEN_PROGRAMS)
        self._flush()
        try:
            told = self.store.hand_over(os.getpid())
            for number in pending():
                # Another thread would take one that is the whole process's, and it would be lost.
                signal.pthread_kill(threading.get_ident(), number)
            os.execve(self._program, self._command, self._environment | told)  # noqa: S606
        except OSError as error:
            sys.stderr.write(f"[pybal] CRITICAL: {self._program} cannot be run: {said_by(error)}\n")
            sys.stderr.flush()
        os._exit(1)


def _refusal(said: bytes) -> list[str]:
    """Why the configuration is refused, as `--check-config --json` says it; nothing if this is no
    such document."""
    try:
        return [str(reason) for reason in json.loads(said)["refusal"]]
    except (ValueError, LookupError, TypeError):
        return []


def who_keeps(
    left: Mapping[str, Sequence[int]],
    *,
    wanted: bool,
    dry_run: bool,
    flush: Callable[[], object],
) -> tuple[DescriptorStore | None, Successor | None]:
    """Who keeps descriptors for the next process, if anybody does; and, where no service manager
    would start that, the program that this one becomes. Of those that were `left` it has copies. A
    dry run leaves the manager's store alone."""
    if is_managed(os.environ, os.getpid()):
        return None if dry_run else manager_store(os.environ), None
    if not wanted:
        return None, None
    store = OwnStore(left)
    return store, Successor(store, sys.executable, sys.orig_argv, os.environ, flush)
