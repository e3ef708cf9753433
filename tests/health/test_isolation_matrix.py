"""The rule of isolation in simulated time: it holds pools while nobody answers, and else is not
noticed. `python -m bench.isolation_matrix` prints the same as a table."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pybal.config.settings import IsolationSettings
from pybal.monitors.asking import sent_again_s
from tests.health.isolation_sim import Scene, Simulation

RULE = IsolationSettings()
THRESHOLDS = (Fraction(0), Fraction(1, 5), Fraction(1, 2))
PARTIAL = [
    Scene(hosts, silent, networks, threshold, refuses)
    for hosts in (2, 3, 4, 6, 10, 20, 40)
    for silent in sorted({1, hosts // 4, hosts // 2, 3 * hosts // 4, hosts * 9 // 10} - {0, hosts})
    for networks in (1, 4)
    for threshold in THRESHOLDS
    for refuses in (False, True)
]


def test_there_are_many_scenes() -> None:
    assert len(PARTIAL) > 200


@pytest.mark.parametrize("hosts", [2, 4, 10, 40])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_where_some_answer_the_dead_are_out_at_most_two_seconds_later(
    hosts: int, seed: int
) -> None:
    for scene in (replace(each, seed=seed) for each in PARTIAL if each.hosts == hosts):
        without = Simulation(scene, None).run()
        guarded = Simulation(scene, RULE).run()
        assert without.dead_out_s is not None, scene
        assert guarded.dead_out_s is not None, scene
        assert guarded.dead_out_s <= without.dead_out_s + 2.0, (scene, guarded, without)
        assert guarded.healthy_out_s == 0, scene


@pytest.mark.parametrize("hosts", [2, 3, 4, 10, 40])
@pytest.mark.parametrize("networks", [1, 4])
@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("cut_off_s", [8.0, 60.0])
def test_a_director_that_is_cut_off_depools_nobody(
    hosts: int, networks: int, threshold: Fraction, cut_off_s: float
) -> None:
    scene = Scene(hosts, 0, networks, threshold, cut_off_s=cut_off_s)
    assert Simulation(scene, RULE).run(cut_off_s + 30).healthy_out_s == 0


@pytest.mark.parametrize("flaps_every_s", [2.0, 3.0, 4.0, 5.0, 7.0])
@pytest.mark.parametrize("hosts", [2, 10, 40])
def test_a_link_that_flaps_takes_nobody_out(flaps_every_s: float, hosts: int) -> None:
    """Even though a check that began while the link was off fails when it is on again."""
    scene = Scene(hosts, 0, 4, Fraction(1, 5), cut_off_s=60.0, flaps_every_s=flaps_every_s)
    assert Simulation(scene, None).run(90).healthy_out_s > 20
    assert Simulation(scene, RULE).run(90).healthy_out_s == 0


@pytest.mark.parametrize("flaps_every_s", [1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("hosts", [2, 10, 40])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_link_that_flaps_in_step_with_the_checks_takes_nobody_out_of_tcp(
    flaps_every_s: float, hosts: int, seed: int
) -> None:
    """Were nothing sent again, one that is off and on every second would take some out."""
    scene = Scene(
        hosts, 0, 4, Fraction(1, 5), cut_off_s=60.0, flaps_every_s=flaps_every_s, seed=seed
    )
    assert Simulation(replace(scene, sent_again_s=(1.0, 3.0)), RULE).run(90).healthy_out_s == 0


@pytest.mark.parametrize("flaps_every_s", [1.0, 1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("hosts", [2, 10, 40])
@pytest.mark.parametrize("timeout_s", [1.0, 5.0])
def test_a_link_that_flaps_in_step_with_the_checks_takes_nobody_out_of_udp(
    flaps_every_s: float, hosts: int, timeout_s: float
) -> None:
    """A question is sent again, as monitors do that ask by datagrams."""
    again = sent_again_s(timeout_s)
    for seed in (1, 2):
        scene = Scene(
            hosts,
            0,
            4,
            Fraction(1, 5),
            cut_off_s=60.0,
            flaps_every_s=flaps_every_s,
            seed=seed,
            sent_again_s=again,
        )
        assert Simulation(scene, RULE).run(90).healthy_out_s == 0


def test_the_dead_are_out_soon_after_a_cut_off() -> None:
    scene = Scene(10, 3, 4, Fraction(1, 5), cut_off_s=30.0)
    found = Simulation(scene, RULE).run(90)
    assert found.healthy_out_s == 0
    assert found.dead_out_s is not None
    assert found.dead_out_s < 30 + 15


def test_the_hold_ends() -> None:
    scene = Scene(10, 0, 4, Fraction(1, 5), cut_off_s=1000.0)
    found = Simulation(scene, RULE).run(RULE.hold_s + 30)
    assert 0 < found.healthy_out_s < 30
