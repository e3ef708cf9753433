"""RunCommand: the operator's own check, judged by its exit status."""

from __future__ import annotations

import ast
import errno
import math
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from twisted.internet import defer
from twisted.internet.defer import Deferred

from pybal.config.bad_value import BadValueError
from pybal.config.kinds import ABSOLUTE_PATH, BOOLEAN, Kind, show_value
from pybal.config.literals import literal_tree
from pybal.config.monitor_kinds import MonitorKind, Option
from pybal.config.problems import mask_value
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.errors import describe_os_error, is_local_fault
from pybal.model import MetricFamily, MetricSample
from pybal.monitors.base import ReportReceiver
from pybal.monitors.command_user import UserUnknownError
from pybal.monitors.looping import CheckOutcome, LoopingMonitor
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.processes import Exit, Process, fault_of_command
from pybal.monitors.target import MonitorPorts, Target
from pybal.state.file_access import FileAccessError

_LINES_LOGGED = 20
_LOOKED_AT_BYTES = 4096
_LOST_FILES = frozenset(
    (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH)
)
"""What a disk, or a server of files, says that has been lost."""

_DURATION = MetricFamily(
    "pybal_monitor_runcommand_run_duration_seconds",
    "Duration of the last run",
    ("result", "exitcode"),
)


@dataclass(frozen=True, slots=True)
class LiteralArgument:
    """An argument passed on as it is written."""

    text: str

    def __str__(self) -> str:
        return repr(self.text)


@dataclass(frozen=True, slots=True)
class ServerArgument:
    """`server.host`, `server.ip` or `server.port`; `attribute` is the part after the dot."""

    attribute: str

    def __str__(self) -> str:
        return f"server.{self.attribute}"


Argument = LiteralArgument | ServerArgument


@dataclass(frozen=True, slots=True)
class RunCommandSettings(MonitorSettings):
    """Options of RunCommand. `command` is an absolute path; no shell is involved."""

    monitor = "RunCommand"
    runs_commands = True

    command: Path
    arguments: tuple[Argument, ...] = ()
    interval_s: float = field(default=60.0, kw_only=True)
    timeout_s: float = field(default=20.0, kw_only=True)
    log_output: bool = True


class RunCommand(LoopingMonitor):
    """Up when the command ends with status 0 within `timeout_s`. At the timeout, and on stop,
    its whole process group is killed; what outlives a command that ended is killed and logged, in
    another session, too.

    All RunCommands together run so many commands at once as there are slots; the others wait
    their turn, which counts for nothing. A killed command that does not end (it waits in the
    kernel) is down, is not run again beside itself, and has no slot any more.

    A command on a file system that hangs, or is lost, is not run: that says nothing of the server.
    """

    begins_at_once = False
    ends_in_time = True

    def __init__(
        self,
        settings: RunCommandSettings,
        target: Target,
        ports: MonitorPorts,
        receiver: ReportReceiver,
    ) -> None:
        super().__init__(settings, target, ports, receiver)
        self._settings = settings
        self._argv = [
            str(settings.command),
            *(_resolve(a, self._target) for a in settings.arguments),
        ]
        self._process: Process | None = None
        self._durations_s: dict[tuple[str, str], float] = {}
        """The last duration by result and exit code."""

    def _end(self) -> None:
        super()._end()
        if self._process is not None:
            self._process.kill()

    async def _check(self) -> CheckOutcome | None:
        if self._process is not None:
            return CheckOutcome(
                False, f"{self._argv[0]}, killed, has not ended: process {self._process.pid}"
            )
        slots = self._ports.command_slots
        await slots.acquire()
        try:
            self._note_waiting(slots.limit)
            return await self._run_once()
        finally:
            slots.release()

    def _note_waiting(self, limit: int) -> None:
        """The check begins now that it has its slot."""
        waited_s = self._elapsed_s()
        self._began_at = self._reactor.seconds()
        self._mark = self._ports.stall_meter.mark()
        if waited_s > self._interval_s:
            self._log.warn(
                "{server}: waited {waited} s for its turn: of all commands only {limit} may run at "
                "once (runcommand-concurrency)",
                server=self._target.describe(),
                waited=round(waited_s),
                limit=limit,
            )

    async def _run_once(self) -> CheckOutcome | None:
        command = self._settings.command
        try:
            await self._ports.files.run(command, partial(_look_at, command))
        except FileAccessError as error:
            self._not_run(str(error))
            return None
        ended: Deferred[Exit] = Deferred()
        try:
            self._process = self._start(ended)
        except UserUnknownError as error:
            self._not_run(str(error))
            return None
        except OSError as error:
            if is_local_fault(error):
                raise
            if error.errno in _LOST_FILES:
                self._not_run(describe_os_error(error))
                return None
            return CheckOutcome(False, f"cannot run {self._argv[0]}: {describe_os_error(error)}")
        try:
            result = await ended.addTimeout(self._settings.timeout_s, self._reactor)
        except defer.TimeoutError:
            self._process.kill()
            return self._outcome("timeout", f"timed out after {self._settings.timeout_s:.1f} s")
        self._log_output(result)
        return self._judge(result)

    def _not_run(self, why: str) -> None:
        """This director's own fault."""
        self._ports.faults.note(OSError(f"{self._argv[0]}: {why}"))

    def _start(self, ended: Deferred[Exit]) -> Process:
        def on_end(result: Exit) -> None:
            self._process = None
            if not ended.called:
                ended.callback(result)

        return self._ports.processes.run(self._argv, on_end, capture=self._settings.log_output)

    def _judge(self, result: Exit) -> CheckOutcome:
        status = result.status
        after = f"after {self._elapsed_s():.3f} s"
        if status is None:
            return self._outcome("unknown", f"ended {after}, its exit status was lost")
        how = f"exited with status {status}" if status >= 0 else _killed_by(-status)
        lines = result.output.decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return self._outcome(str(status), f"{how} {after}{': ' if said else ''}{said}")

    def _outcome(self, exit_code: str, how: str) -> CheckOutcome:
        up = exit_code == "0"
        key = ("successful" if up else "failed", exit_code)
        self._durations_s[key] = max(0.0, self._elapsed_s())
        return CheckOutcome(up, f"{self._argv[0]} {how}")

    def _log_output(self, result: Exit) -> None:
        server = self._target.describe()
        lines = result.output.decode("utf-8", "replace").splitlines()
        if len(lines) > _LINES_LOGGED:
            last = _LINES_LOGGED - 1
            lines[last:] = [f"({len(lines) - last} more lines)"]
        for line in lines:
            self._log.info("{server}: {line}", server=server, line=line)
        if result.leftovers:
            self._log.warn(
                "{server}: {command} left processes behind, which were killed",
                server=server,
                command=self._argv[0],
            )

    def _samples(self) -> Iterable[MetricSample]:
        for (result, exit_code), duration_s in self._durations_s.items():
            yield _DURATION.sample(duration_s, result, exit_code)


