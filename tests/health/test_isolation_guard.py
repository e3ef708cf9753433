"""The guard: whom it asks, what it makes of the answers, and what it tells."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from ipaddress import ip_address

import pytest
from twisted.internet.task import Clock

from pybal.health.isolation import (
    CONFIRM_S,
    FEW_PROBED,
    MANY_PROBED,
    PROBE_AGAIN_S,
    PROBE_S,
    ROUNDS,
    SETTLE_S,
    Isolation,
    Phase,
)
from pybal.health.isolation_guard import AT_ONCE, MOMENT_S, IsolationGuard, IsolationPorts
from pybal.health.probe_round import ASKED_FIRST, OTHERS_AFTER_S, ProbeTarget
from pybal.model import HealthReport
from pybal.runtime.storm_log import MOST_LINES, WINDOW_S
from pybal.runtime.time_slices import SLICE_S
from tests.fakes.environment import FakeAttention
from tests.fakes.log import FakeLog
from tests.fakes.network import FakeNetwork, os_error
from tests.health.isolation_world import report_of

SOURCE = ip_address("192.0.2.99")
SIX = [ProbeTarget(f"w{n}", ip_address(f"192.0.2.{n}"), 80, SOURCE) for n in range(1, 7)]


class Bench:
    """A guard, its probe_targets and what it had acted on."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.network = FakeNetwork()
        self.stall_meter = FakeAttention()
        self.avoided: list[set[str]] = []
        self.asked: list[int] = []
        self.expedited: list[float] = []
        self.checked_again: list[set[str]] = []
        self.acted: list[str] = []
        self.phases: list[Phase] = []
        self.broken = ""
        self.together: list[list[str]] = []
        self.act_s = 0.0
        self.witnesses = SIX
        self.rule = Isolation(Fraction(19, 20), 20, 300)
        ports = IsolationPorts(
            clock=self.clock,
            router=self,
            now=lambda: 1000.0 + self.clock.seconds(),
            network=self.network,
            stall_meter=self.stall_meter,
            probe_targets=self._probe_targets,
            hosts=lambda: 100,
            recheck_all=self.expedited.append,
            recheck=lambda hosts, within_s: self.checked_again.append(set(hosts)),
            phase_changed=lambda phase, _: self.phases.append(phase),
            together=self._together,
        )
        self.log = FakeLog()
        self.guard = IsolationGuard(self.rule, ports, self.log.logger("pybal"))

    def down(self, host: str, *, slow: bool = True) -> None:
        self.guard.receive(report_of(host, False, slow=slow))

    def up(self, host: str) -> None:
        self.guard.receive(report_of(host, True))

    def deliver(self, report: HealthReport) -> None:
        if report.host == self.broken:
            raise ZeroDivisionError("a mistake")
        self.clock.rightNow += self.act_s
        self.acted.append(f"{'up' if report.result.up else 'down'} {report.host}")

    def retract(self, report: HealthReport) -> None:
        self.acted.append(f"take back {report.host}")

    @contextmanager
    def _together(self) -> Iterator[None]:
        before = len(self.acted)
        yield
        self.together.append(self.acted[before:])

    def cut_off(self) -> None:
        self.down("a", slow=False)
        self.down("b")
        for _ in range(ROUNDS):
            self.clock.advance(PROBE_S)
        assert self.phase() is Phase.CUT_OFF

    def confirm(self) -> None:
        """Nobody answers the second check, and one of the others does."""
        assert self.phase() is Phase.CONFIRMING
        self.clock.advance(CONFIRM_S)
        self.network.open[0].connect()

    def phase(self) -> Phase:
        return self.rule.phase

    def _probe_targets(self, avoid: set[str], most: int) -> Sequence[ProbeTarget]:
        self.avoided.append(avoid)
        self.asked.append(most)
        return self.witnesses


def test_a_reset_asks_nobody() -> None:
    bench = Bench()
    bench.down("a", slow=False)
    assert bench.acted == ["down a"]
    assert bench.network.channels == []
    assert bench.clock.getDelayedCalls() == []


