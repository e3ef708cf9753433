"""Operators' overrides over a pool list: what they do to a pool, and what they must not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.settings import ListGuardSettings
from pybal.model import ServerSpec, Verdict
from pybal.override import Action, LaidOver, Override
from pybal.pool.overlay import Overlay, lay_over, slack_of
from pybal.pool.pool_state import PoolState
from pybal.runtime.pieces import PIECE, in_one_go
from tests.fakes.coordinator import ADDRESSES, Bench

DRAIN, DISABLE, ENABLE = Action.DRAIN, Action.DISABLE, Action.ENABLE


def bench_of_four(threshold: str = "0.5") -> Bench:
    bench = Bench(threshold=Fraction(threshold), first_results=dict.fromkeys("abcd", True))
    bench.list(*"abcd")
    return bench


def weights(bench: Bench) -> dict[str, int]:
    found = bench.destinations
    return {host: found[a] for host, a in ADDRESSES.items() if a in found}


def cause(bench: Bench, host: str) -> str:
    (found,) = [s for s in bench.snapshot().servers if s.host == host]
    assert found.decision is not None
    return found.decision.cause


def over(bench: Bench, host: str) -> LaidOver | None:
    (found,) = [s for s in bench.snapshot().servers if s.host == host]
    return found.over


def test_a_drained_server_stands_with_weight_0_until_that_is_undone() -> None:
    bench = bench_of_four()
    assert bench.wish(DRAIN, "a") == ""
    assert weights(bench) == {"a": 0, "b": 10, "c": 10, "d": 10}
    assert cause(bench, "a") == "drained by alice until 01:16 UTC: why"
    bench.undo("a")
    assert weights(bench)["a"] == 10
    assert cause(bench, "a") == "no longer drained by alice until 01:16 UTC: why"


def test_a_disabled_server_is_not_pooled_and_shown_as_disabled() -> None:
    bench = bench_of_four()
    bench.wish(DISABLE, "a")
    assert weights(bench) == {"b": 10, "c": 10, "d": 10}
    assert bench.statuses()["a"] == "disabled/up/not pooled"


def test_a_server_that_the_list_disables_can_be_enabled_if_it_is_up() -> None:
    bench = Bench(first_results={"a": True, "b": False})
    bench.list("c", ServerSpec("a", 5, False), ServerSpec("b", 10, False))
    bench.wish(ENABLE, "a")
    bench.wish(ENABLE, "b")
    assert weights(bench) == {"a": 5, "c": 10}


def test_the_list_that_is_kept_on_the_disk_is_the_lists_own() -> None:
    bench = bench_of_four()
    bench.wish(DISABLE, "a")
    assert bench.in_force_lists[-1] == tuple(map(ServerSpec, "abcd"))
    assert bench.snapshot().held == ()


def test_no_override_makes_a_pool_fall_below_the_depool_threshold_unless_it_is_forced() -> None:
    bench = bench_of_four()
    assert [bench.wish(DISABLE, "a"), bench.wish(DRAIN, "b")] == ["", ""]
    why = "1 working server would be left, the depool threshold wants 2"
    assert [bench.wish(action, "c") for action in (DRAIN, DISABLE)] == [why, why]
    assert weights(bench) == {"b": 0, "c": 10, "d": 10}
    assert bench.wish(DRAIN, "c", force=True) == ""
    assert weights(bench) == {"b": 0, "c": 0, "d": 10}


def test_servers_that_are_down_are_nobodys_loss_and_do_not_count_as_left() -> None:
    bench = bench_of_four()
    bench.monitor("a").say(False)
    assert bench.wish(DISABLE, "a") == ""
    assert bench.wish(DRAIN, "b") == ""
    assert bench.wish(DRAIN, "c") != ""


def test_what_is_drained_counts_for_nobody_when_others_die() -> None:
    bench = bench_of_four()
    bench.wish(DRAIN, "a")
    bench.wish(DRAIN, "b")
    for host in "cd":
        bench.monitor(host).say(False)
    assert weights(bench) == {"a": 0, "b": 0, "c": 10, "d": 10}, "held, as ever"


def test_a_drained_server_that_dies_is_not_held() -> None:
    bench = Bench(threshold=Fraction(1), first_results=dict.fromkeys("ab", True))
    bench.list("a", "b")
    bench.wish(DRAIN, "a", force=True)
    bench.monitor("a").say(False)
    assert weights(bench) == {"b": 10}
    assert bench.statuses()["a"] == "enabled/down/not pooled"


def test_a_list_that_takes_servers_away_suspends_the_newest_override_and_room_brings_it_back() -> (
    None
):
    bench = bench_of_four()
    bench.wish(DRAIN, "a")
    bench.wish(DRAIN, "b")
    bench.list("a", "b", "c", ServerSpec("d", 10, False))
    assert weights(bench) == {"a": 0, "b": 10, "c": 10}
    found = over(bench, "b")
    assert found is not None
    assert found.suspended == "1 working server would be left, the depool threshold wants 2"
    assert cause(bench, "b").startswith("not drained by alice")
    bench.list(*"abcd")
    assert weights(bench) == {"a": 0, "b": 0, "c": 10, "d": 10}


def test_a_suspended_override_is_in_effect_again_once_enough_servers_are_up() -> None:
    bench = bench_of_four()
    bench.wish(DISABLE, "a")
    bench.wish(DISABLE, "b")
    bench.monitor("d").say(False)
    bench.list("a", "b", "c", ServerSpec("d", 9))
    assert bench.statuses()["b"] == "disabled/up/not pooled", "the list took nobody away"
    bench.list("a", "b", "d", ServerSpec("c", 10, False))
    assert bench.statuses()["a"] == "disabled/up/not pooled", "one is left, as before"
    assert bench.statuses()["b"] == "enabled/up/pooled"
    bench.list("a", "b", "d", "c")
    assert bench.statuses()["b"] == "enabled/up/pooled"
    bench.monitor("d").say(True)
    assert bench.statuses()["a"] == bench.statuses()["b"] == "disabled/up/not pooled"


def test_what_monitors_find_ends_no_override() -> None:
    bench = bench_of_four()
    bench.wish(DISABLE, "a")
    for host in "bcd":
        bench.monitor(host).say(False)
    assert bench.statuses()["a"] == "disabled/up/not pooled"


def test_one_that_was_down_when_it_was_taken_out_stays_out_when_it_comes_up() -> None:
    bench = bench_of_four()
    bench.monitor("a").say(False)
    bench.wish(DISABLE, "a")
    for host in "bc":
        bench.monitor(host).say(False)
    bench.monitor("a").say(True)
    bench.list(*"abcd")
    assert bench.statuses()["a"] == "disabled/up/not pooled"
    assert over(bench, "a") is not None
    assert weights(bench) == {"c": 10, "d": 10}, "held beside the one that is up"


def test_an_override_waits_for_a_server_that_is_in_no_list() -> None:
    bench = bench_of_four()
    bench.wish(DISABLE, "a")
    bench.list(*"bcd")
    assert weights(bench) == {"b": 10, "c": 10, "d": 10}
    bench.list(*"abcd")
    assert bench.statuses()["a"].startswith("disabled/")
    assert cause(bench, "a").endswith("; disabled by alice until 01:16 UTC: why")


def test_weight_0_of_the_list_is_shown_as_what_it_is() -> None:
    bench = Bench()
    bench.list("a", ServerSpec("b", 0))
    (_, b) = bench.snapshot().servers
    assert b.decision is not None
    assert b.decision.verdict is Verdict.DRAINING
    assert b.status == "enabled/up/pooled", "the contract's words"


def test_what_is_suspended_and_what_is_no_longer_is_news() -> None:
    wishes = {"b": Override("s", "b", DRAIN, "alice", "why", 0.0, 60.0)}
    overlay = Overlay("s", lambda _: wishes)
    state = PoolState(Fraction(1, 2), ())
    servers = {host: ServerSpec(host) for host in "abc"}
    news: list[tuple[str, ...]] = []
    for listed in (servers, {**servers, "a": ServerSpec("a", 10, False)}, servers):
        in_one_go(overlay.lay(listed, state))
        news.append(overlay.news)
    said = "drained by alice until 00:01 UTC: why"
    why = "1 working server would be left, the depool threshold wants 1.5"
    assert news == [(), (f"b is not {said} (suspended: {why})",), (f"b is {said}",)]


def test_overrides_are_laid_over_a_long_list_in_pieces() -> None:
    wishes = {"h1": Override("s", "h1", DRAIN, "alice", "why", 0.0, 60.0)}
    overlay = Overlay("s", lambda _: wishes)
    servers = {f"h{number}": ServerSpec(f"h{number}") for number in range(4 * PIECE)}
    state = PoolState(Fraction(1, 2), ())
    assert sum(1 for _ in overlay.lay(servers, state)) >= 6
    assert sum(1 for _ in overlay.lay(servers, state)) >= 12, "what was before counts, too"


HOSTS = "abcdef"
specs = st.lists(
    st.builds(ServerSpec, st.sampled_from(HOSTS), st.sampled_from([0, 10]), st.booleans()),
    unique_by=lambda spec: spec.host,
).map(lambda found: {spec.host: spec for spec in found})
wishes = st.lists(
    st.builds(
        Override, st.just("s"), st.sampled_from(HOSTS), st.sampled_from(Action), st.just("alice"),
        st.just("why"), st.floats(0, 9), st.just(60.0), st.booleans(),
    ),
    unique_by=lambda wish: wish.host,
).map(lambda found: {wish.host: wish for wish in found})  # fmt: skip


@given(
    specs, wishes, st.sets(st.sampled_from(HOSTS)),
    st.sampled_from([Fraction(n, 100) for n in (0, 33, 50, 66, 100)]),
)  # fmt: skip
def test_overrides_take_away_no_more_than_the_threshold_lets_them(
    specs: dict[str, ServerSpec], wishes: dict[str, Override], up: set[str], threshold: Fraction
) -> None:
    laid = in_one_go(lay_over(specs, wishes, up.__contains__, threshold))
    assert list(laid) == list(specs)
    forced = {h: w for h, w in wishes.items() if w.force or w.action is ENABLE}
    without_wishes = in_one_go(lay_over(specs, forced, up.__contains__, threshold))
    before, left = (
        sum(s.spec.enabled and s.spec.weight > 0 and s.spec.host in up for s in each.values())
        for each in (without_wishes, laid)
    )
    assert left >= before or left >= len(specs) * threshold
    for host, each in laid.items():
        if host not in wishes:
            assert each.spec == specs[host]
        elif each.over is not None and each.over.suspended:
            assert each.spec == specs[host]
            assert host not in forced
            assert left - 1 < len(specs) * threshold, "it could have been in effect"


@pytest.mark.parametrize("action", [DRAIN, DISABLE])
def test_the_oldest_come_first(action: Action) -> None:
    servers = {host: ServerSpec(host) for host in "abc"}
    wishes = {
        host: Override("s", host, action, "alice", "why", since, 60.0)
        for host, since in (("a", 3.0), ("b", 1.0), ("c", 2.0))
    }
    laid = in_one_go(lay_over(servers, wishes, lambda _: True, Fraction(1, 3)))
    assert [h for h, each in laid.items() if each.over and each.over.suspended] == ["a"]


def test_a_server_that_is_out_stands_in_for_nobody_whom_a_list_takes_away() -> None:
    bench = Bench(list_guard=ListGuardSettings(), first_results=dict.fromkeys("abcd", True))
    bench.list(*"abcd")
    bench.wish(DRAIN, "a", force=True)
    bench.wish(DISABLE, "b", force=True)
    bench.list("a", "b", ServerSpec("c", 10, False), ServerSpec("d", 10, False))
    assert weights(bench) == {"a": 0, "c": 10, "d": 10}
    (held,) = bench.snapshot().held
    assert held.servers == ("c", "d")


def test_servers_of_weight_0_are_not_counted_as_left() -> None:
    bench = Bench(first_results=dict.fromkeys("abcd", True))
    bench.list("a", "b", ServerSpec("c", 0), ServerSpec("d", 0))
    assert bench.wish(DRAIN, "a") == "1 working server would be left, the depool threshold wants 2"
    assert bench.wish(DRAIN, "c") == ""


def test_a_restart_brings_no_suspended_override_into_effect() -> None:
    bench = bench_of_four("0.33")
    bench.monitor("a").say(False)
    assert bench.wish(DISABLE, "b") == ""
    listed = (*"ab", ServerSpec("c", 0), "d")
    bench.list(*listed)
    suspended = over(bench, "b")
    assert suspended is not None and suspended.suspended
    assert weights(bench) == {"b": 10, "c": 0, "d": 10}
    after = Bench(threshold=Fraction("0.33"), adopted=bench.published[-1])
    after.overrides = bench.overrides
    after.list(*listed)
    assert weights(after) == {"b": 10, "c": 0, "d": 10}
    after.monitor("a").say(True)
    after.clock.advance(1)
    assert weights(after) == {"a": 10, "c": 0, "d": 10}


@pytest.mark.parametrize("action", [DRAIN, DISABLE])
def test_a_restart_takes_none_out_of_effect_whatever_died_meanwhile(action: Action) -> None:
    bench = bench_of_four()
    bench.wish(action, "a")
    for host in "bcd":
        bench.monitor(host).say(False)
    after = Bench(adopted=bench.published[-1])
    after.overrides = bench.overrides
    after.list(*"abcd")
    found = over(after, "a")
    assert found is not None and not found.suspended
    assert weights(after) == weights(bench)


def word(host: str, action: Action, *, force: bool = False) -> Override:
    return Override("s", host, action, "alice", "why", 0.0, 60.0, force)


@pytest.mark.parametrize(
    ("overrides", "steady", "slack"),
    [
        ([], "", 0),
        # What only wants to be in effect takes nobody away yet, but one that enables counts.
        ([word("a", DRAIN)], "", 0),
        ([word("a", DRAIN)], "a", -1),
        ([word("a", DRAIN, force=True)], "", -1),
        ([word("a", DISABLE), word("b", DISABLE)], "ab", -2),
        ([word("a", DRAIN), word("d", ENABLE)], "a", 0),
        ([word("d", ENABLE)], "", 0),
    ],
)
def test_how_much_a_pool_is_short_of_with_what_was_in_effect_before(
    overrides: list[Override], steady: str, slack: int
) -> None:
    # Three of four serve, and three must.
    specs = {host: ServerSpec(host, 1, enabled=host != "d") for host in "abcd"}
    by_host = {each.host: each for each in overrides}
    assert in_one_go(slack_of(specs, by_host, lambda _: True, Fraction(3, 4), steady)) == slack


def test_what_was_suspended_and_is_undone_or_gone_with_its_server_is_no_news() -> None:
    wishes = {host: word(host, DRAIN) for host in "ab"}
    overlay = Overlay("s", lambda _: wishes)
    state = PoolState(Fraction(1), ())
    servers = {host: ServerSpec(host) for host in "abc"}
    in_one_go(overlay.lay(servers, state))
    assert [line[:4] for line in overlay.news] == ["a is", "b is"]
    del wishes["a"], servers["b"]
    in_one_go(overlay.lay(servers, state))
    assert overlay.news == ()
