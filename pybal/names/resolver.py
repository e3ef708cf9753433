"""Host names to addresses, kept up to date, for all services together.

However many servers share a name, it is asked for once per address family and refreshed when
its answer's time is over. What is known stays in use until something better is: a failed
lookup never takes an address away.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import ResolutionError
from pybal.model import IPAddress
from pybal.names.parsing import Addresses, normal_name
from pybal.net.addresses import parse_address
from pybal.runtime.backoff import doubling_s
from pybal.runtime.coalescing import coalesced

LOOKUP_TIMEOUT_S = 5.0
MIN_REFRESH_S = 10.0
MAX_REFRESH_S = 300.0
RETRY_S = 1.0
MAX_RETRY_S = 30.0
MAX_UNDER_WAY = 100
MAX_IDLE_NAMES = 4096
"""Names that nobody watches any more are remembered up to about this number, so that a service
that is set up anew finds its addresses even while DNS is away."""

REMEMBER_AFTER_S = 4.0
"""A name that was never looked up is waited for so long before its address of the last run is
used; less than the Coordinator waits for all names of a list."""

OnChange = Callable[[IPAddress | None], None]
_Then = Callable[[Addresses | str], None]
_T = TypeVar("_T")


class NamesClient(Protocol):
    """Asks for the addresses of a name, once. Fails with ResolutionError; can be cancelled."""

    def query(self, host: str, family: int) -> Deferred[Addresses]: ...


class Book(Protocol):
    """The addresses of the last run. Names are in normal form."""

    def get(self, name: str, family: int) -> IPAddress | None: ...

    def put(self, name: str, address: IPAddress) -> None: ...


class Watch:
    """One watcher of one name; after stop(), which is idempotent, nothing is told any more."""

    def __init__(self, on_change: OnChange, on_stop: Callable[[Watch], None], log: Logger) -> None:
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

    Of several addresses one is used, and kept while it is among the answers; the first choice is
    the lowest, so that it is the same after a restart.
    """

    def __init__(
        self,
        clock: Any,
        random: random.Random,
        client: NamesClient,
        log: Logger,
        book: Book | None,
    ) -> None:
        self._means = _Means(clock, random, _Lookups(clock, client), log, book)
        self._log = log
        self._names: dict[tuple[str, int], _Name] = {}
        self._most_names = MAX_IDLE_NAMES

    def watch(self, host: str, family: int, on_change: OnChange) -> Watch:
        """Tell the address of `host` in family 4 or 6, and every change of it, until stopped.

        The first call comes when the first lookup has ended, or from within watch() where the
        answer is known (an address literal always is); it gives None if there is no address.
        Lookups go on after that, so a later call may bring one.
        """
        literal = parse_address(host)
        if literal is not None:
            watch = Watch(on_change, lambda _: None, self._log)
            watch.tell(self._of_family(literal, family))
            return watch
        name = self._name(host, family)
        watch = Watch(on_change, name.remove, self._log)
        name.add(watch)
        return watch

    def lookup(self, host: str, family: int) -> Deferred[IPAddress]:
        """The address of `host` in family 4 or 6, the last known one if it cannot be had now;
        fails with ResolutionError."""
        result: Deferred[IPAddress] = Deferred(lambda _: watch.stop())

        def ended(address: IPAddress | None) -> None:
            if result.called:
                return
            if address is not None:
                result.callback(address)
            else:
                result.errback(ResolutionError(f"{host} has no IPv{family} address"))

        watch = self.watch(host, family, ended)

        def stop(outcome: _T) -> _T:
            watch.stop()
            return outcome

        return result.addBoth(stop)

    def _of_family(self, literal: IPAddress, family: int) -> IPAddress | None:
        if literal.version == family:
            return literal
        self._log.error("{host} is no IPv{family} address", host=str(literal), family=family)
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


@dataclass(frozen=True, slots=True)
class _Means:
    """What all names share."""

    clock: Any
    random: random.Random
    lookups: _Lookups
    log: Logger
    book: Book | None


