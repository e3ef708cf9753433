"""The history as a part of the daemon: what the parts tell of goes into the ledger, with its
cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

import pybal
from pybal.bgp.advertisement import Advertisement
from pybal.config.settings import ServiceSettings
from pybal.config.snapshot import ReloadSnapshot
from pybal.health.isolation import Phase
from pybal.history.deferral import Deferral
from pybal.history.disk import CLOSE_S, FILE_NAME, DiskHistory
from pybal.history.event import Inputs, Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.ledger import Ledger, Moment, Note
from pybal.history.settings import HistorySettings
from pybal.ipvs.model import DestinationKey, ServiceKey
from pybal.overrides.book import Happening, OverrideEvent
from pybal.pool.chronicle import Chronicle, brief
from pybal.pool.list_guard import ChangeReleased, GuardNotice
from pybal.pool.log_lines import guard_line
from pybal.pool.ports import BecauseOf, PolicyStep
from pybal.runtime.clock import Clock
from pybal.runtime.naming import counted, named
from pybal.runtime.stopping import end_each
from pybal.runtime.threads import InThread, NoThreadError, OwnThread
from pybal.runtime.time_slices import TimeSlices

_NAMED = 5

_FLUSH_SHARE = 0.5
"""Of the time for a stop: the rest is for the disk."""

ServiceNames = Callable[[ServiceKey], str | None]
"""The configured service of a key."""


class HistoryPorts(NamedTuple):
    """What the history touches outside of itself. `clock` does not jump, `now()` is Unix seconds,
    in any thread; `in_thread` runs queries, `own_thread` what writes. Without a `directory` nothing
    is written."""

    clock: Clock
    now: Callable[[], float]
    time_slices: TimeSlices
    in_thread: InThread
    own_thread: OwnThread
    directory: Path | None


class HistoryPart:
    """Owns the ledger and its file."""

    def __init__(self, ports: HistoryPorts, names: ServiceNames) -> None:
        self._ports = ports
        self._names = names
        self._log = Logger(namespace="history")
        self.ledger = Ledger(ports.clock, ports.now, ports.time_slices, self._log)
        self._deferral = Deferral(ports.clock, ports.time_slices, self._log)
        self.chronicle = Chronicle(self.ledger, self._deferral.take)
        self._disk: DiskHistory | None = None
        self._no_thread = ""
        """Why there is none, though there should be."""
        self._isolated: int | None = None
        self._lost_peers: set[str] = set()
        self._announced: dict[str, list[str]] = {}
        self._stopped = False

    def start(self, settings: HistorySettings, *, dry_run: bool) -> None:
        """A run begins."""
        self._disk = disk = self._begun(settings)
        if disk is not None:
            disk.wait()
            self.ledger.begin(*disk.newest)
        self.ledger.keep_on(disk)
        text = f"PyBal {pybal.__version__} starts" + (" (a dry run)" if dry_run else "")
        inputs = {"version": pybal.__version__, "dry_run": dry_run}
        self.ledger.note(Note(Kind.START, text, inputs=inputs))

    def _begun(self, settings: HistorySettings) -> DiskHistory | None:
        """What opens its file now, if it is to be kept on the disk, and can be."""
        ports, self._no_thread = self._ports, ""
        if ports.directory is None or not settings.on_disk:
            return None
        disk = DiskHistory(ports.directory, settings, ports.now, ports.in_thread, self._log)
        try:
            disk.begin(ports.own_thread)
        except NoThreadError as error:
            self._no_thread = f"{error}; the next reload tries again"
            self._log.error("The history is not kept on the disk: {why}", why=self._no_thread)
            return None
        return disk

    async def reconfigure(self, settings: HistorySettings) -> None:
        """Keep more or less on the disk, or nothing."""
        disk = self._disk
        if disk is not None and settings.on_disk:
            disk.reconfigure(settings)
            return
        if disk is not None:
            self.ledger.keep_on(None)
            self._disk = None
            self._close(disk)
        elif (disk := self._begun(settings)) is not None:
            self._disk = disk
            try:
                with suppress(NoThreadError):  # Then its numbers come late.
                    await self._ports.in_thread(disk.wait)
            finally:
                self.ledger.begin(*disk.newest)
                self.ledger.keep_on(disk)

    @property
    def unwritten(self) -> tuple[tuple[str, str], ...]:
        """Its file, if it cannot be written, and why."""
        if self._no_thread and self._ports.directory is not None:
            return ((str(self._ports.directory / FILE_NAME), self._no_thread),)
        disk = None if self._disk is None else self._disk.snapshot()
        return ((disk.path, disk.last_error),) if disk is not None and disk.last_error else ()

    def _close(self, disk: DiskHistory, within_s: float = CLOSE_S) -> Deferred[None]:
        disk.no_more()
        closing: Deferred[None] = self._ports.in_thread(partial(disk.close, within_s))
        # The threads may all be busy with something else for longer.
        closing.addTimeout(within_s, cast(Any, self._ports.clock), lambda *_: None)
        closing.addErrback(self._not_closed)
        return closing

    def _not_closed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("Could not end the history", failure)

    async def stop(self, within_s: float = CLOSE_S, *, for_restart: bool) -> None:
        """It ends. What is noted is written, as far as that time allows. Idempotent; cancelling
        ends the wait."""
        if self._stopped:
            return
        self._stopped = True
        late_s = self._ports.clock.seconds() + within_s
        if left := await self._deferral.flush(within_s * _FLUSH_SHARE):
            self._log.warn("Stopped amid a storm: not noted: {left}", left=counted(left, "event"))
        text = "PyBal stops" + (" for a restart" if for_restart else "")
        last = Note(Kind.STOP, text, inputs={"for_restart": for_restart})
        end_each(self._log, partial(self.ledger.note, last), self.ledger.stop)
        if self._disk is not None:
            await self._close(self._disk, max(0.0, late_s - self._ports.clock.seconds()))

    # -- services and the kernel --------------------------------------------------------------

    def begins(self, settings: ServiceSettings) -> None:
        """A service is looked after from now on."""
        monitors = tuple(each.monitor for each in settings.monitors)
        self.chronicle.begins(settings.name, settings.depool_threshold, monitors)

    def stepped(self, service: str, step: PolicyStep) -> None:
        """See Chronicle. In a storm there are thousands, which are noted when there is time."""
        because = self.chronicle.because_of(step.event)
        if self._deferral.defers:
            step = brief(step)
        self._deferral.take(self.chronicle.stepped, service, step, because, self.ledger.moment())

    def stands(self, key: ServiceKey) -> None:
        """The kernel holds what is published of a service."""
        self._kernel(key, "The kernel holds {name} as it should be", {"answer": "stands"})

    def refused(self, key: ServiceKey, servers: Collection[DestinationKey]) -> None:
        """The kernel refuses servers of a service."""
        refused = sorted(str(each) for each in servers)
        text = f"The kernel refuses servers of {{name}}: {named(refused, _NAMED, '; ')}"
        self._kernel(key, text, {"answer": "refused", "servers": refused})

    def lost(self, key: ServiceKey) -> None:
        """What stood of a service is gone, and the kernel does not take it back."""
        self._kernel(key, "The kernel has lost {name}, and refuses it", {"answer": "lost"})

    def drifted(self, key: ServiceKey, words: str) -> None:
        """Others have changed a service in the kernel; it is repaired."""
        inputs = {"answer": "drift", "differences": words}
        self._kernel(key, f"Others have changed {{name}}: {words}; it is repaired", inputs)

    def _kernel(self, key: ServiceKey, text: str, inputs: dict[str, Any]) -> None:
        words = text.replace("{name}", str(key))
        service, moment = self._names(key), self.ledger.moment()
        self._deferral.take(self._kernel_answered, service, words, inputs, moment)

    def _kernel_answered(
        self, service: str | None, words: str, inputs: dict[str, Any], moment: Moment
    ) -> None:
        cause = None if service is None else self.chronicle.latest(service)
        note = Note(Kind.KERNEL, words, service, cause=cause, inputs=inputs)
        seq = self.ledger.note(note, moment)
        if service is not None:
            self.chronicle.goes_on(service, seq)

    # -- BGP --------------------------------------------------------------------------------

    def route(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        """What is to be announced for a service from now on."""
        addresses = [str(each.address) for each in wanted or ()]
        before = self._announced.get(service, [])
        if addresses == before or service not in self.chronicle.services:
            return  # Only its attributes are other ones; or it was replaced.
        self._announced[service] = addresses
        is_, what = ("is", addresses) if addresses else ("is no longer", before)
        text = f"{', '.join(what)} {is_} to be announced"
        inputs = {"announced": addresses}
        self._deferral.take(self._caused, Kind.ROUTE, text, service, inputs, self.ledger.moment())

    def _caused(
        self, kind: Kind, text: str, service: str, inputs: dict[str, Any], moment: Moment
    ) -> None:
        """By the last event of the service."""
        cause = self.chronicle.latest(service)
        self.ledger.note(Note(kind, text, service, cause=cause, inputs=inputs), moment)

    def _by_itself(
        self, kind: Kind, text: str, service: str, inputs: dict[str, Any], moment: Moment
    ) -> None:
        self.ledger.note(Note(kind, text, service, inputs=inputs), moment)

    def session(self, peer: str, established: bool, error: str) -> None:
        """A BGP session stands, or no longer."""
        text = f"The BGP session with {peer} is " + ("established" if established else "lost")
        if error and not established:
            text += f": {error}"
        inputs = {"peer": peer, "established": established, "error": error}
        concern = Concern(Subject("peer", peer), begins=not established)
        self.ledger.note(Note(Kind.BGP, text, inputs=inputs, concern=concern))
        (self._lost_peers.discard if established else self._lost_peers.add)(peer)

    def peers(self, left: Collection[str]) -> None:
        """Another configuration has left these: of others no session comes any more."""
        for gone in self._lost_peers.difference(left):
            self.ledger.gone(Subject("peer", gone), "")
        self._lost_peers.intersection_update(left)

    # -- the director -------------------------------------------------------------------------

    def isolation(self, phase: Phase, kept: int) -> None:
        """The phase of the isolation rule has changed; so many reports are kept, or acted on as the
        hold expires."""
        words = _PHASES.get(phase)
        if words is None or (self._isolated is None and phase is not Phase.CUT_OFF):
            return
        inputs = {"phase": phase.name.lower(), "reports_kept": kept}
        begins = phase in (Phase.CUT_OFF, Phase.HOLD_EXPIRED)
        concern = Concern(Subject("isolation", "this director"), begins=begins)
        text = words.format(reports=counted(kept, "report"), failures=counted(kept, "failure"))
        self._isolated = self.ledger.note(
            Note(Kind.ISOLATION, text, cause=self._isolated, inputs=inputs, concern=concern)
        )
        if phase is Phase.NORMAL:
            self._isolated = None

    def asked(
        self,
        kind: Literal[Kind.OPERATOR, Kind.OVERRIDE],
        text: str,
        by: str,
        *,
        service: str | None = None,
        host: str | None = None,
        inputs: Inputs | None = None,
    ) -> int:
        """An operator, `by` name, wants something. Gives the event's number."""
        return self.ledger.note(
            Note(kind, text, service, host, inputs={"by": by, **(inputs or {})})
        )

    @contextmanager
    def because(self, cause: int) -> Iterator[None]:
        """What the policies do within `with`, no longer than this turn of the reactor, is the
        consequence of the event numbered `cause`."""
        before, self.chronicle.because = self.chronicle.because, cause
        try:
            yield
        finally:
            self.chronicle.because = before

    def cause(self) -> BecauseOf | None:
        """See CoordinatorPorts."""
        cause = self.chronicle.because
        return None if cause is None else partial(self.because, cause)

    def overridden(self, event: OverrideEvent) -> None:
        """An override begins or ends; the service is told of it soon."""
        override = event.override
        wish = f"{override.action.value} {override.host} in {override.service}"
        by = event.by or "nobody"
        if event.what is Happening.BEGUN:
            text = f"{by} has PyBal {wish} for a time: {override.reason}"
        else:
            text = f"{_ENDED[event.what].format(by=by)}: {wish}"
        inputs = {"what": event.what.value, "until": override.until, "reason": override.reason}
        asked = self.asked(
            Kind.OVERRIDE, text, by, service=override.service, host=override.host, inputs=inputs
        )
        # Of one that is dropped its service hears no more; a later one of that name is another.
        if event.what is not Happening.DROPPED:
            self.chronicle.overridden[override.service] = asked

    def kept(self, service: str, notice: GuardNotice) -> None:
        """What a service's list takes away is kept, or no longer."""
        _, text = guard_line(notice, service, None)
        inputs = {"change": type(notice).__name__, "servers": list(notice.hosts)}
        # What is held is so by its list: what the service met with last has nothing to do with it,
        # and its incident, perhaps over long since, would hide the held list.
        note = self._caused if isinstance(notice, ChangeReleased) else self._by_itself
        self._deferral.take(note, Kind.HELD, text, service, inputs, self.ledger.moment())

    # -- the configuration --------------------------------------------------------------------

    def reloading(self, steps: Iterable[str]) -> None:
        """The daemon goes over to another configuration."""
        said = list(steps)
        text = f"Reload: {named(said, _NAMED, '; ') or 'nothing has changed'}"
        self.chronicle.reload = self.ledger.note(Note(Kind.RELOAD, text, inputs={"steps": said}))

    def reloaded(self, outcome: ReloadSnapshot) -> None:
        """It has, or could not, or the file was refused."""
        begun, self.chronicle.reload = self.chronicle.reload, None
        if not outcome.successful:
            errors = list(outcome.errors)
            text = f"pybal.conf was {outcome.outcome.value}: {named(errors, _NAMED, '; ')}"
            self.ledger.note(Note(Kind.RELOAD, text, cause=begun, inputs={"errors": errors}))

    def go_over_to(self, services: Iterable[str]) -> None:
        """These are configured now."""
        configured = set(services)
        for gone in [each for each in self.chronicle.services if each not in configured]:
            self.chronicle.ends(gone)
            self._announced.pop(gone, None)


_ENDED = {
    Happening.UNDONE: "{by} ends an override",
    Happening.EXPIRED: "An override is over",
    Happening.DROPPED: "An override ends with its service",
}
_PHASES = {
    Phase.CUT_OFF: "This director is cut off: no server answers. Pools are held as they are",
    Phase.HOLD_EXPIRED: "Still cut off: {reports} acted on after all",
    Phase.SETTLING: "Servers answer again: {failures} to be checked anew before they count",
    Phase.NORMAL: "This director is no longer taken for cut off",
}
