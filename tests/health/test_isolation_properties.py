"""What holds for the rule of isolation after any history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pybal.health.isolation import (
    CONFIRM_S,
    Phase,
)
from tests.health.isolation_world import HOLD_S, HOSTS, World

hosts = st.sampled_from([f"h{n}" for n in range(30)])

actions = st.one_of(
    st.tuples(st.just("report"), hosts, st.booleans(), st.booleans()),
    st.tuples(st.just("report"), hosts, st.just(False), st.booleans()),
    st.tuples(st.just("answers"), st.integers(0, 12), st.integers(0, 12)),
    st.tuples(st.just("time"), st.floats(0, 400)),
)


@given(st.lists(actions, max_size=80))
def test_in_any_history_nothing_goes_down_while_cut_off_and_no_report_is_lost(
    history: list[tuple[object, ...]],
) -> None:
    world = World()
    for action in history:
        before, phase = set(world.down), world.phase()
        match action:
            case "report", str(host), bool(up), bool(slow):
                world.report(host, up, slow=slow)
            case "answers", int(answered), int(silent):
                world.answers(answered, silent)
            case "time", float(seconds):
                world.pass_time(seconds)
        if phase is Phase.CUT_OFF and world.phase() in (Phase.CUT_OFF, Phase.SETTLING):
            assert set(world.down) <= before
        if world.phase() is Phase.NORMAL:
            assert world.rule.kept == 0
    world.answers(12, 0)
    world.pass_time(HOLD_S)
    for _ in range(2):
        world.answers(12, 0)
        world.pass_time(CONFIRM_S)
    world.answers(12, 0)
    assert all(world.believed.get(key, True) is up for key, up in world.truth.items())


@given(st.lists(st.tuples(hosts, st.booleans()), max_size=80))
def test_while_nothing_is_suspicious_the_rule_is_not_noticed(
    history: list[tuple[str, bool]],
) -> None:
    world = World()
    few = HOSTS // 10
    for host, up in history:
        if int(host[1:]) < few:
            world.report(host, up)
        assert world.phase() is Phase.NORMAL
        assert all(world.believed[key] is up for key, up in world.truth.items())
