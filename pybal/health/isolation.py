"""Is a server down, or is this director cut off from all of them? The rule, without any I/O.
Pure.

A monitor's failure is acted on at once, unless it looks as failures do when we are cut off: it
was a long silence (SLOW_S or more), or failures of the last `window_s` have met more than a tenth
of all hosts. Then it is kept while other servers are asked, which takes them a moment if they are
there, and PROBE_S if not:

  - most answer: it was the server. What was kept is acted on.
  - more than `threshold` of them are silent: it is us. All pools are held as they are: what was
    acted on within the window is taken back, and reports are kept. Servers are asked again and
    again; once most answer, reports of up are acted on, all that is down is checked anew, and
    what has not recovered after SETTLE_S is acted on, unless others, asked once more, are silent
    again: links flap.

After `hold_s` of being cut off, moments of answers included, everything is acted on after all; the
rule then rests until most servers have answered once.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

SLOW_S = 1.0
PROBE_S = 1.0
PROBE_AGAIN_S = 1.0
SETTLE_S = 12.0
"""Time for a check at random within RECHECK_WITHIN_S and its timeout, usually 5 s."""

RECHECK_WITHIN_S = 5.0
SUSPECT_PART = Fraction(1, 10)
FEWEST_HOSTS = 3
"""So many hosts must fail to be suspicious, and so many answers or silences make a verdict."""

MOST_PROBED = 12

Key = tuple[str, str, str]
"""Service, host and monitor."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A monitor's change. `act` hands it to the pooling policy, `retract` undoes a down."""

    key: Key
    up: bool
    slow: bool
    act: Callable[[], None]
    retract: Callable[[], None]

    @property
    def host(self) -> str:
        """Whose monitor it is."""
        return self.key[1]


class Phase(enum.Enum):
    """What the rule makes of the world; the value says it in words."""

    NORMAL = "reports are acted on at once"
    PROBING = "suspicious failures wait for what other servers say"
    CUT_OFF = "this director is cut off: pools are held as they are"
    SETTLING = "servers answer again; those that failed are checked anew"
    HOLD_EXPIRED = "cut off for too long: reports are acted on all the same"


class Isolation:
    """The rule's state. Methods return the calls that are now to be made, in order; `now_s` is
    any clock that does not jump."""

    def __init__(self, threshold: Fraction, window_s: float, hold_s: float) -> None:
        self.threshold = threshold
        self._window_s = window_s
        self._hold_s = hold_s
        self._kept: dict[Key, Report] = {}
        self._acted: dict[Key, tuple[float, Report]] = {}
        """Downs within the window, oldest first."""
        self._failing_hosts: Counter[str] = Counter()
        self._since_s = 0.0
        self._held_since_s: float | None = None
        """When we were cut off first, until what was kept then has been acted on."""
        self.phase = Phase.NORMAL
        self.isolations = 0

    @property
    def kept(self) -> int:
        """How many reports wait."""
        return len(self._kept)

    @property
    def wants_probes(self) -> bool:
        """Whether other servers are to be asked now and then."""
        return self.phase in (Phase.PROBING, Phase.CUT_OFF, Phase.HOLD_EXPIRED)

    def failing_hosts(self) -> set[str]:
        """Those of which a monitor went down lately: they are no good probe_targets."""
        return set(self._failing_hosts) | {report.host for report in self._kept.values()}

    def report(
        self, report: Report, hosts: Callable[[], int], now_s: float
    ) -> list[Callable[[], None]]:
        """A monitor changed; `hosts()` counts all hosts."""
        self._forget_old(now_s)
        self._kept.pop(report.key, None)
        if self.phase is Phase.CUT_OFF:
            self._kept[report.key] = report
            return []
        if report.up:
            self._forget(report.key)
            return [report.act]
        if self.phase is not Phase.HOLD_EXPIRED and (
            report.slow or self._many_fail(report.host, hosts)
        ):
            self._kept[report.key] = report
            if self.phase is Phase.NORMAL:
                self._enter(Phase.PROBING, now_s)
            return []
        self._note(report, now_s)
        return [report.act]

    def answers(self, answered: int, silent: int, now_s: float) -> list[Callable[[], None]]:
        """What others had to say. Too few of them mean nothing: then reports are believed."""
        heard = answered + silent
        if heard >= FEWEST_HOSTS and silent > heard * self.threshold:
            return self._cut_off(now_s)
        match self.phase:
            case Phase.PROBING:
                self._enter(Phase.NORMAL, now_s)
                return self._release(now_s)
            case Phase.CUT_OFF:
                self._enter(Phase.SETTLING, now_s)
                ups = [report for report in self._kept.values() if report.up]
                for report in ups:
                    del self._kept[report.key]
                return [report.act for report in ups]
            case Phase.HOLD_EXPIRED:
                self._enter(Phase.NORMAL, now_s)
        return []

    def tick(self, now_s: float) -> list[Callable[[], None]]:
        """Time has passed."""
        if self.phase is Phase.SETTLING and now_s - self._since_s >= SETTLE_S:
            self._enter(Phase.PROBING if self._kept else Phase.NORMAL, now_s)
        if self._held_since_s is None or now_s - self._held_since_s < self._hold_s:
            return []
        if self.phase is Phase.CUT_OFF:
            self._enter(Phase.HOLD_EXPIRED, now_s)
            return self._release(now_s)
        return []

    def _cut_off(self, now_s: float) -> list[Callable[[], None]]:
        if self.phase is not Phase.PROBING:
            return []
        self._enter(Phase.CUT_OFF, now_s)
        if self._held_since_s is None:
            self._held_since_s = now_s
        self.isolations += 1
        self._forget_old(now_s)
        # The latest first, as one undoes.
        acted = [report for _, report in reversed(self._acted.values())]
        self._acted.clear()
        self._failing_hosts.clear()
        # What is kept came later, of a new monitor under the same key.
        self._kept = {report.key: report for report in acted} | self._kept
        return [report.retract for report in acted]

    def _release(self, now_s: float) -> list[Callable[[], None]]:
        released = sorted(self._kept.values(), key=lambda report: not report.up)
        self._kept.clear()
        for report in released:
            if not report.up:
                self._note(report, now_s)
        return [report.act for report in released]

    def _enter(self, phase: Phase, now_s: float) -> None:
        self.phase, self._since_s = phase, now_s
        if phase in (Phase.NORMAL, Phase.HOLD_EXPIRED):
            self._held_since_s = None

    def _many_fail(self, host: str, hosts: Callable[[], int]) -> bool:
        failing = len(self._failing_hosts) + (host not in self._failing_hosts)
        return failing >= FEWEST_HOSTS and failing > hosts() * SUSPECT_PART

    def _note(self, report: Report, now_s: float) -> None:
        self._forget(report.key)
        self._acted[report.key] = now_s, report
        self._failing_hosts[report.host] += 1

    def _forget(self, key: Key) -> None:
        if self._acted.pop(key, None) is not None:
            host = key[1]
            self._failing_hosts[host] -= 1
            if not self._failing_hosts[host]:
                del self._failing_hosts[host]

    def _forget_old(self, now_s: float) -> None:
        while self._acted:
            key, (at_s, _) = next(iter(self._acted.items()))
            if now_s - at_s <= self._window_s:
                return
            self._forget(key)
