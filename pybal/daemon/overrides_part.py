"""Operators' overrides as a part of the daemon: begun, ended and told to the services."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.daemon.ports import DaemonPorts
from pybal.errors import ControlError, NoSuchThingError
from pybal.override import Override, Overrides
from pybal.overrides.book import (
    MAX_OVERRIDES,
    BookPorts,
    OverrideBook,
    OverrideObserver,
    nobody,
)
from pybal.overrides.file import override_file
from pybal.overrides.wish import Scope, Wish, no_service, services_meant
from pybal.pool.service import LVSService
from pybal.runtime.naming import named
from pybal.runtime.time_slices import TimeSlices
from pybal.state.keeper import Keeper

_REFUSALS_SHOWN = 5


class Begun(NamedTuple):
    """What a wish has brought: overrides, and those of before whose place they took."""

    overrides: tuple[Override, ...]
    replaced: tuple[Override, ...]


class OverridesPart:
    """Owns the book of overrides. `services` is a live view. They are kept in `state_directory`
    for the next start; None: they are not. `observe` hears of each that begins or ends."""

    def __init__(
        self,
        ports: DaemonPorts,
        services: Mapping[str, LVSService],
        time_slices: TimeSlices,
        state_directory: Path | None,
        observe: OverrideObserver = nobody,
    ) -> None:
        self._services = services
        self._time_slices = time_slices
        self._now = ports.now
        self._rid_of: frozenset[str] = frozenset()
        """Names that the reload under way, or those that failed before it, have seen to."""
        self._log = Logger(namespace="overrides")
        self._keeper: Keeper[tuple[Override, ...]] = Keeper(
            state_directory,
            override_file,
            "The list of overrides",
            (),
            ports.state_writing,
            self._log,
        )
        self._book = OverrideBook(
            BookPorts(
                clock=ports.reactor,
                now=ports.now,
                save=self._keeper.save,
                changed=self._changed,
                observe=observe,
            ),
            self._log,
        )

    def start(
        self,
        services: Collection[str],
        renames: Iterable[tuple[str, str]] = (),
        taken: Collection[str] = (),
    ) -> None:
        """With those of the last run, as far as their services are still there, maybe under another
        name: former and present one. A name that another service has `taken` is not meant."""
        names = dict(renames)
        kept = self._keeper.load()
        found = [replace(each, service=names.get(each.service, each.service)) for each in kept]
        self._book.start(found, [name for name in services if name not in taken])

    def stop(self) -> None:
        """End nothing any more. Idempotent."""
        self._book.stop()

    def of(self, service: str) -> Overrides:
        """Those of one service."""
        return self._book.of(service)

    def all(self) -> tuple[Override, ...]:
        """All that there are."""
        return self._book.all()

    def go_over_to(
        self, renames: Iterable[tuple[str, str]], taken: frozenset[str] = frozenset()
    ) -> None:
        """A reload begins to make the services others: the overrides of a renamed one (former and
        present name) go on. Where another service has `taken` the name of one that is gone they
        end, but not those that were said of the new one since."""
        self._book.rename(renames)
        self._book.drop(taken - self._rid_of)
        self._rid_of |= taken

    def gone_over_to(self, services: Collection[str]) -> None:
        """It has come to its end: those of a removed service end with it. One that has failed may
        be undone, and its services come back with theirs."""
        self._rid_of = frozenset()
        self._book.drop_all_but(services)

    async def begin(self, wish: Wish, by: str) -> Begun:
        """All of a wish, or nothing. Raises ControlError."""
        pools = {name: service.hosts for name, service in self._services.items()}
        names = services_meant(wish.scope, pools)
        now = self._now()
        overrides = tuple(wish.override(name, by, now) for name in names)
        if len(self._book.all()) + len(overrides) > MAX_OVERRIDES:
            raise ControlError(f"There are {MAX_OVERRIDES} overrides", "Undo some of them")
        if not wish.force:
            await self._check(overrides)
            overrides = self._still_there(overrides)
        replaced = self._book.begin(overrides)
        await self._tell(names)
        return Begun(overrides, replaced)

    async def end(self, scope: Scope, by: str) -> tuple[Override, ...]:
        """The overrides of a host in the services named, or in all. Raises ControlError."""
        found = [each for each in self._book.all() if each.host == scope.host]
        for name in scope.services:
            if any(each.service == name for each in found):
                continue  # its service may have gone in a reload that failed
            if name not in self._services:
                raise no_service(name, self._services)
            text = f"There is no override of {scope.host} in {name}"
            raise NoSuchThingError(text, "`pybalctl overrides` lists those that there are")
        if not found:
            text = f"There is no override of {scope.host}"
            raise NoSuchThingError(text, "`pybalctl overrides` lists those that there are")
        meant = [each for each in found if not scope.services or each.service in scope.services]
        ended = self._book.end([(each.service, each.host) for each in meant], by)
        await self._tell([each.service for each in ended])
        return ended

    def _still_there(self, overrides: Iterable[Override]) -> tuple[Override, ...]:
        """Those whose service a reload has not taken away meanwhile: the book would keep others,
        of which nobody hears any more, for a later service of that name."""
        left = tuple(each for each in overrides if each.service in self._services)
        if not left:
            raise NoSuchThingError("A reload has just removed it", "`pybalctl status` has the rest")
        return left

    async def _check(self, overrides: Iterable[Override]) -> None:
        refused = []
        for override in overrides:
            await self._time_slices.pause()
            service = self._services.get(override.service)
            if service is None or override.host not in service.hosts or not override.takes_away:
                continue  # it has gone meanwhile
            objection = service.override_objection(override)
            if objection:
                refused.append(f"{override.service}: {objection}")
        if refused:
            shown = named(refused, _REFUSALS_SHOWN, "; ")
            text = f"Too few servers would be left, nothing was changed: {shown}"
            raise ControlError(text, "Bring others up first, or say --force")

    async def _tell(self, names: Iterable[str]) -> None:
        """Pools of hundreds of servers, in dozens of services: some each turn of the reactor. None
        waits for another, and an error of one must not keep the others from hearing of it."""
        telling = []
        for name in names:
            await self._time_slices.pause()
            service = self._services.get(name)
            if service is not None:
                told = maybeDeferred(service.overrides_changed)
                telling.append(told.addErrback(self._not_told, name))
        for told in telling:
            await told

    def _not_told(self, failure: Failure, name: str) -> None:
        self._log.failure("The overrides of {name} could not be put in force", failure, name=name)

    def _changed(self, names: Collection[str]) -> None:
        telling = Deferred.fromCoroutine(self._tell(names))
        telling.addErrback(lambda failure: self._log.failure("Services not told", failure=failure))