class _Name:
    """What is known of one name in one family, and who wants to know."""

    def __init__(self, host: str, family: int, means: _Means) -> None:
        self._host = host
        self._family = family
        self._clock = means.clock
        self._random = means.random
        self._lookups = means.lookups
        self._log = means.log
        self._book = means.book
        self._remembered = None if means.book is None else means.book.get(normal_name(host), family)
        self._watches: dict[Watch, None] = {}  # in the order in which they came
        self._address: IPAddress | None = None
        self._known_until = 0.0
        self._failures = 0
        self._asking = False
        self._refresh: Any = None
        if self._remembered is not None:
            self._clock.callLater(REMEMBER_AFTER_S, self._remember)

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._watches)

    def add(self, watch: Watch) -> None:
        """Tell this one too: now if the last outcome is fresh or in use by others, else when a
        lookup has ended."""
        first = not self._watches
        self._watches[watch] = None
        fresh_s = self._known_until - self._clock.seconds()
        if self._asking:
            if not first and self._address is not None:
                watch.tell(self._address)
            return
        if fresh_s <= 0:
            self._ask()
            return
        if first:
            self._refresh = self._clock.callLater(fresh_s, self._ask)
        watch.tell(self._address)

    def remove(self, watch: Watch) -> None:
        """This one has stopped."""
        self._watches.pop(watch, None)
        if not self._watches:
            self._cancel_refresh()

    def _cancel_refresh(self) -> None:
        if self._refresh is not None and self._refresh.active():
            self._refresh.cancel()

    def _ask(self) -> None:
        # It may be due and not have come yet; two would go on side by side for ever.
        self._cancel_refresh()
        self._asking = True
        self._lookups.ask(self._host, self._family, self._answered)

    def _remember(self) -> None:
        """It takes long: use what the last run knew, until there is something better."""
        if self._address is None:
            self._address = self._remembered
            self._tell()

    def _tell(self) -> None:
        for watch in list(self._watches):
            watch.tell(self._address)

    def _answered(self, outcome: Addresses | str) -> None:
        self._asking = False
        delay_s = self._failed(outcome) if isinstance(outcome, str) else self._found(outcome)
        now_s = self._clock.seconds()
        delay_s = coalesced(now_s, delay_s * self._random.uniform(0.9, 1.0))
        self._known_until = now_s + delay_s
        if self._watches:
            self._refresh = self._clock.callLater(delay_s, self._ask)
        self._tell()

    def _found(self, found: Addresses) -> float:
        former = self._address
        if former not in found.addresses:
            self._address = min(found.addresses, key=int)
        if self._failures or (former is not None and former != self._address):
            self._log.info(
                "{host} has the IPv{family} address {address}{before}",
                host=self._host,
                family=self._family,
                address=str(self._address),
                before=f", before {former}" if former not in (None, self._address) else " again",
            )
        self._failures = 0
        if self._book is not None and self._address is not None:
            self._book.put(normal_name(self._host), self._address)
        return min(MAX_REFRESH_S, max(MIN_REFRESH_S, found.ttl_s))

    def _failed(self, why: str) -> float:
        if self._address is None:
            self._address = self._remembered
        self._failures += 1
        if self._failures == 1:
            self._log.warn(
                "{host} cannot be resolved to an IPv{family} address: {why}; {consequence}",
                host=self._host,
                family=self._family,
                why=why,
                consequence=f"the last known one, {self._address}, stays in use"
                if self._address is not None
                else "trying on",
            )
        return doubling_s(self._failures - 1, RETRY_S, MAX_RETRY_S)


class _Lookups:
    """Lookups under way, not too many at once, each of bounded time."""

    def __init__(self, clock: Any, client: NamesClient) -> None:
        self._clock = clock
        self._client = client
        self._waiting: deque[tuple[str, int, _Then]] = deque()
        self._under_way = 0
        self._starting = False

    def ask(self, host: str, family: int, then: _Then) -> None:
        """Look up as soon as there is room; `then` gets the addresses, or why there are none,
        perhaps before this returns."""
        self._waiting.append((host, family, then))
        self._start()

    def _start(self) -> None:
        if self._starting:
            return  # the loop below, further up the stack, comes to it
        self._starting = True
        try:
            while self._waiting and self._under_way < MAX_UNDER_WAY:
                host, family, then = self._waiting.popleft()
                self._under_way += 1
                asked = maybeDeferred(self._client.query, host, family)
                asked.addTimeout(LOOKUP_TIMEOUT_S, self._clock)
                asked.addBoth(self._ended, then)
        finally:
            self._starting = False

    def _ended(self, outcome: Addresses | Failure, then: _Then) -> None:
        self._under_way -= 1
        then(_why(outcome) if isinstance(outcome, Failure) else outcome)
        self._start()


def _why(failure: Failure) -> str:
    if isinstance(failure.value, TimeoutError):
        return f"no answer within {LOOKUP_TIMEOUT_S:.0f} s"
    if isinstance(failure.value, ResolutionError):
        return str(failure.value)
    return f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
