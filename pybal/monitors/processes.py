"""The port to commands, and its adapter on subprocess and pidfds.

Not on Twisted's spawnProcess: it cannot give the child a session of its own, and it forks this
large process to run Python in the child. `subprocess` does the first in C and execs from a
vfork. Nothing but the pidfd tells of the end, so no SIGCHLD is involved.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybal.config.settings import User
from pybal.errors import is_local_fault
from pybal.monitors.command_user import CommandUser
from pybal.monitors.leftovers import LeftOvers
from pybal.runtime.backoff import doubling_s
from pybal.runtime.clock import DelayedCall

_FIRST_OUTPUT_BYTES, _LAST_OUTPUT_BYTES = 3072, 1024
_MOST_OUTPUT_BYTES = 1 << 20
_READ_BYTES = 65536
_FIRST_LINE_BYTES = 256  # as much as the kernel looks at
_LOOK_AFTER_S = 0.5
_LOOK_MAX_S = 60.0
_LAST_LOOKS = 20
_LAST_LOOK_S = 0.01
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Exit(NamedTuple):
    """How a command ended: `status` is its exit status, or minus the signal that killed it, or
    None if that was lost. `output` is stdout and stderr, of which the middle may be left out;
    `leftovers` tells whether processes of its group, or that had left it, outlived it, which have
    been killed."""

    status: int | None
    output: bytes
    leftovers: bool


class Process(Protocol):
    """A command that runs."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None:
        """SIGKILL its whole process group; the end is told as any other. Idempotent."""


class Processes(Protocol):
    """Runs commands."""

    def run(self, argv: Sequence[str], ended: Callable[[Exit], None], *, capture: bool) -> Process:
        """Start `argv` in a session of its own, without a shell, in a clean environment and in
        `/`, nothing on stdin. `ended` is called once, later, when it has ended. Output is
        dropped unless `capture`. OSError if it cannot be started, UserUnknownError as long as it is
        not known as whom."""

    def run_as(self, user: User | None) -> None:
        """As whom commands run that are started from now on; None: as this process does."""


class AllProcesses(Processes, Protocol):
    """Processes, as their owner has them."""

    def end(self) -> None:
        """This process ends: so do all commands, and what has left their groups."""


