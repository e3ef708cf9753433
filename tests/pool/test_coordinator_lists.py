"""What pool lists may take away, with a Coordinator: the incidents, and what is shown of them."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address

from twisted.logger import LogLevel, capturedLogs

from pybal.config.settings import ListGuardSettings
from pybal.kept_change import KeptSnapshot
from pybal.model import ServerSpec, SourceList
from pybal.pool.arrivals import ARRIVAL_S
from tests.fakes.coordinator import FETCH, IDLE, Bench

TEN = "abcdefghij"
NAMES = {host: f"10.0.0.{number}" for number, host in enumerate(TEN + "wxyz", start=1)}


def bench_of(hosts: str = TEN, floor: Fraction | None = None, hold_s: float | None = None) -> Bench:
    """A pool whose servers are all up, long enough ago for the window to begin with them."""
    bench = Bench(names=dict(NAMES), list_guard=ListGuardSettings(floor, hold_s=hold_s))
    bench.list(*hosts)
    for host in hosts:
        bench.monitor(host).say(True)
    bench.clock.advance(3600)
    return bench


def without(disabled: str, hosts: str = TEN) -> list[ServerSpec]:
    return [ServerSpec(host, enabled=host not in disabled) for host in hosts]


def pooled(bench: Bench) -> str:
    return "".join(s.host for s in bench.snapshot().servers if s.pooled)


def test_a_script_that_disables_one_server_every_20_s_stops_at_the_floor() -> None:
    # 2023-04-17 and 2023-05-25: the director did not answer, and the script went on.
    bench = bench_of()
    for number in range(1, 11):
        bench.list(*without(TEN[:number]))
        bench.clock.advance(20)
        assert len(bench.destinations) >= 5
    assert pooled(bench) == "fghij"
    assert bench.statuses()["f"] == "enabled/up/pooled"
    bench.clock.advance(86400)
    assert pooled(bench) == "fghij"


def test_the_servers_of_a_list_that_takes_too_many_stay_pooled_and_checked() -> None:
    bench = bench_of()
    before = bench.published[-1]
    with capturedLogs() as logged:
        bench.list(*"ghij")
        bench.clock.advance(600)
    assert bench.published[-1] is before
    assert bench.running == set(TEN)
    critical = [event["text"] for event in logged if event["log_level"] is LogLevel.critical]
    assert critical == [
        "HELD: the pool list takes away a, b, c, d, e, f: that leaves 4 servers that work, and"
        " list-floor wants 5. They stay as they were until a list keeps to the floor or an operator"
        " confirms it (pybalctl confirm svc_80)"
    ]


def test_what_is_held_is_shown_with_what_went_before_it() -> None:
    bench = bench_of()
    bench.list(*without("ab"))
    bench.clock.advance(100)
    bench.list(*without("abcdef"))
    snapshot = bench.snapshot()
    assert snapshot.held_total == 1
    assert snapshot.held == (
        KeptSnapshot(
            servers=("c", "d", "e", "f"),
            since=4700.0,
            waiting=False,
            left=4,
            required=5,
            taken=(("a", 4600.0), ("b", 4600.0)),
            window_s=900.0,
        ),
    )


def test_a_confirmed_change_goes_through_at_once() -> None:
    bench = bench_of()
    bench.list(*"ghij")
    assert bench.coordinator.confirm_list() == tuple("abcdef")
    assert pooled(bench) == "ghij"
    assert bench.running == set("ghij")
    assert bench.snapshot().held == ()
    assert bench.coordinator.confirm_list() == ()


def test_what_is_held_goes_after_list_hold() -> None:
    bench = bench_of(hold_s=3600)
    bench.list(*"ghij")
    bench.clock.advance(3599)
    assert pooled(bench) == TEN[6:] + TEN[:6]
    bench.clock.advance(1)
    assert pooled(bench) == "ghij"
    assert bench.clock.getDelayedCalls() == []


def test_names_that_do_not_resolve_take_nobody_out() -> None:
    bench = bench_of("ab")
    bench.list("q", "r")
    for host in "qr":
        bench.names.watches[host].answer(None)
    assert set(bench.destinations) == {NAMES["a"], NAMES["b"]}
    bench.clock.advance(ARRIVAL_S)
    assert set(bench.destinations) == {NAMES["a"], NAMES["b"]}
    bench.clock.advance(3600)
    bench.names.watches["q"].answer(ip_address("10.0.0.77"))
    assert set(bench.destinations) == {NAMES["a"], NAMES["b"], "10.0.0.77"}
    bench.monitor("q").say(True)
    assert set(bench.destinations) == {"10.0.0.77"}
    assert bench.running == {"q"}


def test_new_servers_are_checked_soon_and_then_replace_the_old() -> None:
    bench = bench_of("abcd")
    bench.list(*"wxyz")
    assert pooled(bench) == "wxyzabcd"
    assert all(bench.monitor(host).hurried for host in "wxyz")
    bench.monitor("w").say(True)
    bench.monitor("x").say(True)
    assert pooled(bench) == "wxyz"


def test_new_servers_that_are_dead_replace_nobody() -> None:
    bench = bench_of("abcd")
    bench.list(*"wxyz")
    for host in "wxyz":
        bench.monitor(host).say(False)
    bench.clock.advance(3600)
    assert set("abcd") <= set(pooled(bench))
    assert bench.snapshot().held[0].servers == tuple("abcd")


def test_without_monitors_new_servers_replace_the_old_at_once() -> None:
    bench = Bench(names=dict(NAMES), monitors=())
    bench.list(*"abcd")
    bench.list(*"wxyz")
    assert pooled(bench) == "wxyz"


def test_held_servers_that_die_are_out_at_once() -> None:
    bench = bench_of()
    bench.list(*"ghij")
    for host in "abcde":
        bench.monitor(host).say(False)
    assert pooled(bench) == "ghij", "f, which works, was left as the only one"
    assert bench.snapshot().held == ()


def test_a_dead_server_that_comes_back_waits_for_its_check_which_comes_at_once() -> None:
    bench = bench_of("abcd")
    bench.monitor("a").say(False)
    bench.list(*"bcd")
    bench.clock.advance(599)
    bench.list(*"abcd")
    assert bench.statuses()["a"] == "enabled/down/not pooled"
    assert bench.monitor("a").hurried
    bench.monitor("a").say(True)
    assert pooled(bench) == "abcd"


def test_a_dead_server_that_comes_back_under_another_name_is_known_by_its_address() -> None:
    bench = bench_of("abcd")
    bench.monitor("a").say(False)
    bench.list(*"bcd")
    bench.names.table["w"] = NAMES["a"]
    bench.list(*"bcdw")
    assert bench.statuses()["w"] == "enabled/down/not pooled"


def test_a_server_that_was_gone_for_ten_minutes_comes_back_as_a_new_one() -> None:
    bench = bench_of("abcd")
    bench.monitor("a").say(False)
    bench.list(*"bcd")
    bench.clock.advance(600)
    bench.list(*"abcd")
    assert pooled(bench) == "abcd"
    assert not bench.monitor("a").hurried


def test_a_server_is_disabled_at_once_though_names_of_new_ones_take_time() -> None:
    bench = bench_of("abcd")
    bench.list(ServerSpec("a", enabled=False), ServerSpec("b", 20), "d", "q")
    assert pooled(bench) == "bcd", "c, which is left out, waits for q"
    assert bench.destinations[NAMES["b"]] == 20
    bench.names.watches["q"].answer(ip_address("10.0.0.77"))
    assert pooled(bench) == "bdq"


def test_what_is_held_stays_held_over_a_list_whose_names_take_time() -> None:
    bench = bench_of()
    bench.list(*"ghij")
    with capturedLogs() as logged:
        bench.list(*without("g", "ghij"), "q")
        assert set(pooled(bench)) == set(TEN) - {"g"}
        bench.names.watches["q"].answer(None)
    assert set(pooled(bench)) == set(TEN) - {"g"}
    assert [e for e in logged if e["log_level"] is LogLevel.critical] == []
    assert bench.snapshot().held_total == 1


def test_with_a_floor_of_0_a_list_is_in_force_as_it_is() -> None:
    bench = bench_of(floor=Fraction(0))
    bench.list("w")
    assert pooled(bench) == "w"
    bench.list(ServerSpec("w", enabled=False))
    assert pooled(bench) == ""


def test_after_stop_no_timer_is_left() -> None:
    bench = bench_of(hold_s=3600)
    bench.list(*"ghij")
    bench.clock.advance(1)
    bench.coordinator.stop()
    bench.clock.advance(0)  # the slice of that turn ends
    assert bench.clock.getDelayedCalls() == []


def test_of_two_monitors_both_must_find_a_new_server_up() -> None:
    bench = Bench(names=dict(NAMES), monitors=(IDLE, FETCH))
    bench.list("a")
    bench.monitor("a").say(True)
    bench.monitor("a", "ProxyFetch").say(True)
    bench.list("w")
    bench.monitor("w").say(True)
    assert pooled(bench) == "wa"
    bench.monitor("w", "ProxyFetch").say(True)
    assert pooled(bench) == "w"


def test_a_list_that_shrank_while_the_daemon_was_away_is_held_against_that_of_the_last_run() -> (
    None
):
    bench = Bench(names=dict(NAMES))
    bench.list(*"ij", last_run=TEN)
    assert set(pooled(bench)) == set(TEN)
    assert bench.snapshot().held[0].servers == tuple("abcdefgh")
    bench.clock.advance(86400)
    bench.list(ServerSpec("i", 20), "j")
    assert set(pooled(bench)) == set(TEN)


def test_a_server_that_went_while_the_daemon_was_away_is_gone() -> None:
    bench = Bench(names=dict(NAMES))
    bench.list(*"bcdefghij", last_run=TEN)
    assert pooled(bench) == "bcdefghij"
    assert bench.running == set("bcdefghij")


def test_with_a_floor_of_0_the_last_run_does_not_matter() -> None:
    bench = Bench(names=dict(NAMES), list_guard=ListGuardSettings(Fraction(0)))
    bench.list("a", last_run=TEN)
    assert pooled(bench) == "a"
    assert set(bench.names.watches) == {"a"}


def test_what_the_next_start_is_to_find_is_what_is_in_force() -> None:
    bench = bench_of()
    bench.list(*"ghij")
    assert {spec.host for spec in bench.in_force_lists[-1]} == set(TEN)
    bench.coordinator.confirm_list()
    assert [spec.host for spec in bench.in_force_lists[-1]] == list("ghij")


def drained(bench: Bench, hosts: str, wait_s: float = 20.0) -> None:
    """One server after another is disabled."""
    for number in range(len(hosts)):
        bench.clock.advance(wait_s)
        off = set(hosts[: number + 1])
        bench.list(*(ServerSpec(host, enabled=host not in off) for host in TEN))


def restarted(before: Bench, clock_s: float, disabled: str = "") -> Bench:
    """A new process, that finds what the last one has left, and then a list."""
    bench = Bench(names=dict(NAMES))
    bench.clock.advance(clock_s)
    servers = before.in_force_lists[-1]
    found = tuple(without(disabled)) if disabled else servers
    bench.coordinator.pool_list(SourceList(found, servers, before.past))
    return bench


def test_a_drain_that_goes_on_over_a_restart_ends_at_the_same_floor() -> None:
    first = bench_of()
    drained(first, "abcd")
    second = restarted(first, first.clock.seconds() + 5)
    drained(second, "abcdefgh")
    assert len(pooled(second)) == 5
    assert second.snapshot().held


def test_what_is_held_is_held_after_a_restart_an_hour_later_too() -> None:
    first = bench_of()
    drained(first, "abcdefg")
    assert len(pooled(first)) == 5
    second = restarted(first, first.clock.seconds() + 3600, "abcdefgh")
    assert pooled(second) == "fghij"


def test_what_was_taken_away_long_before_a_restart_no_longer_counts() -> None:
    first = bench_of()
    drained(first, "abcd")
    second = restarted(first, first.clock.seconds() + 1000)
    drained(second, "abcdefg")
    assert len(pooled(second)) == 3
