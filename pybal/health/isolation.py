"""The isolation rule: is a server down, or is this director cut off from all servers? Pure.

Reports of monitors come in; actions come out: deliver a report to its service, or retract one
that was delivered.

A report of down is delivered at once, unless it looks like those of an isolated director: the
check took SLOW_S or more, or reports of down within the last `window_s` concern more than a tenth
of all hosts. Such a report is kept while other servers are probed. A probe takes a round trip if
the server answers, and PROBE_S if not.

  - A director that gets answers is not isolated. As soon as one probed server answers (of several
    networks: one in twenty, as `threshold` says), kept reports are delivered: the servers are down.
    But a check that met silence may have lost its packets to a link that flaps, and is back by now:
    the server is checked again at once, and has CONFIRM_S to answer. Then others are probed once
    more, in case the link is off again, and the report is delivered if one answers.
  - Nobody answers in two rounds of probes, the second of many servers: the director is isolated.
    All pools are held as they are: reports of down that were delivered within the window are
    retracted, new reports are kept. Probes go on. Once servers answer, reports of up are delivered
    and all monitors that are down check again. Reports of down that are left after SETTLE_S are
    delivered, unless other probes find everybody silent again, since links flap.

To hold pools while nobody answers takes nothing from anybody. It ends after `hold_s`, short
recoveries included, or after NEARLY_HOLD_S if some servers answered: then everything is delivered,
so that an address can be withdrawn (bgp-withdraw-on-down), and the rule rests until servers have
answered once.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from types import MappingProxyType

from pybal.model import HealthReport

SLOW_S = 1.0
"""A check that failed after so long a time met silence, not a refusal or a reset."""

CONFIRM_S = 1.0
"""A server that was silent has so long to answer another check: a tenth of what the first one took
to find out, usually, and some hundred times what an answer takes."""

CONFIRM_WITHIN_S = 0.3
_CONFIRMS_PER_S = 5000
"""These checks come within that time; of many, so many a second."""

PROBE_S = 1.0
PROBE_AGAIN_S = 1.0
SETTLE_S = 8.0
"""Time for a check at random within RECHECK_WITHIN_S and its timeout, usually 5 s."""

RECHECK_WITHIN_S = 2.0
NEARLY_HOLD_S = 30.0
SUSPECT_PART = Fraction(1, 10)
FEWEST_HOSTS = 3
"""Fewer hosts that fail with a refusal or a reset are not suspicious."""

FEW_PROBED = 12
MANY_PROBED = 128
"""So many servers are probed in the first round, and in all later ones."""

ROUNDS = 2
"""So many rounds without answers make the verdict: one lost packet must not."""

Key = tuple[str, str, str]
"""Service, host and monitor: of each, the latest report counts."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """The report goes to its service."""

    report: HealthReport


@dataclass(frozen=True, slots=True)
class Retract:
    """The report of down was delivered, and no longer counts."""

    report: HealthReport


Action = Deliver | Retract

_NOTHING: Mapping[Key, HealthReport] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answers:
    """What a round of probes has brought: how many servers answered, how many were silent, and in
    how many networks (/24 or /64) the silent ones are."""

    answered: int
    silent: int
    networks: int = 1


class Phase(enum.Enum):
    """The state of the rule; the value describes it."""

    NORMAL = "reports are acted on at once"
    PROBING = "suspicious failures wait for what other servers say"
    CONFIRMING = "servers that were silent are checked again, as others answer"
    CUT_OFF = "this director is cut off: pools are held as they are"
    SETTLING = "servers answer again; those that failed are checked anew"
    HOLD_EXPIRED = "cut off for too long: reports are acted on all the same"


class Isolation:
    """The rule and its state. Methods return what is to be done now, in order; `now_s` is any
    clock that does not jump."""

    def __init__(self, threshold: Fraction, window_s: float, hold_s: float) -> None:
        self.threshold = threshold
        self._window_s = window_s
        self._hold_s = hold_s
        self._kept: dict[Key, HealthReport] = {}
        self._confirm_by_s: dict[Key, float] = {}
        """Of kept reports whose servers are, or have been, checked again."""
        self._delivered: dict[Key, tuple[float, HealthReport]] = {}
        """Reports of down within the window, oldest first."""
        self._failing_hosts: Counter[str] = Counter()
        self._since_s = 0.0
        self._doubtful_since_s = 0.0
        """Since when there have been reports that wait."""
        self._silent_rounds = 0
        self._some_answered = False
        """Whether there were answers at the verdict, though nearly none."""
        self._held_since_s: float | None = None
        """Since when pools have been held, until the reports kept since then are delivered."""
        self.phase = Phase.NORMAL
        self.isolations = 0

    @property
    def kept(self) -> int:
        """How many reports wait."""
        return len(self._kept)

    @property
    def confirms_at_s(self) -> float:
        """When the first of the servers that are checked again is to have answered."""
        return min(self._confirm_by_s.values())

    def to_confirm(self, now_s: float) -> tuple[set[str], float]:
        """The hosts that are to be checked again, whose second chance begins now, and within which
        time."""
        until_s = now_s + CONFIRM_S
        hosts = {key[1] for key, by_s in self._confirm_by_s.items() if by_s == until_s}
        spread_s = CONFIRM_WITHIN_S + len(self._confirm_by_s) / _CONFIRMS_PER_S
        return hosts, min(spread_s, CONFIRM_S / 2)

    @property
    def wants_probes(self) -> bool:
        """Whether other servers are to be probed now and then."""
        return self.phase in (Phase.PROBING, Phase.CUT_OFF, Phase.HOLD_EXPIRED)

    @property
    def probes(self) -> int:
        """How many servers the next round is to ask."""
        first = self.phase is Phase.PROBING and not self._silent_rounds
        return FEW_PROBED if first else MANY_PROBED

    def looks_isolated(self, found: Answers) -> bool:
        """Whether nobody answers, or nearly nobody of several networks."""
        if not found.silent or self.threshold >= 1:
            return False
        if not found.answered:
            return True
        nearly_all = found.silent > (found.silent + found.answered) * self.threshold
        return nearly_all and found.networks > 1

    def failing_hosts(self) -> set[str]:
        """Hosts with a recent report of down: they should not be probed."""
        return set(self._failing_hosts) | {report.host for report in self._kept.values()}

    def failures(self, most: int) -> list[HealthReport]:
        """Some of the reports of down that are kept, the earliest first."""
        downs = (report for report in self._kept.values() if not report.result.up)
        return list(islice(downs, most))

    def forgiven_by(self, report: HealthReport) -> HealthReport | None:
        """The report of down that was kept while others were asked, and never counts if this one is
        taken. (What fails while the director is cut off is no failure of the server's.)"""
        if not self._kept or not report.result.up:
            return None
        kept = self._kept.get(_key(report))
        doubtful = self.phase in (Phase.PROBING, Phase.CONFIRMING)
        return kept if doubtful and kept is not None and not kept.result.up else None

    @property
    def needs_host_count(self) -> bool:
        """Whether take() may look at the number of hosts. To count them takes milliseconds."""
        return len(self._failing_hosts) >= FEWEST_HOSTS - 1

    def take(self, report: HealthReport, hosts: int, now_s: float) -> list[Action]:
        """A report came in; `hosts` is the number of all hosts."""
        self._forget_old(now_s)
        key = _key(report)
        self._kept.pop(key, None)
        self._confirm_by_s.pop(key, None)
        if self.phase is Phase.CUT_OFF:
            self._kept[key] = report
            return []
        if report.result.up:
            self._forget(key)
            return [Deliver(report)]
        if self.phase is not Phase.HOLD_EXPIRED and (
            report.result.duration_s >= SLOW_S or self._many_fail(report.host, hosts)
        ):
            self._kept[key] = report
            if self.phase in (Phase.NORMAL, Phase.CONFIRMING):
                self._enter(Phase.PROBING, now_s)
            return []
        self._note(report, now_s)
        return [Deliver(report)]

    def answers(self, found: Answers, now_s: float) -> list[Action]:
        """The result of a round of probes. Without anybody to ask there is no verdict."""
        if self.looks_isolated(found):
            self._silent_rounds += 1
            if self.phase is Phase.PROBING and self._silent_rounds >= ROUNDS:
                self._some_answered = found.answered > 0
                return self._cut_off(now_s)
            return []
        was_silent, self._silent_rounds = self._silent_rounds > 0, 0
        match self.phase:
            case Phase.PROBING:
                if was_silent and now_s - self._doubtful_since_s < NEARLY_HOLD_S:
                    # The link was off just now: what was lost meanwhile has another chance, too.
                    self._confirm_by_s.clear()
                return self._others_answer(now_s)
            case Phase.CUT_OFF:
                self._enter(Phase.SETTLING, now_s)
                ups = [report for report in self._kept.values() if report.result.up]
                for report in ups:
                    del self._kept[_key(report)]
                return [Deliver(report) for report in ups]
            case Phase.HOLD_EXPIRED:
                self._enter(Phase.NORMAL, now_s)
        return []

    def tick(self, now_s: float) -> list[Action]:
        """Time has passed."""
        if self.phase is Phase.SETTLING and now_s - self._since_s >= SETTLE_S:
            self._enter(Phase.PROBING if self._kept else Phase.NORMAL, now_s)
        if self.phase is Phase.CONFIRMING:
            if not self._confirm_by_s:
                self._enter(Phase.NORMAL, now_s)
            elif now_s >= self.confirms_at_s:
                self._enter(Phase.PROBING, now_s)
        hold_s = min(self._hold_s, NEARLY_HOLD_S) if self._some_answered else self._hold_s
        if self._held_since_s is None or now_s - self._held_since_s < hold_s:
            return []
        if self.phase is Phase.CUT_OFF:
            self._enter(Phase.HOLD_EXPIRED, now_s)
            return self._release(now_s)
        return []

    def reconfigure(self, threshold: Fraction, window_s: float, hold_s: float) -> None:
        """Other values from now on; the phase stays."""
        self.threshold, self._window_s, self._hold_s = threshold, window_s, hold_s

    def release_all(self, now_s: float) -> list[Action]:
        """The rule is switched off: all that is kept counts."""
        self._enter(Phase.NORMAL, now_s)
        return self._release(now_s)

    def _cut_off(self, now_s: float) -> list[Action]:
        self._enter(Phase.CUT_OFF, now_s)
        if self._held_since_s is None:
            self._held_since_s = now_s
        self.isolations += 1
        self._forget_old(now_s)
        # The latest first, so that each service goes back the way it came.
        delivered = [report for _, report in reversed(self._delivered.values())]
        self._delivered.clear()
        self._failing_hosts.clear()
        # A kept report under the same key is the later one, of a new monitor.
        self._kept = {_key(report): report for report in delivered} | self._kept
        return [Retract(report) for report in delivered]

    def _others_answer(self, now_s: float) -> list[Action]:
        """Deliver what is certain; the servers that were silent have another chance."""
        waiting: dict[Key, HealthReport] = {}
        for key, report in self._kept.items():
            if report.result.duration_s < SLOW_S or self.threshold >= 1:
                continue
            if self._confirm_by_s.setdefault(key, now_s + CONFIRM_S) > now_s:
                waiting[key] = report
        self._enter(Phase.CONFIRMING if waiting else Phase.NORMAL, now_s)
        confirm_by_s = {key: self._confirm_by_s[key] for key in waiting}
        actions = self._release(now_s, waiting)
        self._confirm_by_s = confirm_by_s
        return actions

    def _release(
        self, now_s: float, waiting: Mapping[Key, HealthReport] = _NOTHING
    ) -> list[Action]:
        """Deliver what was kept, but for what is `waiting`; reports of up first."""
        released = [report for key, report in self._kept.items() if key not in waiting]
        released.sort(key=lambda report: not report.result.up)
        self._kept = dict(waiting)
        self._confirm_by_s.clear()
        for report in released:
            if not report.result.up:
                self._note(report, now_s)
        return [Deliver(report) for report in released]

    def _enter(self, phase: Phase, now_s: float) -> None:
        if self.phase is Phase.NORMAL:
            self._doubtful_since_s = now_s
        self.phase, self._since_s = phase, now_s
        if phase is Phase.PROBING:
            self._silent_rounds = 0
        if phase in (Phase.NORMAL, Phase.HOLD_EXPIRED):
            self._held_since_s = None

    def _many_fail(self, host: str, hosts: int) -> bool:
        failing = len(self._failing_hosts) + (host not in self._failing_hosts)
        # In whole numbers, which takes a tenth of the time.
        part = failing * SUSPECT_PART.denominator > hosts * SUSPECT_PART.numerator
        return failing >= FEWEST_HOSTS and part

    def _note(self, report: HealthReport, now_s: float) -> None:
        key = _key(report)
        self._forget(key)
        self._delivered[key] = now_s, report
        self._failing_hosts[report.host] += 1

    def _forget(self, key: Key) -> None:
        if self._delivered.pop(key, None) is not None:
            host = key[1]
            self._failing_hosts[host] -= 1
            if not self._failing_hosts[host]:
                del self._failing_hosts[host]

    def _forget_old(self, now_s: float) -> None:
        while self._delivered:
            key, (at_s, _) = next(iter(self._delivered.items()))
            if now_s - at_s <= self._window_s:
                return
            self._forget(key)


def _key(report: HealthReport) -> Key:
    return report.service, report.host, report.monitor
