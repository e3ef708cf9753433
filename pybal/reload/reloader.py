"""Reads pybal.conf again when it is told to, and has the daemon go over to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.config.loader import MAX_BYTES, load, parse_content
from pybal.config.monitor_kinds import MonitorKinds
from pybal.config.problems import LoadResult
from pybal.config.settings import Settings
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.errors import PyBalError, said_by
from pybal.reload.at_start import absolute
from pybal.reload.difference import difference, in_force
from pybal.reload.last_good_config import LastGoodConfig
from pybal.reload.running import (
    Running,
    applied_in_part,
    looked_at,
    refused,
    reloaded,
    why_cut_off,
)
from pybal.reload.steps import NeedsRestart, ReloadStep, lines
from pybal.runtime.clock import DelayedCall, cancel
from pybal.runtime.naming import counted
from pybal.runtime.threads import InThread
from pybal.state.files import read_regular_file
from pybal.state.state_file import WriteBehind

LOOK_EVERY_S = 10.0
"""So often it is seen whether the file on disk is what runs."""


class Reconfigurable(Protocol):
    """The daemon: goes over from one configuration to another, step by step."""

    async def go_over_to(self, settings: Settings, steps: tuple[ReloadStep, ...]) -> None:
        """All of it; what is raised may have left a part undone."""


class Notified(Protocol):
    """The part of the service manager that is needed."""

    def reloading(self, monotonic_s: float) -> None: ...

    def ready(self) -> None: ...


class ReloadPorts(NamedTuple):
    """`clock` provides IReactorTime, `now()` is Unix seconds, `monotonic_s()` CLOCK_MONOTONIC;
    `in_thread` runs a function that reads and compares for a while."""

    clock: Any
    now: Callable[[], float]
    monotonic_s: Callable[[], float]
    in_thread: InThread
    manager: Notified
    with_options: Callable[[Settings], Settings]
    """What the command line makes of a file's settings."""
    load_code: Callable[[Settings], str | None]
    """Loads code that settings need, in any thread; what is in the way of that."""
    ended: Callable[[ReloadSnapshot], None] = lambda _: None
    """Told of the outcome of each reload that no stop has cut short."""
    host: str = ""
    """The name of this one."""


class Comparison(NamedTuple):
    """What a reload would do, one line a step; or the errors for which it would be refused."""

    steps: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


class _Plan(NamedTuple):
    """What a file that was read leads to: the settings to go over to and the steps; or, with
    settings None, the errors for which it is refused."""

    result: LoadResult
    settings: Settings | None
    steps: tuple[ReloadStep, ...] = ()
    errors: tuple[str, ...] = ()