class ReactorProcesses:
    """See Processes; on a reactor that provides IReactorFDSet. Commands run as `user`, or else as
    this process does. With `left_overs` what has left a command's group is ended, too; nobody else
    may then start processes in sessions of their own."""

    def __init__(
        self,
        reactor: Any,
        user: User | None = None,
        left_overs: LeftOvers | None = None,
        command_user: CommandUser | None = None,
    ) -> None:
        self._reactor = reactor
        self._left_overs = left_overs
        self._running: set[int] = set()
        self._looks = 0
        self._look: DelayedCall | None = None
        self._log = Logger(namespace="runcommand")
        self._user = command_user or CommandUser(reactor)
        self.run_as(user)

    def run_as(self, user: User | None) -> None:
        """See Processes."""
        self._user.become(user)

    def run(self, argv: Sequence[str], ended: Callable[[Exit], None], *, capture: bool) -> Process:
        """See Processes."""
        identity = self._user.identity()
        try:
            popen = subprocess.Popen(  # noqa: S603 - the operator's own command, and no shell
                list(argv),
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
                **identity,
            )
        except OSError as error:
            # The kernel says "no such file" of a script whose interpreter is missing.
            command = Path(argv[0])
            if is_local_fault(error) or not command.exists():
                raise
            if fault := fault_of_command(command):
                raise OSError(fault) from error
            raise
        try:
            pidfd = os.pidfd_open(popen.pid)
        except OSError:
            _kill_group(popen.pid)
            popen.wait()
            if popen.stdout is not None:
                popen.stdout.close()
            raise
        output = _Output(self._reactor, popen.stdout) if popen.stdout is not None else None
        self._running.add(popen.pid)
        return _Running(self._reactor, popen, pidfd, output, ended, self)

    def reap(self) -> None:
        """Let go of what has ended by itself, so that it is not taken for left over."""
        if self._left_overs is not None:
            self._left_overs.reap(self._running)

    def gone(self, pid: int) -> bool:
        """A command has ended and was reaped; whether it has left anything that was killed."""
        self._running.discard(pid)
        if self._left_overs is None:
            return False
        killed = self._left_overs.end(self._running, pid)
        # Once more, as what was killed with its group may leave something, too.
        self._look_later(0)
        return bool(killed)

    def end(self) -> None:
        """See AllProcesses. Waits a moment for those that were killed: what they have started shows
        up only then."""
        for pid in self._running:
            _kill_group(pid)
        if self._left_overs is None:
            return
        for _ in range(_LAST_LOOKS):
            self._left_overs.end(())
            if not self._left_overs.any:
                return
            time.sleep(_LAST_LOOK_S)

    def _look_later(self, looks: int) -> None:
        self._looks = looks
        if self._look is None:
            delay_s = doubling_s(looks, _LOOK_AFTER_S, _LOOK_MAX_S)
            self._look = self._reactor.callLater(delay_s, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        if self._left_overs is None:
            return
        for pid in self._left_overs.end(self._running):
            self._log.warn("Process {pid} outlived the command that started it: killed", pid=pid)
        if self._left_overs.any:
            self._look_later(self._looks + 1)


@implementer(IReadDescriptor)
class _Running:
    """A process whose pidfd is watched until it has ended and was reaped."""

    def __init__(
        self,
        reactor: Any,
        popen: subprocess.Popen[bytes],
        pidfd: int,
        output: _Output | None,
        ended: Callable[[Exit], None],
        processes: ReactorProcesses,
    ) -> None:
        self.pid = popen.pid
        self._reactor = reactor
        self._popen = popen
        self._pidfd = pidfd
        self._output = output
        self._ended = ended
        self._processes = processes
        self._gone = False
        reactor.addReader(self)

    def kill(self) -> None:
        """See Process."""
        # Not yet reaped, so the number still means this group.
        if not self._gone:
            _kill_group(self.pid)

    def fileno(self) -> int:
        """The pidfd."""
        return self._pidfd

    def logPrefix(self) -> str:  # noqa: N802
        """Twisted's name for this in a traceback."""
        return "Process"

    def doRead(self) -> None:  # noqa: N802
        """It has ended."""
        self._reactor.removeReader(self)
        os.close(self._pidfd)
        self._processes.reap()
        # The zombie keeps its number from being given away: only now is this safe.
        _kill_group(self.pid)
        self._gone = True
        status = self._reap()
        in_group = _group_exists(self.pid)
        leftovers = self._processes.gone(self.pid) or in_group
        output = self._output.finish() if self._output is not None else b""
        self._ended(Exit(status, output, leftovers))

    def connectionLost(self, reason: Failure) -> None:
        """Nothing to do: a pidfd does not break."""

    def _reap(self) -> int | None:
        # Not popen.wait(): it takes a status that was lost for 0.
        try:
            _, raw = os.waitpid(self.pid, 0)
        except ChildProcessError:
            self._popen.returncode = 0
            return None
        self._popen.returncode = os.waitstatus_to_exitcode(raw)
        return self._popen.returncode


@implementer(IReadDescriptor)
class _Output:
    """The read end of a command's output: the first and the last of it is kept, the rest is
    dropped, and one that writes without end loses its reader."""

    def __init__(self, reactor: Any, pipe: IO[bytes]) -> None:
        self._reactor = reactor
        self._pipe = pipe
        self._first = self._last = b""
        self._total = 0
        os.set_blocking(pipe.fileno(), False)
        reactor.addReader(self)

    def fileno(self) -> int:
        """The pipe's descriptor."""
        return self._pipe.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        """Twisted's name for this in a traceback."""
        return "ProcessOutput"

    def doRead(self) -> None:  # noqa: N802
        """There is output, or its end."""
        self._read()

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """All writers have closed."""
        self._close()

    def finish(self) -> bytes:
        """The output, now that the command has ended: of much the first and the last of it, with a
        line in between that says so. Closes the pipe."""
        while not self._pipe.closed and self._read():
            pass
        self._close()
        left_out = self._total - len(self._first) - len(self._last)
        between = b"...\n(%d bytes)\n..." % left_out if left_out else b""
        return self._first + between + self._last

    def _read(self) -> bool:
        """Read once; False if there was nothing (yet)."""
        try:
            data = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return False
        self._total += len(data)
        room = _FIRST_OUTPUT_BYTES - len(self._first)
        self._first += data[:room]
        self._last = (self._last + data[room:])[-_LAST_OUTPUT_BYTES:]
        if not data or self._total > _MOST_OUTPUT_BYTES:
            self._close()
        return True

    def _close(self) -> None:
        if not self._pipe.closed:
            self._reactor.removeReader(self)
            self._pipe.close()


def fault_of_command(command: Path) -> str:
    """Why this command cannot be run, as far as can be seen without running it; else nothing."""
    if not command.exists():
        program, has_more, _ = str(command).partition(" ")
        hint = "; arguments stand in runcommand.arguments"
        return f"there is no such file{hint if has_more and Path(program).is_file() else ''}"
    if not command.is_file():
        return "it is no file"
    if not os.access(command, os.X_OK):
        return "it may not be executed (chmod +x)"
    try:
        with command.open("rb") as file:
            start = file.read(_FIRST_LINE_BYTES)
    except OSError:
        return ""  # it may be executed all the same
    if not start.startswith(b"#!"):
        return "" if start.startswith(b"\x7fELF") else "it has no first line such as #!/bin/sh"
    return _fault_of_interpreter(start[2:].partition(b"\n")[0])


def _fault_of_interpreter(line: bytes) -> str:
    name = re.split("[ \t]", line.decode("utf-8", "surrogateescape").strip(" \t"), maxsplit=1)[0]
    shown = repr(name)[1:-1]
    if not name:
        return "its first line names no interpreter after #!"
    if name.endswith("\r"):
        return f"its lines end as on Windows: there is no interpreter {shown}"
    if not Path(name).exists():
        return f"its interpreter {shown} is missing"
    return "" if os.access(name, os.X_OK) else f"its interpreter {shown} may not be executed"


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _group_exists(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
