"""A round of probes: whether servers answer this director at all, asked of several at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pybal.errors import is_local_fault
from pybal.health.isolation import PROBE_S, Answers, Isolation
from pybal.health.stalls import StallMeter
from pybal.model import IPAddress
from pybal.net.port import Channel, Network, TCPEvents
from pybal.runtime.clock import Clock, DelayedCall, cancel

ASKED_FIRST = 1
OTHERS_AFTER_S = 0.02
"""Where answers settled the last round sooner than that, so many servers are asked first, and the
others if these have not settled it by then: the first answer does, nearly always, and in a storm
each connection more keeps the kernel's table waiting."""


class ProbeTarget(NamedTuple):
    """A server that can be probed: by a TCP connection, which is closed at once."""

    host: str
    address: IPAddress
    port: int
    source: IPAddress | None = None
    """The source address; None: the kernel chooses one."""


class ProbeResult(NamedTuple):
    """What a round has found. `stalled`: this process stood still meanwhile, so that silence says
    nothing."""

    answers: Answers
    stalled: bool
    took_s: float


class ProbeRound:
    """Probes all targets, some of them first. Calls `done(rule, result)` once the rule's verdict is
    certain, or after PROBE_S, but never from within start()."""

    def __init__(
        self,
        clock: Clock,
        network: Network,
        stall_meter: StallMeter,
        targets: Iterable[ProbeTarget],
        rule: Isolation,
        done: Callable[[Isolation, ProbeResult], None],
    ) -> None:
        self._clock = clock
        self._network = network
        self._stall_meter = stall_meter
        self._to_ask = deque(targets)
        self._rule = rule
        self._done = done
        self._open: dict[ProbeTarget, Channel] = {}
        self._answered = 0
        self._silent: list[ProbeTarget] = []
        self._mark = stall_meter.mark()
        self._timers: list[DelayedCall] = []
        self._began_at_s = 0.0

    def start(self, first: float) -> None:
        """Ask so many servers at once, and the others a moment later."""
        self._began_at_s = self._clock.seconds()
        self._ask(first)
        call_later = self._clock.callLater
        self._timers = [call_later(PROBE_S if self._open else 0, self._end)]
        if self._to_ask:
            self._timers.append(call_later(OTHERS_AFTER_S, self._ask))

    def stop(self) -> None:
        """Ask nobody any more, and tell nobody. Idempotent."""
        for timer in self._timers:
            cancel(timer)
        self._timers.clear()
        self._to_ask.clear()
        for channel in self._open.values():
            channel.close()
        self._open.clear()

    def _ask(self, most: float = math.inf) -> None:
        """Have so many under way, as far as there are others."""
        while self._to_ask and len(self._open) < most:
            self._connect(self._to_ask.popleft())

    def _connect(self, target: ProbeTarget) -> None:
        events = TCPEvents(
            connected=lambda: self._count(target, answered=True),
            received=lambda _: None,
            # A refusal is an answer, too.
            closed=lambda error: self._count(
                target, answered=error is None or isinstance(error, ConnectionError)
            ),
        )
        try:
            channel = self._network.connect_tcp(
                target.address, target.port, events, source=target.source
            )
        except OSError as error:
            # A local fault says nothing about the server.
            if not is_local_fault(error):
                self._silent.append(target)
        else:
            self._open[target] = channel

    def _count(self, target: ProbeTarget, *, answered: bool) -> None:
        self._open.pop(target).close()
        self._answered += answered
        if not answered:
            self._silent.append(target)
        if not self._rule.looks_isolated(self._found()):
            self._end()
            return
        if not self._open:
            self._ask()
        if not self._open:
            self._end()

    def _found(self) -> Answers:
        """Who has not answered yet is silent."""
        silent = (*self._silent, *self._open, *self._to_ask)
        networks = {network_of(target.address) for target in silent}
        return Answers(self._answered, len(silent), len(networks))

    def _end(self) -> None:
        found = self._found()
        stalled = bool(found.silent) and self._stall_meter.stalled(self._mark)
        self.stop()
        took_s = self._clock.seconds() - self._began_at_s
        self._done(self._rule, ProbeResult(found, stalled, took_s))


def network_of(address: IPAddress) -> int:
    """The /24 or /64 that an address is in: hosts of one are behind the same switch or router."""
    return int(address) >> (8 if address.version == 4 else 64)