def _look_at(command: Path) -> None:
    """Read how it begins, as the kernel will. This process stands still until a command has begun,
    for ever if that lies with a server of files that hangs."""
    with suppress(OSError):
        descriptor = os.open(command, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.read(descriptor, _LOOKED_AT_BYTES)
        finally:
            os.close(descriptor)


def _resolve(argument: Argument, target: Target) -> str:
    match argument:
        case LiteralArgument(text):
            return text
        case ServerArgument("host"):
            return target.host
        case ServerArgument("ip"):
            return str(target.address)
        case ServerArgument("port"):
            return str(target.port)
    raise ValueError(f"not an argument of RunCommand: {argument}")


def _killed_by(number: int) -> str:
    try:
        return f"was killed by {signal.Signals(number).name}"
    except ValueError:
        return f"was killed by signal {number}"


# -- options in pybal.conf ----------------------------------------------------------------

_SERVER_ATTRIBUTES = ("host", "ip", "port")
_MOST_BITS = 64


def parse_arguments(text: str) -> tuple[Argument, ...]:
    """RunCommand's arguments: a list of strings, numbers and the words server.host, server.ip
    and server.port. The text becomes a syntax tree, whose nodes are read and never run."""
    body = literal_tree(text).body
    if not isinstance(body, (ast.List, ast.Tuple)):
        raise BadValueError("it is not a list")
    return tuple(_argument(node, number) for number, node in enumerate(body.elts, start=1))


def _argument(node: ast.expr, number: int) -> Argument:
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "server"
        and node.attr in _SERVER_ATTRIBUTES
    ):
        return ServerArgument(node.attr)
    sign = ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = "-", node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if type(value) is str and not sign and _can_be_passed(value):
        return LiteralArgument(value)
    if (type(value) is int and value.bit_length() <= _MOST_BITS) or (
        type(value) is float and math.isfinite(value)
    ):
        return LiteralArgument(f"{sign}{value}")
    raise BadValueError(f"element {number} is none of these")


def _can_be_passed(text: str) -> bool:
    """A program's argument is bytes without NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _check_options(reader: SectionReader, settings: RunCommandSettings) -> None:
    words = {f"server.{attribute}" for attribute in _SERVER_ATTRIBUTES}
    for argument in settings.arguments:
        if isinstance(argument, LiteralArgument) and argument.text in words:
            message = f"{argument} is passed on as it is: write {argument.text} without quotes"
            reader.warn("runcommand.arguments", message)


def _notes(settings: RunCommandSettings) -> Iterable[str]:
    fault = fault_of_command(settings.command)
    if fault:
        yield f"runcommand.command = {settings.command}: {fault}"


_ARGUMENTS = Kind(
    "a list such as ['-H', server.host, 2]: strings, numbers, server.host, server.ip, server.port",
    parse_arguments,
    lambda arguments: mask_value(".arguments", show_value(arguments)),
)

MONITOR = MonitorType(
    MonitorKind(
        RunCommandSettings,
        (
            Option("command", "command", ABSOLUTE_PATH, required=True),
            Option("arguments", "arguments", _ARGUMENTS),
            Option("log-output", "log_output", BOOLEAN),
        ),
        # The command opens its own sockets.
        lacks=frozenset(("source-address",)),
        check=_check_options,
    ),
    RunCommand,
    (_DURATION,),
    _notes,
)