def test_a_silence_is_acted_on_if_one_of_the_others_answers_and_it_lasts() -> None:
    bench = Bench()
    bench.down("a")
    assert bench.avoided == [{"a"}]
    assert {channel.source for channel in bench.network.open} == {SOURCE}
    first, second, *_ = bench.network.open
    first.end(errno.ETIMEDOUT)
    assert bench.acted == []
    second.end(errno.ECONNREFUSED)
    assert bench.checked_again == [{"a"}]
    assert bench.acted == []
    bench.confirm()
    assert bench.acted == ["down a"]
    assert bench.network.open == []
    assert bench.clock.getDelayedCalls() == []


def test_the_log_calls_nobody_silent_who_was_not_waited_for() -> None:
    bench = Bench()
    bench.cut_off()
    del bench.log.lines[:]
    bench.clock.advance(PROBE_AGAIN_S)
    bench.network.open[0].connect()
    assert bench.log.lines[0] == (
        "[pybal] INFO: Of the 6 servers that were asked, at least 1 answered"
    )


def test_one_servers_failure_has_the_line_of_its_report_alone() -> None:
    bench = Bench()
    bench.down("a")
    bench.network.open[0].connect()
    bench.confirm()
    assert bench.acted == ["down a"]
    assert bench.log.lines == []


def test_a_failure_that_never_counts_is_told_of() -> None:
    bench = Bench()
    bench.down("a")
    bench.up("b")
    assert bench.log.lines == []
    bench.network.open[0].connect()
    assert bench.phase() is Phase.CONFIRMING
    bench.up("a")
    assert bench.acted == ["up b", "up a"]
    (line,) = bench.log.lines
    assert line.startswith("[pybal] WARN: M of a (svc) failed: ")
    assert line.endswith("; it does not count, as the server answers again")


def test_of_thousands_of_failures_that_never_count_the_first_are_told_and_a_number() -> None:
    bench = Bench()
    for number in range(1000):
        bench.down(f"h{number}")
    bench.network.open[0].connect()
    for number in range(1000):
        bench.up(f"h{number}")
    assert len(bench.log.lines) == MOST_LINES
    bench.clock.advance(WINDOW_S)
    (more,) = (line for line in bench.log.lines[MOST_LINES:] if "DEBUG" not in line)
    assert "950 more failures that do not count, as the servers answer again" in more


def test_it_is_told_with_which_failures_the_director_was_cut_off_and_no_more() -> None:
    bench = Bench()
    bench.cut_off()
    (line,) = (line for line in bench.log.lines if "CRITICAL" in line)
    for host in "ab":
        assert f"M of {host} (svc) failed: " in line
    assert "Failures that are kept: 2, such as " in line
    told = len(bench.log.lines)
    for host in "abc":
        bench.down(host)
        bench.up(host)
    assert len(bench.log.lines) == told, "that is not the servers' fault"


def test_silences_while_others_are_asked_wait_for_the_same_answers() -> None:
    bench = Bench()
    bench.down("a")
    bench.down("b")
    assert len(bench.network.open) == len(SIX)
    bench.network.open[0].connect()
    assert bench.checked_again == [{"a", "b"}]
    bench.confirm()
    assert bench.acted == ["down a", "down b"]


def answered_once(bench: Bench) -> None:
    """Others are asked for the first time, and one answers at once."""
    bench.down("a", slow=False)
    bench.down("b")
    assert len(bench.network.open) == len(SIX)
    bench.network.open[0].connect()
    assert bench.network.open == []
    bench.clock.advance(2 * CONFIRM_S)
    bench.network.open[0].connect()
    assert bench.phase() is Phase.NORMAL


def test_where_others_answered_at_once_some_are_asked_before_the_rest() -> None:
    bench = Bench()
    answered_once(bench)
    bench.down("c")
    assert len(bench.network.open) == ASKED_FIRST
    bench.network.open[0].connect()
    assert bench.phase() is Phase.CONFIRMING
    assert bench.network.open == []


