"""The rule of isolation, and what a policy behind it would believe."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from pybal.health.isolation import (
    CONFIRM_S,
    SLOW_S,
    Action,
    Answers,
    Isolation,
    Key,
    Phase,
    Retract,
)
from pybal.model import CheckResult, HealthReport

WINDOW_S, HOLD_S = 20.0, 300.0

HOSTS = 100


def report_of(
    host: str, up: bool, *, slow: bool = False, monitor: str = "M", incarnation: int = 1
) -> HealthReport:
    duration_s = SLOW_S if slow else 0.1
    result = CheckResult(up, "", duration_s, 0.0)
    return HealthReport("svc", host, monitor, result, incarnation)


class World:
    """The rule, and what a policy behind it would believe: every monitor is up at first."""

    def __init__(self, threshold: Fraction = Fraction(19, 20)) -> None:
        self.rule = Isolation(threshold, WINDOW_S, HOLD_S)
        self.now_s = 1000.0
        self.truth: dict[Key, bool] = {}
        self.believed: dict[Key, bool] = {}

    def report(self, host: str, up: bool, *, slow: bool = False, monitor: str = "M") -> None:
        key = ("svc", host, monitor)
        if self.truth.get(key, True) is up:
            return
        self.truth[key] = up
        hosts = HOSTS if self.rule.needs_host_count else 0
        report = report_of(host, up, slow=slow, monitor=monitor)
        self._do(self.rule.take(report, hosts, self.now_s))

    def answers(self, answered: int, silent: int, *, networks: int = 1, rounds: int = 1) -> None:
        for _ in range(rounds):
            if self.rule.wants_probes:
                self._do(self.rule.answers(Answers(answered, silent, networks), self.now_s))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self._do(self.rule.tick(self.now_s))

    def confirm(self) -> None:
        """Nobody answers the second check, and others do."""
        assert self.phase() is Phase.CONFIRMING
        self.pass_time(CONFIRM_S)
        assert self.phase() is Phase.PROBING
        self.answers(5, 0)

    def phase(self) -> Phase:
        return self.rule.phase

    @property
    def down(self) -> list[str]:
        return sorted(host for (_, host, _), up in self.believed.items() if not up)

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            report = action.report
            key = (report.service, report.host, report.monitor)
            self.believed[key] = isinstance(action, Retract) or report.result.up
