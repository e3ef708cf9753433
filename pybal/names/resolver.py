"""Host names to addresses, for all services and pool sources together.

However many servers share a name, it is asked for once per address family and, while it is
watched, refreshed when its answer's time is over. What is known stays in use until something better
is: a failed lookup never takes an address away.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from pybal.errors import ResolutionError
from pybal.model import IPAddress
from pybal.names.lookups import LookUp, LookUps, NamesClient
from pybal.names.parsing import Addresses, normal_name, usable
from pybal.net.addresses import parse_address
from pybal.runtime.backoff import doubling_s
from pybal.runtime.clock import cancel
from pybal.runtime.coalescing import coalesced
from pybal.runtime.naming import named

MIN_REFRESH_S = 10.0
MAX_REFRESH_S = 300.0
RETRY_S = 1.0
MAX_RETRY_S = 30.0
MAX_IDLE_NAMES = 4096
"""Names that nobody watches any more are remembered up to about this number, so that a service
that is set up anew finds its addresses even while DNS is away."""

REMEMBER_AFTER_S = 4.0
"""A name that was never looked up is waited for so long before its address of the last run is
used; less than the Coordinator waits for all names of a list."""

STALE_AFTER_S = 1.0
"""look_up() waits so long for an answer before it gives the last known addresses."""

OTHER_FAMILY_S = 0.1
"""look_up() waits so long for the other family when it has addresses of one."""

_NAMED = 3
"""So many services are named as those whose server a host is."""

OnChange = Callable[[IPAddress | None], None]


class Book(Protocol):
    """The addresses of the last run. Names are in normal form."""

    def get(self, name: str, family: int) -> IPAddress | None:
        """None if it is not known. `family` is 4 or 6."""

    def put(self, name: str, address: IPAddress) -> None:
        """The address that the name has now."""


class Watch:
    """One watcher of one name; after stop(), which is idempotent, nothing is told any more.
    `lasting` unless it wants the next outcome alone."""

    def __init__(
        self,
        on_change: OnChange,
        on_stop: Callable[[Watch], None],
        log: Logger,
        *,
        service: str = "",
        lasting: bool = True,
    ) -> None:
        self.service = service
        self.lasting = lasting
        self._on_change: OnChange | None = on_change
        self._on_stop = on_stop
        self._log = log
        self._told: tuple[IPAddress | None, ...] = ()

    def stop(self) -> None:
        """End the watch."""
        if self._on_change is not None:
            self._on_change = None
            self._on_stop(self)

    def tell(self, address: IPAddress | None) -> None:
        """Pass on an outcome, if it is the first one or differs from the one before."""
        on_change = self._on_change
        if on_change is None or self._told == (address,):
            return
        self._told = (address,)
        try:
            on_change(address)
        except Exception:  # noqa: BLE001 - one watcher's fault must not stop the others
            self._log.failure("A watcher of an address failed")


class Resolver:
    """Resolves and watches host names; `client` does the asking, `random` spreads refreshes,
    `book` (None: there is none) has the addresses of the last run.

    Of several addresses one is used, and kept while it is among the answers, over a restart, too;
    the first choice is the lowest.
    """

    def __init__(
        self,
        clock: Any,
        random: random.Random,
        client: NamesClient,
        log: Logger,
        book: Book | None,
    ) -> None:
        self._means = _Means(clock, random, LookUps(clock, client, log), log, book)
        self._clock = clock
        self._client = client
        self._log = log
        self._names: dict[tuple[str, int], _Name] = {}
        self._most_names = MAX_IDLE_NAMES

    def watch(self, host: str, family: int, on_change: OnChange, service: str = "") -> Watch:
        """Tell the address of `host` in family 4 or 6, and every change of it, until stopped;
        `service` is whose server it is.

        The first call comes when the first lookup has ended, or from within watch() where the
        answer is known (an address literal always is); it gives None if there is no address.
        Lookups go on after that, so a later call may bring one.
        """
        literal = parse_address(host)
        if literal is not None:
            watch = Watch(on_change, lambda _: None, self._log)
            watch.tell(self._of_family(literal, family, service))
            return watch
        name = self._name(host, family)
        watch = Watch(on_change, name.remove, self._log, service=service)
        name.add(watch)
        return watch

    def remembered(self, host: str, family: int) -> IPAddress | None:
        """The address that the last run had last; None if that is not known."""
        return None if parse_address(host) else self._name(host, family).remembered

    def look_up(self, host: str) -> Deferred[tuple[IPAddress, ...]]:
        """All addresses of `host`, of both families, once; the last known ones if they cannot be
        had now, and those last of all that are no longer confirmed. Fails with ResolutionError."""
        literal = parse_address(host)
        if literal is not None:
            return succeed((literal,))
        local = [found for family in (6, 4) if (found := self._client.local(host, family))]
        if local:
            # As in the C library: a name of the hosts file is asked for nowhere else.
            return succeed(tuple(chain.from_iterable(each.addresses for each in local)))
        names = self._name(host, 6), self._name(host, 4)
        return _OneLookUp(self._clock, names, self._log).result

    def _of_family(self, literal: IPAddress, family: int, service: str) -> IPAddress | None:
        if literal.version == family:
            return literal
        self._log.error(
            "{host} is no IPv{family} address{whose}",
            host=str(literal),
            family=family,
            whose=_whose([service] if service else []),
        )
        return None

    def _name(self, host: str, family: int) -> _Name:
        key = (normal_name(host), family)
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= self._most_names:
                self._names = {k: known for k, known in self._names.items() if known.watched}
                self._most_names = len(self._names) + MAX_IDLE_NAMES
            name = self._names[key] = _Name(host, family, self._means)
        return name


class _OneLookUp:
    """What look_up() waits for: the outcome in both families, but not long for the second, nor
    for what there are last known addresses of."""

    def __init__(self, clock: Any, names: tuple[_Name, _Name], log: Logger) -> None:
        self.result: Deferred[tuple[IPAddress, ...]] = Deferred(lambda _: self._end())
        self._names = names
        self._awaited = set(names)
        self._limit = clock.callLater(STALE_AFTER_S, self._long_enough)
        self._watches: list[Watch] = []
        unknown = not any(name.addresses for name in names)
        for name in names:
            watch = Watch(partial(self._told, name), name.remove, log, lasting=False)
            self._watches.append(watch)
            name.add(watch, again_at_once=unknown)

    def _told(self, name: _Name, address: IPAddress | None) -> None:
        self._awaited.discard(name)
        if not self._awaited:
            self._finish()
        elif address is not None and name.confirmed:
            if self._limit.active():
                self._limit.reset(OTHER_FAMILY_S)
            else:
                self._finish()

    def _long_enough(self) -> None:
        if any(name.addresses for name in self._names):
            self._finish()

    def _finish(self) -> None:
        self._end()
        confirmed = [name.addresses for name in self._names if name.confirmed]
        others = [name.addresses for name in self._names if not name.confirmed]
        addresses = (*chain(*zip_longest(*confirmed)), *chain(*zip_longest(*others)))
        known = tuple(dict.fromkeys(each for each in addresses if each is not None))
        if known:
            self.result.callback(known)
        else:
            *_, last = self._names
            self.result.errback(ResolutionError(f"{last.host} has no address: {last.why}"))

    def _end(self) -> None:
        cancel(self._limit)
        for watch in self._watches:
            watch.stop()


class _Means(NamedTuple):
    """What all names share."""

    clock: Any
    random: random.Random
    lookups: LookUps
    log: Logger
    book: Book | None


class _Name:
    """What is known of one name in one family, and who wants to know."""

    def __init__(self, host: str, family: int, means: _Means) -> None:
        self.host = host
        self._family = family
        self._clock = means.clock
        self._random = means.random
        self._lookups = means.lookups
        self._lookup = LookUp(host, family, self._answered)
        self._log = means.log
        self._book = means.book
        self.remembered = None if means.book is None else means.book.get(normal_name(host), family)
        self._watches: dict[Watch, None] = {}  # in the order in which they came
        self._address: IPAddress | None = None  # the one in use
        self._answer: tuple[IPAddress, ...] = ()
        self._answered_at = 0.0
        self._known_until = 0.0
        self._failures = 0
        self._failure_told = False
        self.why = ""  # there is no answer
        self._asking = False
        self._refresh: Any = None
        if self.remembered is not None:
            self._clock.callLater(REMEMBER_AFTER_S, self._remember)

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._watches)

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """All of the last answer, or the one that the last run knew."""
        if self._answer or self.remembered is None:
            return self._answer
        return (self.remembered,)

    @property
    def confirmed(self) -> bool:
        """Whether the last lookup brought these addresses."""
        return bool(self._answer) and not self._failures

    def add(self, watch: Watch, *, again_at_once: bool = False) -> None:
        """Tell this one too: now if the last outcome is fresh or in use, else when a lookup has
        ended. `again_at_once`: a failure counts as fresh for no longer than RETRY_S."""
        first = not self._watches
        self._watches[watch] = None
        known_until = self._known_until
        if again_at_once and self._failures:
            known_until = min(known_until, self._answered_at + RETRY_S)
        fresh_s = known_until - self._clock.seconds()
        in_use = self._address is not None and (not first or self._failures > 0)
        if not self._asking and fresh_s <= 0:
            self._ask()
        elif not self._asking:
            if first:
                self._refresh = self._clock.callLater(fresh_s, self._ask)
            in_use = True
        if in_use:
            watch.tell(self._address)

    def remove(self, watch: Watch) -> None:
        """This one has stopped."""
        self._watches.pop(watch, None)
        if not self._watches:
            cancel(self._refresh)

    def _ask(self) -> None:
        # It may be due and not have come yet; two would go on side by side for ever.
        cancel(self._refresh)
        self._asking = True
        self._lookups.ask(self._lookup)

    def _remember(self) -> None:
        """It takes long: use what the last run knew, until there is something better."""
        if self._address is None:
            self._address = self.remembered
            self._tell()

    def _tell(self) -> None:
        for watch in list(self._watches):
            watch.tell(self._address)

    def _answered(self, outcome: Addresses | str) -> None:
        self._asking = False
        try:
            delay_s = self._taken(outcome)
        except Exception:  # noqa: BLE001 - no mistake of ours may end the asking
            self._log.failure("The answer for {host} could not be taken", host=self.host)
            delay_s = RETRY_S
        now_s = self._clock.seconds()
        delay_s = coalesced(now_s, delay_s * self._random.uniform(0.9, 1.0))
        self._answered_at = now_s
        self._known_until = now_s + delay_s
        if self._watches:
            self._refresh = self._clock.callLater(delay_s, self._ask)
        self._tell()

    def _taken(self, outcome: Addresses | str) -> float:
        """In how many seconds to ask again."""
        if not isinstance(outcome, str):
            outcome = usable(outcome)
        return self._failed(outcome) if isinstance(outcome, str) else self._found(outcome)

    def _found(self, found: Addresses) -> float:
        former = self._address
        if former is None and self.remembered in found.addresses:
            self._address = self.remembered
        elif former not in found.addresses:
            self._address = min(found.addresses, key=int)
        if self._failure_told or (former is not None and former != self._address):
            self._log.info(
                "{host} has the IPv{family} address {address}{before}{whose}",
                host=self.host,
                family=self._family,
                address=str(self._address),
                before=f", before {former}" if former not in (None, self._address) else " again",
                whose=self._whose(),
            )
        self._answer = found.addresses
        self._failures = 0
        self._failure_told = False
        if self._book is not None and self._address is not None:
            self._book.put(normal_name(self.host), self._address)
        return min(MAX_REFRESH_S, max(MIN_REFRESH_S, found.ttl_s))

    def _failed(self, why: str) -> float:
        if self._address is None:
            self._address = self.remembered
        self._failures += 1
        self.why = why
        # Of a look-up for once its owner tells, and a host may well have no IPv6 address.
        matters = self._address is not None or any(watch.lasting for watch in self._watches)
        if matters and not self._failure_told:
            self._failure_told = True
            self._log.warn(
                "{host} cannot be resolved to an IPv{family} address: {why}; {consequence}{whose}",
                host=self.host,
                family=self._family,
                why=why,
                consequence=f"the last known one, {self._address}, stays in use"
                if self._address is not None
                else "trying on",
                whose=self._whose(),
            )
        return doubling_s(self._failures - 1, RETRY_S, MAX_RETRY_S)

    def _whose(self) -> str:
        return _whose([watch.service for watch in self._watches if watch.service])


def _whose(services: Sequence[str]) -> str:
    """Whose server a host is: ` (server of a, b, c and 41 more)`."""
    names = list(dict.fromkeys(services))
    if not names:
        return ""
    return f" (server of {named(names, _NAMED)})"