def test_the_rest_is_asked_if_those_are_silent_or_fail() -> None:
    bench = Bench()
    answered_once(bench)
    bench.down("c")
    bench.clock.advance(OTHERS_AFTER_S)
    assert len(bench.network.open) == len(SIX)
    bench.network.open[0].connect()
    assert bench.phase() is Phase.CONFIRMING
    bench.clock.advance(CONFIRM_S)
    assert len(bench.network.open) == len(SIX), "they did not answer at once"
    bench.network.open[0].connect()
    bench.down("d")
    for channel in bench.network.open:
        channel.end(errno.EHOSTUNREACH)
    assert len(bench.network.open) == len(SIX) - ASKED_FIRST
    for channel in bench.network.open:
        channel.end(errno.EHOSTUNREACH)
    assert bench.asked[-1] == MANY_PROBED
    assert len(bench.network.open) == len(SIX), "of those that settled nothing all are asked"


def test_who_was_not_asked_has_not_answered() -> None:
    """One that is asked first, and the next one, are not one in two of six."""
    bench = Bench()
    answered_once(bench)
    bench.rule.threshold = Fraction(1, 2)
    addresses = (ip_address(f"192.0.{n}.1") for n in range(6))
    bench.witnesses = [ProbeTarget(str(each), each, 80) for each in addresses]
    bench.down("c")
    for _ in range(2):
        bench.network.open[0].connect()
        assert bench.phase() is Phase.PROBING
    bench.network.open[0].connect()
    assert bench.phase() is Phase.CONFIRMING


def test_unreachable_witnesses_mean_that_we_are_cut_off() -> None:
    bench = Bench()
    bench.down("a", slow=False)
    bench.down("b")
    for _ in range(ROUNDS):
        assert bench.phase() is Phase.PROBING
        for channel in bench.network.open:
            channel.end(errno.EHOSTUNREACH)
    assert bench.phase() is Phase.CUT_OFF
    assert bench.asked[:ROUNDS] == [FEW_PROBED, MANY_PROBED]
    assert bench.acted == ["down a", "take back a"]
    assert bench.guard.snapshot().since == 1000.0


def test_cut_off_it_asks_again_until_servers_answer_and_has_all_checked_anew() -> None:
    bench = Bench()
    bench.cut_off()
    for _ in range(3):
        bench.clock.advance(PROBE_AGAIN_S)
        bench.clock.advance(PROBE_S)
    assert bench.phase() is Phase.CUT_OFF
    bench.clock.advance(PROBE_AGAIN_S)
    bench.network.open[0].connect()
    assert bench.phase() is Phase.SETTLING
    assert len(bench.expedited) == 1
    assert bench.guard.snapshot().since is None
    bench.down("c")
    assert (len(bench.expedited), bench.checked_again) == (1, [{"c"}])
    bench.clock.advance(SETTLE_S)
    assert bench.acted == ["down a", "take back a"]
    bench.network.open[0].connect()
    bench.confirm()
    assert sorted(bench.acted[2:]) == ["down a", "down b", "down c"]
    assert bench.clock.getDelayedCalls() == []


def test_a_link_that_flaps_depools_nobody() -> None:
    bench = Bench()
    bench.cut_off()
    bench.clock.advance(PROBE_AGAIN_S)
    bench.network.open[0].connect()
    assert bench.phase() is Phase.SETTLING
    bench.clock.advance(SETTLE_S)
    for _ in range(ROUNDS):
        bench.clock.advance(PROBE_S)
    assert bench.phase() is Phase.CUT_OFF
    assert bench.acted == ["down a", "take back a"]
    assert bench.guard.snapshot().since is not None


def test_what_was_asked_in_our_sleep_is_asked_again() -> None:
    bench = Bench()
    bench.down("a")
    bench.stall_meter.is_stalled = True
    bench.clock.advance(PROBE_S)
    bench.stall_meter.is_stalled = False
    assert bench.phase() is Phase.PROBING
    bench.network.open[0].connect()
    bench.confirm()
    assert bench.acted == ["down a"]


