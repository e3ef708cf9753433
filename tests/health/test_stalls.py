"""Time that we lost: late beats, jumps of the wall clock, and which failures they excuse."""

from __future__ import annotations

import pytest

from pybal.health.stalls import BEAT_S, STALL_BUCKETS_S, StallDetector


class Clocks:
    """A steady clock and a wall clock under the test's hand."""

    def __init__(self) -> None:
        self.steady_s = 1000.0
        self.wall_s = 1_700_000_000.0
        self.stall_detector = StallDetector(lambda: self.steady_s, lambda: self.wall_s)

    def sleep(self, seconds: float) -> None:
        """Time passes in which nothing runs."""
        self.steady_s += seconds
        self.wall_s += seconds

    def run(self, seconds: float, late_s: float = 0.0) -> None:
        """Time passes with all beats, each so late."""
        for _ in range(max(1, round(seconds / (BEAT_S + late_s)))):
            self.sleep(BEAT_S + late_s)
            self.stall_detector.beat()


@pytest.mark.parametrize("late_s", [0.0, 0.005, 0.09])
def test_a_process_that_beats_has_lost_nothing(late_s: float) -> None:
    clocks = Clocks()
    mark = clocks.stall_detector.mark()
    clocks.run(20, late_s)
    assert not clocks.stall_detector.stalled(mark)
    assert not clocks.stall_detector.stalled(clocks.stall_detector.recent())
    assert clocks.stall_detector.gaps == 0


@pytest.mark.parametrize("seconds", [1, 30, 86400])
def test_a_sleep_within_a_check_excuses_its_failure_even_before_the_late_beat(
    seconds: float,
) -> None:
    clocks = Clocks()
    clocks.run(5)
    mark = clocks.stall_detector.mark()
    clocks.sleep(seconds)
    assert clocks.stall_detector.stalled(mark)
    assert clocks.stall_detector.beat() == pytest.approx(seconds - BEAT_S)
    assert clocks.stall_detector.stalled(mark)
    assert clocks.stall_detector.gaps == 1


def test_a_check_begun_after_the_sleep_counts() -> None:
    clocks = Clocks()
    clocks.sleep(30)
    clocks.stall_detector.beat()
    mark = clocks.stall_detector.mark()
    clocks.run(5)
    assert not clocks.stall_detector.stalled(mark)


def test_what_comes_of_itself_is_doubtful_for_some_seconds_after_a_sleep() -> None:
    clocks = Clocks()
    clocks.run(10)
    clocks.sleep(30)
    assert clocks.stall_detector.stalled(clocks.stall_detector.recent())
    clocks.run(1.5)
    assert clocks.stall_detector.stalled(clocks.stall_detector.recent())
    clocks.run(3)
    assert not clocks.stall_detector.stalled(clocks.stall_detector.recent())


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 5.0])
def test_a_jump_of_the_wall_clock_counts_as_lost_time(jump_s: float) -> None:
    clocks = Clocks()
    mark = clocks.stall_detector.mark()
    clocks.wall_s += jump_s
    clocks.run(BEAT_S)
    assert clocks.stall_detector.stalled(mark)
    assert clocks.stall_detector.longest_stall_s < 0.001


def test_a_slewed_wall_clock_is_no_jump() -> None:
    clocks = Clocks()
    mark = clocks.stall_detector.mark()
    for _ in range(100):
        clocks.wall_s += 0.02
        clocks.run(BEAT_S)
    assert not clocks.stall_detector.stalled(mark)


@pytest.mark.parametrize(("jump_s", "lost_s"), [(1.0, 0.0), (-1.0, 0.0), (1.5, 1.5), (-1.5, 1.5)])
def test_a_second_of_the_wall_clock_is_ntps(jump_s: float, lost_s: float) -> None:
    clocks = Clocks()
    clocks.wall_s += jump_s
    clocks.sleep(0.0625)
    assert clocks.stall_detector.beat() == lost_s


def test_the_moment_some_seconds_ago_moves_on_every_two_seconds() -> None:
    clocks = Clocks()
    found = []
    for seconds in (1.5, 0.5, 1.5, 0.5, 2.0):
        clocks.sleep(seconds)
        clocks.stall_detector.beat()
        found.append(clocks.stall_detector.recent().at_s - 1000)
    assert found == [0, 0, 0, 2, 4]


def test_starvation_excuses_a_failure_only_if_it_took_a_good_part_of_the_check() -> None:
    clocks = Clocks()
    mark = clocks.stall_detector.mark()
    clocks.run(5, late_s=0.2)
    assert clocks.stall_detector.stalled(mark)
    mark = clocks.stall_detector.mark()
    clocks.sleep(0.8)
    clocks.stall_detector.beat()
    clocks.run(20)
    assert not clocks.stall_detector.stalled(mark)


def test_stalls_are_counted_by_their_length() -> None:
    clocks = Clocks()
    clocks.run(BEAT_S, late_s=0.03)
    clocks.sleep(100)
    clocks.stall_detector.beat()
    assert clocks.stall_detector.longest_stall_s == pytest.approx(100 - BEAT_S)
    stalls = dict(zip((*STALL_BUCKETS_S, 1e9), clocks.stall_detector.stalls, strict=True))
    assert {bound_s: n for bound_s, n in stalls.items() if n} == {0.05: 1, 1e9: 1}


def test_beats_are_counted_by_how_late_they_come_and_their_lateness_is_summed() -> None:
    clocks = Clocks()
    late = [0.0, 0.005, 0.02, 0.04, 0.08, 0.2, 0.4, 0.9, 4.0, 20.0, 60.0]
    for seconds in late:
        clocks.sleep(BEAT_S + seconds)
        clocks.stall_detector.beat()
    assert clocks.stall_detector.stalls == [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert clocks.stall_detector.stalls_sum_s == pytest.approx(sum(late))
    assert clocks.stall_detector.longest_stall_s == pytest.approx(60.0)


def test_half_a_second_is_still_tolerated_and_counts_up_to_its_bucket() -> None:
    """Prometheus: a bucket has what is less than or equal to its bound."""
    times = [0.0]
    detector = StallDetector(lambda: times[-1], lambda: times[-1])
    mark = detector.mark()
    times.append(0.55)
    assert times[-1] - BEAT_S == 0.5, "to the last bit"
    assert not detector.stalled(mark)
    detector.beat()
    assert (detector.gaps, detector.stalls[STALL_BUCKETS_S.index(0.5)]) == (0, 1)
    assert not detector.stalled(mark)
    times.append(1.2)
    assert detector.stalled(mark)
    detector.beat()
    assert detector.gaps == 1


def test_the_buckets_are_those_that_dashboards_know() -> None:
    assert STALL_BUCKETS_S == (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


def test_nothing_has_been_lost_at_first() -> None:
    detector = Clocks().stall_detector
    assert detector.mark().lost_s == detector.recent().lost_s == detector.stalls_sum_s == 0.0
    assert detector.stalls == [0] * (len(STALL_BUCKETS_S) + 1)