class Reloader:
    """Owns what is known of the configuration in force. One reload at a time; of several that are
    asked for meanwhile one more is made, since each reads the newest file.

    `last_good` keeps what was good for the next start; None: nothing is kept.
    """

    def __init__(
        self,
        running: Running,
        kinds: MonitorKinds,
        daemon: Reconfigurable,
        ports: ReloadPorts,
        log: Logger,
    ) -> None:
        self.running = running
        self._kinds = kinds
        self._daemon = daemon
        self._ports = ports
        self._log = log
        self._last_good: WriteBehind[LastGoodConfig] | None = None
        self._reloading: Deferred[ReloadSnapshot] | None = None
        self._waiting: list[Deferred[ReloadSnapshot]] = []
        """For the end of the reload that is under way."""
        self._next: list[Deferred[ReloadSnapshot]] = []
        """For the end of the one after it."""
        self._looking: DelayedCall | None = None
        self._stopped = False

    def start(self, last_good: WriteBehind[LastGoodConfig] | None) -> None:
        """Begin to look at the file now and then; keep what runs, if it is good."""
        self._last_good = last_good
        self._keep()
        self._look_later()

    def stop(self) -> None:
        """Idempotent. Whoever waits for a reload is told that it was cut short."""
        self._stopped = True
        cancel(self._looking)
        if self._reloading is not None:
            self._reloading.cancel()
        self._answer(self._next, self._cut_short())

    def good(self) -> LastGoodConfig:
        """What is to be kept."""
        running = self.running
        content = running.content.decode("utf-8", "replace")
        return LastGoodConfig(
            absolute(running.path),
            content,
            running.modified_at or 0.0,
            running.loaded_at,
            self._ports.host,
        )

    def reload(self) -> Deferred[ReloadSnapshot]:
        """Read the file and go over to it, now or after the reload that is under way. Fires with
        what became of it; never fails. After a stop it fires at once."""
        if self._stopped:
            return succeed(self._cut_short())
        done: Deferred[ReloadSnapshot] = Deferred()
        self._next.append(done)
        if self._reloading is None:
            self._begin()
        return done

    async def compare(self, content: bytes) -> Comparison:
        """What a reload of this content would do."""
        path, before = self.running.path, self.running
        plan: _Plan = await self._ports.in_thread(
            lambda: self._plan(parse_content(content, path, self._kinds), before)
        )
        warnings = tuple(map(str, plan.result.warnings))
        return Comparison(tuple(lines(plan.steps)), plan.errors, warnings)

    def _plan(self, result: LoadResult, running: Running) -> _Plan:
        """What a file that was read leads to."""
        if result.settings is None:
            return _Plan(result, None, errors=result.refusal)
        before, settings = running.settings, self._ports.with_options(result.settings)
        if before.services and not settings.services:
            emptied = (
                f"{result.file}: holds no service, while {len(before.services)} run: a part of a"
                " file, by the look of it; to remove all services, restart"
            )
            return _Plan(result, None, errors=(emptied,))
        if errors := why_cut_off(running.content, result):
            return _Plan(result, None, errors=errors)
        if obstacle := self._ports.load_code(settings):
            return _Plan(result, None, errors=(f"{result.file}: {obstacle}",))
        return _Plan(result, settings, steps=difference(before, settings))

    def _begin(self) -> None:
        self._waiting, self._next = self._next, []
        reloading = Deferred.fromCoroutine(self._reload())
        reloading.addErrback(self._failed)
        self._reloading = reloading
        reloading.addCallback(self._ended)

    async def _reload(self) -> ReloadSnapshot:
        self._ports.manager.reloading(self._ports.monotonic_s())
        before = self.running
        path, known = Path(before.path), before.known
        plan: _Plan = await self._ports.in_thread(
            lambda: self._plan(load(path, self._kinds, known), before)
        )
        for problem in (*plan.result.errors, *plan.result.warnings):
            emit = self._log.error if problem.is_error else self._log.warn
            emit("{problem}", problem=str(problem))
        if not plan.result.errors:
            for error in plan.errors:
                self._log.error("{error}", error=error)
        if plan.settings is None:
            self._refuse(plan.errors)
        else:
            await self._go_over(plan.result, plan.settings, plan.steps)
        return self.running.last

    def _refuse(self, errors: tuple[str, ...]) -> None:
        self.running = refused(self.running, errors, self._ports.now())
        self._log.error(
            "{path} has errors (see above): not reloaded, all goes on as before",
            path=self.running.path,
        )

    async def _go_over(
        self, result: LoadResult, settings: Settings, steps: tuple[ReloadStep, ...]
    ) -> None:
        said = tuple(lines(steps))
        for line in said:
            self._log.info("Reload: {line}", line=line)
        settings = in_force(self.running.settings, settings)
        try:
            await self._daemon.go_over_to(settings, steps)
        except Exception as error:
            if self._stopped and isinstance(error, CancelledError):
                raise
            self._apply_in_part(said, Failure())
            return
        waiting = (step.changes for step in steps if isinstance(step, NeedsRestart))
        needs_restart = tuple(change.key for changes in waiting for change in changes)
        self.running = reloaded(
            self.running, result, settings, said, needs_restart, self._ports.now()
        )
        self._keep()
        self._log.info(
            "Reloaded {path}: {what}",
            path=self.running.path,
            what=counted(len(said), "change"),
        )

    def _apply_in_part(self, steps: tuple[str, ...], failure: Failure) -> None:
        error, path = said_by(failure.value), self.running.path
        self.running = applied_in_part(self.running, error, steps, self._ports.now())
        # Where it failed is what mends it, be it an error that is expected elsewhere.
        self._log.failure("{path} was applied in part: {error}", failure, path=path, error=error)

    def _failed(self, failure: Failure) -> ReloadSnapshot:
        """Before anything was changed, or by a stop."""
        if self._stopped and failure.check(CancelledError):
            return self._cut_short()
        error = said_by(failure.value)
        self.running = refused(self.running, (error,), self._ports.now())
        if failure.check(PyBalError):
            self._log.error("Not reloaded: {error}", error=error)
        else:
            self._log.failure("The reload failed", failure)
        return self.running.last

    def _cut_short(self) -> ReloadSnapshot:
        return ReloadSnapshot(
            self._ports.now(), ReloadOutcome.CUT_SHORT, errors=("PyBal is stopping",), steps=()
        )

    def _ended(self, outcome: ReloadSnapshot) -> None:
        self._reloading = None
        # The service manager has been told that we stop.
        if not self._stopped:
            self._ports.ended(outcome)
            self._ports.manager.ready()
        self._answer(self._waiting, outcome)
        if self._next and not self._stopped:
            self._begin()

    @staticmethod
    def _answer(waiting: list[Deferred[ReloadSnapshot]], outcome: ReloadSnapshot) -> None:
        answered = tuple(waiting)
        waiting.clear()
        for each in answered:
            each.callback(outcome)

    def _keep(self) -> None:
        if self._last_good is not None and not self.running.is_last_good:
            self._last_good.changed()

    # -- whether the file is what runs ----------------------------------------------------

    def _look_later(self) -> None:
        if not self._stopped:
            self._looking = self._ports.clock.callLater(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        path = self.running.path
        looking = self._ports.in_thread(lambda: _sha256(path))
        looking.addCallback(self._looked_at)
        looking.addErrback(self._not_looked_at)
        looking.addCallback(lambda _: self._look_later())

    def _not_looked_at(self, failure: Failure) -> None:
        path = self.running.path
        self._log.failure("Could not see whether {path} has changed", failure, path=path)

    def _looked_at(self, sha256: str | None) -> None:
        self.running = looked_at(self.running, sha256, self._ports.now())


def _sha256(path: str) -> str | None:
    """Of the file; None if it cannot be read."""
    try:
        return hashlib.sha256(read_regular_file(Path(path), MAX_BYTES).data).hexdigest()
    except (OSError, PyBalError):
        return None