def test_out_of_descriptors_it_knows_nothing_of_others_and_believes_the_report() -> None:
    bench = Bench()
    bench.network.error = os_error(errno.EMFILE)
    bench.down("a")
    bench.clock.advance(0)
    bench.clock.advance(CONFIRM_S)
    bench.clock.advance(0)
    assert bench.acted == ["down a"]


def test_stopped_it_is_silent_and_lets_go_of_everything() -> None:
    bench = Bench()
    bench.down("a")
    bench.guard.stop()
    bench.guard.stop()
    bench.down("b", slow=False)
    assert bench.acted == []
    assert bench.network.open == []
    assert bench.clock.getDelayedCalls() == []


def failing_at_once(count: int) -> Bench:
    """They have just been found to have failed, and each takes 2 ms to be acted on."""
    bench = Bench()
    bench.act_s = SLICE_S * 0.4
    for n in range(count):
        bench.down(f"h{n}")
    bench.network.open[0].connect()
    bench.confirm()
    return bench


def test_many_failures_are_acted_on_between_other_work_and_in_order() -> None:
    bench = failing_at_once(10)
    assert len(bench.acted) == 3
    bench.clock.callLater(0, bench.acted.append, "other work")
    bench.clock.advance(0)
    assert bench.acted.index("other work") == 6
    bench.acted.remove("other work")
    assert bench.acted == [f"down h{n}" for n in range(10)]


class LateInTurn(Clock):
    """Nobody has looked at it since the turn began, which was a while ago."""

    def lately(self) -> float:
        return self.rightNow - 5 * SLICE_S


@pytest.mark.parametrize("failed", [1, 2, AT_ONCE])
def test_what_comes_late_in_a_long_turn_is_acted_on_in_it(failed: int) -> None:
    bench = Bench(LateInTurn())
    bench.clock.advance(1)
    for number in range(failed):
        bench.down(f"h{number}", slow=False)
    assert len(bench.acted) == failed
    assert bench.clock.getDelayedCalls() == []


def test_who_comes_while_many_are_acted_on_is_the_last() -> None:
    bench = failing_at_once(4)
    bench.up("h3")
    assert len(bench.acted) == 3
    bench.clock.advance(0)
    assert bench.acted[3:] == ["down h3", "up h3"]


def test_after_stop_the_rest_is_not_acted_on() -> None:
    bench = failing_at_once(10)
    bench.guard.stop()
    bench.clock.advance(1)
    assert len(bench.acted) == 3
    assert bench.clock.getDelayedCalls() == []


def test_of_many_reports_of_a_moment_the_first_count_at_once_and_the_others_together() -> None:
    bench = Bench()
    said = [f"up h{number}" for number in range(AT_ONCE + 20)]
    for number in range(len(said)):
        bench.up(f"h{number}")
    assert bench.acted == said[:AT_ONCE]
    bench.clock.advance(0)
    assert bench.acted == said
    assert bench.together == [*([one] for one in said[:AT_ONCE]), said[AT_ONCE:]]
    bench.clock.advance(MOMENT_S)
    bench.up("later")
    assert bench.acted[-1] == "up later", "the first of another moment"


def test_what_waits_as_the_rule_is_switched_off_comes_before_what_comes_then() -> None:
    bench = Bench()
    for number in range(AT_ONCE + 1):
        bench.up(f"h{number}")
    bench.guard.reconfigure(None)
    bench.down(f"h{AT_ONCE}")
    bench.clock.advance(0)
    assert bench.acted[-2:] == [f"up h{AT_ONCE}", f"down h{AT_ONCE}"]


def test_without_isolation_every_report_counts_by_the_next_turn() -> None:
    bench = Bench()
    bench.guard.reconfigure(None)
    for number in range(50):
        bench.guard.receive(report_of(f"h{number}", False, slow=True))
    said = [f"down h{number}" for number in range(50)]
    assert bench.acted == said[:AT_ONCE]
    bench.clock.advance(0)
    assert bench.acted == said
    assert bench.together[-1] == said[AT_ONCE:], "as one"
    assert bench.guard.snapshot().phase == "off"
