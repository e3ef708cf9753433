"""Decides on a service's pool list, and puts it in force: in pieces, as it may be long, and one
step after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.config.settings import ServiceSettings
from pybal.errors import PyBalError
from pybal.model import ServerSpec
from pybal.override import LaidOver, Overrides
from pybal.pool.events import Candidate, Event, ListChanged, ListPart
from pybal.pool.guarded_list import GuardedList
from pybal.pool.list_changes import Specs, differs
from pybal.pool.list_portions import NO_OVERRIDES, Portions
from pybal.pool.list_record import ListRecord
from pybal.pool.new_servers import NewServers
from pybal.pool.overlay import Laid, LaidList, Overlay
from pybal.pool.policy_steps import PolicySteps
from pybal.pool.pool_servers import PoolServers
from pybal.pool.pool_state import PoolState
from pybal.pool.ports import BecauseOf, CoordinatorPorts
from pybal.pool.publication import Publication
from pybal.pool.server import Server, stop_in_portions
from pybal.runtime.naming import named
from pybal.runtime.pieces import PIECE, Pieces, between, piecewise
from pybal.runtime.shared_work import SharedWork


class ListFailedError(PyBalError):
    """A pool list is not in force, or not as a whole; the log says why."""


class ListParts(NamedTuple):
    """The parts of one service that a list concerns. `servers`, by host, are all that are in force,
    and those that a list brings from when it is decided on; `handle` takes what the policy must
    know, `failed` why what should be in force is not."""

    ports: CoordinatorPorts
    servers: dict[str, Server]
    list: GuardedList
    overlay: Overlay
    policy: PolicySteps
    publication: Publication
    new_servers: NewServers
    pool_servers: PoolServers
    record: ListRecord
    handle: Callable[[Event], object]
    failed: Callable[[Failure], None]
    log: Logger


class _NotChecked(NamedTuple):
    """A server whose checks have failed to begin: all, or `by` this monitor."""

    server: Server
    by: str

    def __str__(self) -> str:
        return f"{self.server.host} (by {self.by})" if self.by else self.server.host


class ListSteps:
    """Of one service. Nobody else changes which of its Coordinator's servers there are."""

    def __init__(self, settings: ServiceSettings, parts: ListParts) -> None:
        self._settings = settings
        self._parts = parts
        self._list = parts.list
        self._time_slices = parts.ports.time_slices
        self._servers = parts.servers
        self._one_at_a_time = DeferredLock()
        self._to_reconsider = self._to_put = False
        """Whether that is asked for and has not begun; who asks meanwhile waits for it."""
        self._puts = 0
        """How many have begun."""
        self._putting = SharedWork[None]()
        self._cause: BecauseOf | None = None
        """Why it is to be put, if that is known: whoever puts it, maybe with something else, does
        so because of that, too."""
        self._stopped = False
        self.leaving: list[Server] = []
        """Those that are in force no longer, and have not been stopped yet."""
        self._to_admit: dict[str, Server] = {}
        """Those that have come with a list and are not in the pool yet: some of `servers`."""
        self._unchecked: deque[Server] = deque()
        """Those that have been admitted, and whose monitors have not been started yet."""
        self._to_check_later: dict[str, _NotChecked] = {}
        """It is tried again with the next list."""

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings."""
        self._settings = settings

    def stop(self) -> None:
        """Decide nothing from now on. Idempotent."""
        self._stopped = True

    async def take(
        self,
        specs: tuple[ServerSpec, ...],
        arriving: dict[str, Server],
        watch: Callable[[str], Server],
    ) -> None:
        """A list is put in force, as far as its guard allows, and its new servers are checked.
        `arriving` are these; with those that it names and that have gone while it came, as `watch`
        makes them."""
        try:
            async with self._one_at_a_time:
                await self._time_slices.finish(self._list.take(specs, self._state))
                if self._stopped:
                    return
                for host in self._list.in_force:
                    if host not in self._servers and host not in arriving:
                        arriving[host] = watch(host)
                self._servers |= arriving
                self._to_admit |= arriving
                await self._put()
        finally:
            await self._check_all()

    async def _check_all(self) -> None:
        self._unchecked.extend(server for server, _ in self._to_check_later.values())
        self._to_check_later.clear()
        while self._unchecked and not self._stopped:
            await self._time_slices.pause()
            server = self._unchecked.popleft()
            if self._servers.get(server.host) is server:
                server.start_monitors(at_once=self._list.keeps or self._is_in_doubt(server.host))

    def cannot_be_checked(self, server: Server, by: str) -> None:
        """See ServerOwner; `by`: not by this monitor, while others check it."""
        later = self._to_check_later[server.host] = _NotChecked(server, by)
        self._parts.log.failure("{what} cannot be checked", what=str(later))
        what = named(self._to_check_later.values())
        self._parts.failed(Failure(ListFailedError(f"{what} cannot be checked")))

    def _is_in_doubt(self, host: str) -> bool:
        is_down = self._parts.pool_servers.is_down(host)
        return is_down or self._parts.new_servers.may_have_stood(host)

    def reconsider(self) -> None:
        """What the list takes away and what stays all the same may go now."""
        if not self._to_reconsider:
            self._to_reconsider = True
            self._begin(self._reconsider())

    def put_soon(self) -> None:
        """What should be in force is another now."""
        self.put().addErrback(self._say_not_put)

    def put(self) -> Deferred[None]:
        """The same; fires when it is in force. If it fails it is tried again. Before the first list
        there is nothing to put: it comes with all that operators want of it."""
        self._to_put, self._cause = True, self._parts.ports.cause() or self._cause
        # Not a wait for each: the lock would hand on from one to the next by calls within calls.
        return self._putting.get(self._puts, self._put_in_turn)

    def _put_in_turn(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._put_if_asked_for()).addErrback(self._try_again)

    async def _put_if_asked_for(self) -> None:
        async with self._one_at_a_time:
            if not self._state().members:
                self._cause = None
            elif self._to_put and not self._stopped:
                await self._put()

    def _begin(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._not_put)

    def _not_put(self, failure: Failure) -> None:
        self._say_not_put(failure)
        self._parts.failed(failure)

    def _say_not_put(self, failure: Failure) -> None:
        self._parts.log.failure("A pool list cannot be put in force", failure)

    def _try_again(self, failure: Failure) -> Failure:
        self._parts.failed(failure)
        return failure

    async def _reconsider(self) -> None:
        async with self._one_at_a_time:
            self._to_reconsider = False
            before = self._list.in_force
            if not self._stopped:
                await self._time_slices.finish(self._list.reconsider(self._state))
            if self._list.in_force != before and self._state().members:
                await self._put()

    async def _put_in_portions(self) -> None:
        """If there are many."""
        cause = self._cause or nullcontext
        portions, in_force, overrides = Portions(), None, None
        await self._time_slices.finish(between(self._list.in_force))
        while not self._stopped:
            wished = dict(self._parts.ports.overrides(self._settings.name))
            if in_force is not self._list.in_force or overrides != wished:
                in_force, overrides = self._list.in_force, wished
                wanted, over = await self._time_slices.finish(self._wanted(in_force, wished))
            members = self._state().members
            if not (specs := portions.next(wanted, members, over)):
                return
            laid = (Laid(spec, over.get(spec.host)) for spec in specs)
            part = ListPart(tuple(map(self._candidate, laid)))
            with cause():
                self._parts.handle(part)
            if self._state().members is members:
                return
            self._admit(spec.host for spec in specs)
            await self._time_slices.pause()

    def _wanted(
        self, in_force: Specs, overrides: Overrides
    ) -> Pieces[tuple[Specs, Mapping[str, LaidOver]]]:
        """What the whole list is to be, and where an override makes it so."""
        if not overrides:
            return in_force, NO_OVERRIDES
        laid = yield from self._lay(in_force)
        over = {host: each.over for host, each in laid.items() if each.over is not None}
        return {host: each.spec for host, each in laid.items()}, over

    def _lay(self, in_force: Specs) -> Pieces[LaidList]:
        laid = yield from self._parts.overlay.lay(in_force, self._state(), self._worked)
        for text in self._parts.overlay.news:
            self._parts.log.warn("{text}", text=text)
        return laid

    async def _put(self) -> None:
        """The list as its guard has it now, with what operators want of its servers. The last piece
        changes what there is."""
        in_force = None
        with self._parts.publication.first_held():
            await self._put_in_portions()
        while in_force is not self._list.in_force:
            await self._time_slices.finish(between(self._list.in_force))
            self._to_put, in_force = False, self._list.in_force
            self._puts += 1
            laid = await self._time_slices.finish(self._lay(in_force))
            candidates, others = await self._time_slices.finish(self._candidates(laid))
            await self._time_slices.finish(self._foresee(in_force))
            going = await self._time_slices.finish(self._left_out_by(in_force))
            if self._stopped:
                return
        candidates.update((host, self._candidate(laid[host])) for host in others)
        event = ListChanged(tuple(candidates.values()), tuple(candidates[host] for host in others))
        try:
            await self._put_last_piece(event, in_force, going)
        finally:
            await self._stop_leaving()

    def _left_out_by(self, in_force: Specs) -> Pieces[list[str]]:
        """The servers that leave with this list, unless the policy fails to take it."""
        found: list[str] = []

        def look(part: list[str]) -> None:
            found.extend(host for host in part if host not in in_force)

        yield from piecewise(look, self._servers)
        return found

    async def _put_last_piece(
        self, event: ListChanged, in_force: Specs, going: Sequence[str]
    ) -> None:
        self._take_step(event, going)
        clock = self._parts.ports.clock
        self._parts.new_servers.first_list_is_in_force(in_force, clock.seconds())
        self._parts.record.keep()
        await self._time_slices.finish(between(in_force))
        if not self._stopped:
            addresses = ((host, each.address) for host, each in self._servers.items())
            self._parts.pool_servers.addresses.look_at(addresses)

    def _take_step(self, event: ListChanged, leaving: Sequence[str]) -> None:
        """Who leaves and who comes is as the policy has it then, should it fail, too. Raises
        ListFailedError."""
        cause, self._cause = self._cause or nullcontext, None
        is_down, failed_before = self._parts.pool_servers.is_down, self._parts.policy.failed_total
        going = {host: is_down(host) for host in leaving}
        self._parts.publication.were_removed([self._servers[host].address for host in going])
        with cause():
            self._parts.handle(event)
        members = self._state().members
        for host, down in going.items():
            if host not in members:
                self._remove(host, down=down)
        self._admit([host for host in self._to_admit if host in members])
        if self._parts.policy.failed_total != failed_before:
            raise ListFailedError("the pool, or what it is in the kernel, could not be changed")

    async def _stop_leaving(self) -> None:
        """If the service itself is stopped, that stops them."""
        if not self._stopped:
            await stop_in_portions(self.leaving, self._time_slices, self._parts.log)
            self.leaving = []
            self._state().members.forget_former()

    def _foresee(self, in_force: Collection[str]) -> Pieces[None]:
        members = self._state().members
        is_long = len(in_force) > PIECE
        if is_long and all(host in members for host in in_force):
            yield from members.foresee(in_force)
            yield

    def _admit(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            server = self._servers[host]
            self._to_admit.pop(host, None)
            server.admit()
            self._unchecked.append(server)
            self._parts.pool_servers.addresses.came(host, server.address)

    def _candidates(self, laid: LaidList) -> Pieces[tuple[dict[str, Candidate], list[str]]]:
        """All in order, and which are new or otherwise than they are there: of those it is only
        known once the list is put what they are."""
        candidates: dict[str, Candidate] = {}
        others: list[str] = []
        members = self._state().members

        def look(part: list[tuple[str, Laid]]) -> None:
            for host, each in part:
                if differs(each.spec, each.over, members.get(host)):
                    candidates[host] = Candidate(each.spec, ready=False)
                    others.append(host)
                else:
                    candidates[host] = self._candidate(each)

        yield from piecewise(look, laid.items())
        yield from between(laid)
        return candidates, others

    def _candidate(self, laid: Laid) -> Candidate:
        host = laid.spec.host
        address = self._servers[host].address
        if host in self._state().members:
            return Candidate(laid.spec, address is not None, over=laid.over)
        objection = self._parts.pool_servers.addresses.objection(host, address, None)
        at = self._parts.ports.clock.seconds()
        candidate = self._parts.new_servers.candidate(laid.spec, address, objection, at)
        return candidate if laid.over is None else candidate._replace(over=laid.over)

    def _worked(self, spec: ServerSpec) -> bool:
        """Whether a new server is taken for one that works, as the policy will take it."""
        stood = self._parts.new_servers.stood_pooled(spec, self._servers[spec.host].address)
        return stood is not False or not self._settings.monitors

    def _remove(self, host: str, *, down: bool) -> None:
        server = self._servers.pop(host)
        self._to_admit.pop(host, None)
        self._to_check_later.pop(host, None)
        self.leaving.append(server)
        server.leave()
        at = self._parts.ports.clock.seconds()
        self._parts.new_servers.left(host, server.address, at, down=down)

    def _state(self) -> PoolState:
        return self._parts.policy.state
