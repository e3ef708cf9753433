"""The list in force of one service, and what is known of its source.

Sources report here what they got; this decides what is published, kept, and logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from pybal.errors import SourceError
from pybal.model import ServerSpec, SourceSnapshot
from pybal.sources.base import Publish
from pybal.sources.list_cache import CachedList, ListCache

GRACE_S = 6.0
"""How long a source may stay silent at the start before the list on disk is used; a little
longer than one fetch may take."""

_KEEP_AGAIN_S = 3600.0
"""A list that stays the same is written anew so often, so that its age on disk tells how long
the source has been away."""

_MAX_LOGGED = 20
"""So many bad entries of a list, and so many different errors in a row, are logged."""


class LastGood:
    """Publishes good lists that differ from the one in force; keeps it through failures.

    If the source fails first, or says nothing for GRACE_S, the list of the last run is
    published from the cache (None: there is no cache). Errors are logged once each until
    the source is good again, bad entries once each until a list comes without them.
    """

    def __init__(
        self,
        url: str,
        log: Logger,
        clock: Any,
        now: Callable[[], float],
        publish: Publish,
        cache: ListCache | None,
    ) -> None:
        self._url = url
        self._log = log
        self._clock = clock
        self._now = now
        self._publish = publish
        self._cache = cache
        self._servers: tuple[ServerSpec, ...] = ()
        self._stale = False
        self._good_at: float | None = None
        self._error: str | None = None
        self._failing_since: float | None = None
        self._logged_errors: set[str] = set()
        self._logged_problems: frozenset[str] = frozenset()
        self._kept_at = 0.0
        self._fell_back = False
        self._grace: Any = None
        self._stopped = False

    @property
    def servers(self) -> tuple[ServerSpec, ...]:
        """The list in force; empty while there is none."""
        return self._servers

    def start(self) -> None:
        """The source is about to start."""
        self._grace = self._clock.callLater(GRACE_S, self._silent)

    def stop(self) -> None:
        """Publish and log nothing any more. Idempotent."""
        self._stopped = True
        self._end_grace()

    def accept(self, servers: Sequence[ServerSpec], problems: Sequence[str] = ()) -> None:
        """The source gave this list, less the entries that `problems` tell of.

        Raises SourceError for a list without servers, which is never put in force.
        """
        if self._stopped:
            return
        self._log_problems(problems)
        if not servers:
            consequence = "; the last good one stays in force" if self._servers else ""
            raise SourceError(f"the list holds no servers{consequence}")
        self._good()
        new = tuple(servers)
        changed = new != self._servers
        self._servers = new
        self._keep(changed=changed)
        if changed:
            self._publish_list()

    def unchanged(self) -> None:
        """The source is fine and stands by the list in force."""
        if not self._stopped:
            self._good()
            self._keep(changed=False)

    def reject(self, error: str) -> None:
        """The source could not be asked, or gave nothing usable."""
        if self._stopped:
            return
        self._error = error
        self._stale = True
        if self._failing_since is None:
            self._failing_since = self._now()
        # The same fault with another port or duration in its text is not news.
        kind = re.sub(r"\d+", "0", error)
        if kind not in self._logged_errors and len(self._logged_errors) < _MAX_LOGGED:
            self._logged_errors.add(kind)
            self._log.error("Pool list from {url}: {error}", url=self._url, error=error)
        self._fall_back()

    def snapshot(self) -> SourceSnapshot:
        """The source as it stands."""
        return SourceSnapshot(self._url, self._stale, self._good_at, self._error)

    def _good(self) -> None:
        self._end_grace()
        if self._failing_since is not None:
            self._log.info(
                "Pool list from {url} is good again after {seconds:.0f} s",
                url=self._url,
                seconds=self._now() - self._failing_since,
            )
        self._failing_since = None
        self._logged_errors.clear()
        self._error = None
        self._stale = False
        self._good_at = self._now()

    def _keep(self, *, changed: bool) -> None:
        now = self._now()
        if self._cache is not None and (changed or now - self._kept_at >= _KEEP_AGAIN_S):
            self._kept_at = now
            self._cache.save(CachedList(self._servers, now))

    def _silent(self) -> None:
        self.reject(f"nothing came within {GRACE_S:.0f} s")

    def _fall_back(self) -> None:
        """Once, and only if no list is in force: use the one that the last run left behind."""
        self._end_grace()
        if self._cache is None or self._fell_back or self._servers:
            return
        self._fell_back = True
        cached = self._cache.load()
        if cached is None:
            return
        self._servers = cached.servers
        self._good_at = cached.saved_at
        self._log.warn(
            "Using the last good pool list, {count} servers, kept on disk {age} ago",
            count=len(cached.servers),
            age=_age(self._now() - cached.saved_at),
        )
        self._publish_list()

    def _publish_list(self) -> None:
        try:
            self._publish(self._servers)
        except Exception:  # noqa: BLE001 - a fault of one list must not end the source
            self._log.failure("Publishing the pool list failed")

    def _log_problems(self, problems: Sequence[str]) -> None:
        new = [problem for problem in problems if problem not in self._logged_problems]
        self._logged_problems = frozenset(problems)
        for problem in new[:_MAX_LOGGED]:
            self._log.warn("Pool list from {url}: {problem}", url=self._url, problem=problem)
        if len(new) > _MAX_LOGGED:
            self._log.warn(
                "Pool list from {url}: {count} more problems",
                url=self._url,
                count=len(new) - _MAX_LOGGED,
            )

    def _end_grace(self) -> None:
        if self._grace is not None and self._grace.active():
            self._grace.cancel()


def _age(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
