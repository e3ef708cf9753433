"""The last good list of one service's source, and what is known of that source.

Sources report here what they got; this decides what is published, kept, and logged. How much of a
published list comes into force is for the pool's guard to say (pool/guarded_list.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from twisted.logger import Logger

from pybal.config.pool_list import PoolList
from pybal.errors import SourceError
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList, SourceSnapshot
from pybal.runtime.clock import cancel
from pybal.runtime.naming import counted, duration, named, quoted
from pybal.sources.list_cache import CachedList, ListCache
from pybal.sources.ports import Publish
from pybal.state.state_file import StateFileError

GRACE_S = 6.0
"""How long a source may stay silent at the start before the list on disk is used; a little
longer than one fetch may take."""

_KEEP_AGAIN_S = 3600.0
"""A list that stays the same is written anew so often, so that its age on disk tells how long
the source has been away."""


_MAX_LOGGED = 20
"""So many bad entries of a list, and so many different errors in a row, are logged."""


class Origin(NamedTuple):
    """Where a list comes from: its URL without secrets, how log lines begin that tell of it, and
    the log that they go to."""

    url: str
    what: str
    log: Logger


class LastGoodList:
    """Publishes good lists that differ from the one published last; keeps on disk what of them is
    in force.

    If the source fails first, or says nothing for GRACE_S, the list of the last run is
    published from the cache (None: there is no cache); not if it is another source's, which the
    first list is held against alone. Servers that vanish together with
    something unreadable stay as they were, in force and on disk, until a list is whole; at the
    start that is as the last run left them. Errors are logged once each until
    the source is good again, bad entries once each until a list comes without them.

    A source that has not been read for `overdue_s` is stale, whatever keeps it from saying so.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        log: Logger,
        clock: Any,
        now: Callable[[], float],
        publish: Publish,
        cache: ListCache | None,
        overdue_s: float,
    ) -> None:
        self._origin = origin
        self._log = log
        self._clock = clock
        self._now = now
        self._publish = publish
        self._cache = cache
        self._overdue_s = overdue_s
        self._last_run: CachedList | None = None
        self._before_us: CachedList | None = None
        """The same, or what another source left."""
        self._unusable_cache = ""
        self._servers: tuple[ServerSpec, ...] = ()
        self._in_force: tuple[ServerSpec, ...] = ()
        self._former: tuple[ServerSpec, ...] = ()
        self._goes_on_with: tuple[ServerSpec, ...] = ()
        self._past: ListPast | None = None
        self._found: PoolList | None = None
        self._damage: tuple[str, ...] = ()
        self._kept: tuple[str, ...] = ()
        self._stale = False
        self._good_at: float | None = None
        self._told_at_s: float = clock.seconds()
        self._error: str | None = None
        self._failing_since_s: float | None = None
        self._logged_errors: set[str] = set()
        self._logged_problems: frozenset[str] = frozenset()
        self._saved_at = 0.0
        self._grace: Any = None
        self._stopped = False

    def start(self) -> None:
        """The source is about to start. Reads the list of the last run from the disk."""
        self._grace = self._clock.callLater(GRACE_S, self._silent)
        if self._cache is not None and not self._former:
            try:
                self._begin_with(self._cache.load())
            except StateFileError as error:
                self._unusable_cache = str(error)

    def _begin_with(self, kept: CachedList | None) -> None:
        if kept is not None and kept.other_source:
            self._unusable_cache = f"it came from another source, {quoted(kept.other_source, 200)}"
            self._before_us = kept
        else:
            self._last_run = self._before_us = kept

    def stop(self) -> None:
        """Publish and log nothing any more. Idempotent."""
        self._stopped = True
        cancel(self._grace)
        if self._cache is not None:
            self._cache.stop()

    def accept(self, found: PoolList, began_at: float) -> None:
        """The source gave this list; `began_at` is when its reading began, in Unix seconds.

        Raises SourceError for a list without servers, which is never put in force.
        """
        if self._stopped:
            return
        if found is self._found:
            self.unchanged(began_at)
            return
        self._log_problems([str(problem) for problem in found.problems])
        servers = found.over(self._reference(found))
        if not servers:
            raise SourceError("the list holds no servers")
        self._note_damage(found, servers)
        self._good(began_at)
        self._publish_if_other(servers)
        self._found = found
        self._save(changed=False)

    def accept_part(self, found: PoolList) -> None:
        """The source is being read, and this is in it for sure. A part is never the first list."""
        before = self._reference(found)
        if self._stopped or not before:
            return
        self._found = None
        self._publish_if_other(found.over(before))

    def follow(
        self, servers: tuple[ServerSpec, ...], good_at: float | None, *, falls_back: bool
    ) -> None:
        """See Source."""
        self._former, self._good_at = servers, good_at
        self._goes_on_with = servers if falls_back else ()

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        """What of the published list is in force, which is what the next start is to find. Servers
        that the list takes away may be held."""
        changed = servers != self._in_force or not past.is_as(self._past)
        self._in_force, self._past = servers, past
        self._save(changed=changed)

    def unchanged(self, began_at: float) -> None:
        """The source is fine and stands by the list that it gave last."""
        if not self._stopped:
            self._good(began_at)
            self._save(changed=False)

    def reject(self, error: str) -> None:
        """The source could not be asked, or gave nothing usable."""
        if self._stopped:
            return
        self._told_at_s = self._clock.seconds()
        self._error = error
        self._stale = True
        if self._failing_since_s is None:
            self._failing_since_s = self._clock.seconds()
        # The same fault with another port or duration in its text is not news.
        kind = re.sub(r"\d+", "0", error)
        if kind not in self._logged_errors and len(self._logged_errors) < _MAX_LOGGED:
            self._logged_errors.add(kind)
            self._origin.log.error("{what}: {error}", what=self._origin.what, error=error)
        self._fall_back()

    def snapshot(self) -> SourceSnapshot:
        """The source as it stands."""
        silent_s = self._clock.seconds() - self._told_at_s
        stale, error = self._stale, self._error
        if silent_s > self._overdue_s:
            stale, error = True, error or f"it could not be read for {duration(silent_s)}"
        return SourceSnapshot(
            url=self._origin.url,
            stale=stale,
            last_good_at=self._good_at,
            last_error=error,
            damage=self._damage,
            kept=self._kept,
        )

    def _reference(self, found: PoolList) -> tuple[ServerSpec, ...]:
        """What a list that is not whole leaves as it is: what another source gave, too, if this one
        has come in its place."""
        if self._former and not self._servers:
            return self._former
        if self._servers or self._last_run is None:
            if found.damage and not self._servers:
                self._complain_of_cache()
            return self._servers
        return self._last_run.servers

    def _good(self, began_at: float) -> None:
        cancel(self._grace)
        if self._failing_since_s is not None:
            self._origin.log.info(
                "{what} is good again after {seconds:.0f} s",
                what=self._origin.what,
                seconds=self._clock.seconds() - self._failing_since_s,
            )
        self._failing_since_s = None
        self._logged_errors.clear()
        self._error = None
        self._stale = False
        self._good_at = began_at
        self._told_at_s = self._clock.seconds()

    def _note_damage(self, found: PoolList, servers: Iterable[ServerSpec]) -> None:
        """Say which servers stay for that reason alone."""
        was_damaged, self._damage = bool(self._damage), tuple(map(str, found.damage))
        kept: tuple[str, ...] = ()
        if servers is not found.servers:
            listed = {server.host for server in found.servers}
            kept = tuple(each.host for each in servers if each.host not in listed)
        if kept and kept != self._kept:
            self._origin.log.warn(
                "{what} is damaged: servers that it no longer names stay as they were"
                " until it is whole: {hosts}",
                what=self._origin.what,
                hosts=named(kept),
            )
        self._kept = kept
        if was_damaged and not self._damage:
            self._origin.log.info("{what} is whole again", what=self._origin.what)

    def _save(self, *, changed: bool) -> None:
        if self._cache is None or not self._in_force:
            return
        now = self._now()
        if changed or now - self._saved_at >= _KEEP_AGAIN_S:
            self._saved_at = now
            good_at = self._good_at if self._stale and self._good_at is not None else now
            self._cache.save(CachedList(self._in_force, good_at, self._past))

    def _silent(self) -> None:
        self.reject(f"nothing came within {GRACE_S:.0f} s")

    def _fall_back(self) -> None:
        """Only if no list is in force: use the one that was, or that the last run left behind."""
        cancel(self._grace)
        if self._servers:
            return
        if self._goes_on_with:
            count = counted(len(self._goes_on_with), "server")
            self._log.warn("Going on with the pool list in force, {servers}", servers=count)
            self._publish_if_other(self._goes_on_with, from_disk=True)
            return
        self._complain_of_cache()
        cached = self._last_run
        if cached is None:
            return
        self._good_at = cached.saved_at
        self._log.warn(
            "Using the last good pool list, {servers}, kept on disk {age} ago",
            servers=counted(len(cached.servers), "server"),
            age=duration(self._now() - cached.saved_at),
        )
        self._publish_if_other(cached.servers, from_disk=True)

    def _complain_of_cache(self) -> None:
        if self._unusable_cache:
            self._log.warn(
                "The pool list that was kept on disk is not used: {error}",
                error=self._unusable_cache,
            )
            self._unusable_cache = ""

    def _publish_if_other(
        self, servers: tuple[ServerSpec, ...], *, from_disk: bool = False
    ) -> None:
        """Publish the list if it is another one."""
        if servers == self._servers:
            return
        first, self._servers = not self._servers, servers
        found = SourceList(servers, from_disk=from_disk)
        if first and self._before_us is not None:
            before, past = self._before_us, self._past_of(self._before_us)
            found = SourceList(servers, before.servers, past, from_disk, bool(before.other_source))
        try:
            self._publish(found)
        except Exception:  # noqa: BLE001 - a fault of one list must not end the source
            self._log.failure("Publishing the pool list failed")

    def _past_of(self, last_run: CachedList) -> ListPast | None:
        """On the clock that runs. If it is another than that of the last run, no time has passed:
        a window may last longer for that, never shorter."""
        past, now_s = last_run.past, self._clock.seconds()
        if past is None or (last_run.same_clock and past.at_s <= now_s):
            return past
        return past.moved(now_s - past.at_s)

    def _log_problems(self, problems: Sequence[str]) -> None:
        new = [problem for problem in problems if problem not in self._logged_problems]
        self._logged_problems = frozenset(problems)
        for problem in new[:_MAX_LOGGED]:
            self._origin.log.warn("{what}: {problem}", what=self._origin.what, problem=problem)
        if len(new) > _MAX_LOGGED:
            self._origin.log.warn(
                "{what}: {more}",
                what=self._origin.what,
                more=counted(len(new) - _MAX_LOGGED, "more problem"),
            )
