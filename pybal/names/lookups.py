"""Look-ups under way, not too many at once, each of bounded time; the slow delay no others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import said_by
from pybal.names.parsing import Addresses
from pybal.runtime.clock import cancel

LOOKUP_TIMEOUT_S = 5.0
SLOW_AFTER_S = 0.25
"""A look-up that takes longer makes room for others."""

MAX_UNDER_WAY = 100
MAX_SLOW = 400
"""Each look-up under way, quick or slow, is a socket."""


class NamesClient(Protocol):
    """Knows where to ask for the addresses of a name."""

    def local(self, host: str, family: int) -> Addresses | None:
        """What this host says itself, which counts before all others."""
        ...

    def query(self, host: str, family: int) -> Deferred[Addresses]:
        """Ask once. Fails with ResolutionError; can be cancelled."""
        ...


class LookUp:
    """One name's look-up, made again and again, one at a time; `then` gets the addresses, or why
    there are none. The rest is LookUps' own."""

    def __init__(self, host: str, family: int, then: Callable[[Addresses | str], None]) -> None:
        self.host = host
        self.family = family
        self.then = then
        self.is_slow = False
        self.is_put_off = False
        self.began_at = 0.0
        self.lane: _Lane | None = None
        self.timer: Any = None
        self.asked: Deferred[Any] | None = None


@dataclass(slots=True)
class _Lane:
    """Look-ups that share some number of places."""

    places: int
    waiting: deque[LookUp] = field(default_factory=deque)
    under_way: int = 0

    def admit(self, look_up: LookUp) -> None:
        """Give it a place, and free the one that it has."""
        self.under_way += 1
        if look_up.lane is not None:
            look_up.lane.under_way -= 1
        look_up.lane = self


class LookUps:
    """Two lanes: in the first are all whose last look-up was quick. One that takes longer than
    SLOW_AFTER_S goes over to the second, or waits there if that is full: so names that cannot be
    resolved wait for each other, and the rest only for what is as quick as they are."""

    def __init__(self, clock: Any, client: NamesClient, log: Logger) -> None:
        self._log = log
        self._clock = clock
        self._client = client
        self._quick = _Lane(MAX_UNDER_WAY)
        self._slow = _Lane(MAX_SLOW)
        self._starting = False

    def ask(self, look_up: LookUp) -> None:
        """Look up as soon as there is room; `then` is called once, perhaps before this returns."""
        local = self._client.local(look_up.host, look_up.family)
        if local is not None:
            look_up.then(local)
            return
        lane = self._slow if look_up.is_slow else self._quick
        lane.waiting.append(look_up)
        self._start()

    def _start(self) -> None:
        if self._starting:
            return  # the loop below, further up the stack, comes to it
        self._starting = True
        try:
            for lane in (self._quick, self._slow):
                while lane.waiting and lane.under_way < lane.places:
                    self._begin(lane.waiting.popleft(), lane)
        finally:
            self._starting = False

    def _begin(self, look_up: LookUp, lane: _Lane) -> None:
        lane.admit(look_up)
        look_up.began_at = self._clock.seconds()
        if lane is self._quick:
            look_up.timer = self._clock.callLater(SLOW_AFTER_S, self._takes_long, look_up)
        look_up.asked = asked = maybeDeferred(self._client.query, look_up.host, look_up.family)
        asked.addTimeout(LOOKUP_TIMEOUT_S, self._clock)
        asked.addBoth(self._ended, look_up)

    def _takes_long(self, look_up: LookUp) -> None:
        if self._slow.under_way < self._slow.places:
            self._slow.admit(look_up)
            self._start()
        elif look_up.asked is not None:
            look_up.is_put_off = True
            look_up.asked.cancel()

    def _ended(self, outcome: Addresses | Failure, look_up: LookUp) -> None:
        if look_up.lane is not None:
            look_up.lane.under_way -= 1
            look_up.lane = None
        cancel(look_up.timer)
        look_up.is_slow = self._clock.seconds() - look_up.began_at >= SLOW_AFTER_S
        if look_up.is_put_off:
            look_up.is_put_off = False
            self.ask(look_up)
            return
        try:
            look_up.then(_why(outcome) if isinstance(outcome, Failure) else outcome)
        except Exception:  # noqa: BLE001 - no other name is to wait for that
            self._log.failure("An answer for {host} could not be taken", host=look_up.host)
        self._start()


def _why(failure: Failure) -> str:
    if isinstance(failure.value, TimeoutError):
        return f"no answer within {LOOKUP_TIMEOUT_S:.0f} s"
    return said_by(failure.value)
