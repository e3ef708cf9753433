"""A warm start whose names answer late, not at all, or otherwise than before, and of which nothing
is remembered: what stands in the kernel stays until there is evidence, or an operator's word."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address

import pytest
from twisted.logger import capturedLogs

from pybal.ipvs.model import Forwarding
from pybal.ipvs.options import ServiceOptions
from pybal.kept_change import ListPast
from pybal.model import ServerSpec, SourceList, Verdict
from pybal.pool.coordinator import FIRST_ANSWER_WAIT_S
from pybal.pool.desired import destination
from tests.fakes.coordinator import ADDRESSES, FETCH, IDLE, Bench
from tests.pool.reference_entry import service_entry

A, B, C, D = ADDRESSES.values()
X, Y = "10.0.0.98", "10.0.0.99"
HOUR_S = 3600.0

thresholds = pytest.mark.parametrize("threshold", [Fraction(0), Fraction(1, 2), Fraction(1)])


def begun(
    *hosts: str | ServerSpec,
    threshold: Fraction = Fraction(1, 2),
    in_kernel: tuple[str, ...] | dict[str, int] = (A, B),
    names: dict[str, str] | None = None,
    monitors: tuple[object, ...] = (IDLE,),
    withdraw_below: Fraction | None = None,
    past: ListPast | None = None,
) -> Bench:
    """A process that begins with these servers, of whose names those in `names` answer at once."""
    weights = in_kernel if isinstance(in_kernel, dict) else dict.fromkeys(in_kernel, 10)
    adopted = service_entry(Bench().settings, [(ip_address(a), w) for a, w in weights.items()])
    bench = Bench(
        threshold=threshold,
        adopted=adopted,
        names=names or {},
        monitors=monitors,  # type: ignore[arg-type]
        withdraw_below=withdraw_below,
    )
    bench.list(*(hosts or ("a", "b")), past=past)
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    return bench


def answer(bench: Bench, **names: str | None) -> None:
    for host, address in names.items():
        bench.names.watches[host].answer(None if address is None else ip_address(address))


@thresholds
def test_while_no_name_answers_the_kernel_is_as_it_was(threshold: Fraction) -> None:
    bench = begun(threshold=threshold)
    assert bench.destinations == {A: 10, B: 10}
    for host in "ab":
        answer(bench, **{host: None})
    bench.clock.advance(HOUR_S)
    assert bench.destinations == {A: 10, B: 10}
    assert bench.snapshot().standing == (A, B)


@thresholds
def test_names_that_answer_late_find_their_servers_as_they_stood(threshold: Fraction) -> None:
    bench = begun(threshold=threshold)
    answer(bench, a=A)
    assert bench.destinations == {A: 10, B: 10}
    answer(bench, b=B)
    assert bench.destinations == {A: 10, B: 10}
    assert bench.statuses() == dict.fromkeys("ab", "enabled/up/pooled")
    assert bench.snapshot().standing == ()
    assert len(bench.published) == 1


@thresholds
def test_a_late_name_whose_server_did_not_stand_waits_for_its_monitors(
    threshold: Fraction,
) -> None:
    bench = begun("a", "b", "c", threshold=threshold, names={"a": A, "b": B})
    answer(bench, c=C)
    assert bench.statuses()["c"] == (
        "enabled/down/pooled" if threshold == 1 else "enabled/down/not pooled"
    )
    assert bench.destinations.keys() >= {A, B}
    bench.monitor("c").say(True)
    assert bench.destinations == {A: 10, B: 10, C: 10}


@thresholds
def test_what_is_found_down_leaves_as_the_threshold_allows_though_others_are_late(
    threshold: Fraction,
) -> None:
    bench = begun(*"abcd", threshold=threshold, in_kernel=(A, B, C, D), names={"a": A, "b": B})
    bench.monitor("a").say(False)
    assert bench.destinations.keys() == {B, C, D} | ({A} if threshold == 1 else set())


def test_those_that_stay_are_as_good_as_others_for_the_threshold() -> None:
    bench = begun(*"abcd", in_kernel=(A, B, C, D), names={"a": A, "b": B})
    bench.monitor("a").say(False)
    bench.monitor("b").say(False)
    assert bench.destinations == {C: 10, D: 10}
    answer(bench, c=C)
    bench.monitor("c").say(False)
    assert bench.destinations.keys() == {A, B, C, D}, "D alone is less than half of four"
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10, D: 10}
    answer(bench, d=D)
    assert bench.destinations == {A: 10, D: 10}


def test_who_is_out_because_others_stay_is_shown_as_out() -> None:
    bench = begun(*"abcd", in_kernel=(A, B, C, D), names={"a": A, "b": B})
    bench.monitor("a").say(False)
    bench.monitor("b").say(False)
    shown = bench.snapshot()
    assert shown.servers is bench.snapshot().servers
    assert {host: bench.statuses()[host] for host in "ab"} == dict.fromkeys(
        "ab", "enabled/down/not pooled"
    )
    assert all(s.decision and s.decision.verdict is not Verdict.HELD for s in shown.servers)
    answer(bench, c=C)
    bench.monitor("c").say(False)
    assert bench.statuses()["a"] == "enabled/down/pooled"


@thresholds
@pytest.mark.parametrize("monitors", [(IDLE,), (IDLE, FETCH)])
def test_a_name_that_answers_otherwise_is_made_before_what_stood_is_broken(
    threshold: Fraction, monitors: tuple[object, ...]
) -> None:
    bench = begun(threshold=threshold, names={"a": X, "b": Y}, monitors=monitors)
    assert bench.destinations == {A: 10, B: 10}
    for name in [m.monitor for m in bench.settings.monitors]:
        assert bench.destinations == {A: 10, B: 10}
        bench.monitor("a", name).say(True)
    assert bench.destinations == {A: 10, B: 10, X: 10}
    for name in [m.monitor for m in bench.settings.monitors]:
        bench.monitor("b", name).say(True)
    assert bench.destinations == {X: 10, Y: 10}


@thresholds
def test_names_that_answer_with_what_is_dead_take_nobody_out(threshold: Fraction) -> None:
    bench = begun(threshold=threshold, names={"a": X, "b": Y})
    for host in "ab":
        bench.monitor(host).say(False)
    bench.clock.advance(HOUR_S)
    assert bench.destinations == {A: 10, B: 10}
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10, B: 10, X: 10}
    answer(bench, b=B)
    assert bench.destinations == {A: 10, B: 10, X: 10}, "nothing speaks against b there"
    bench.monitor("b").say(True)
    assert bench.destinations == {B: 10, X: 10}


def test_what_stood_and_is_found_down_once_its_name_says_where_leaves() -> None:
    bench = begun(names={"a": X, "b": Y}, threshold=Fraction(0))
    bench.monitor("b").say(False)
    answer(bench, b=B)
    assert bench.destinations == {A: 10, B: 10}
    bench.monitor("b").say(False)
    assert bench.destinations == {A: 10}
    bench.monitor("a").say(True)
    assert bench.destinations == {X: 10}


def test_late_and_otherwise() -> None:
    bench = begun(threshold=Fraction(0))
    answer(bench, a=X)
    bench.monitor("a").say(True)
    assert bench.destinations == {A: 10, B: 10, X: 10}
    answer(bench, b=B)
    assert bench.destinations == {X: 10, B: 10}


def test_two_that_change_places_have_both_stood() -> None:
    bench = begun(names={"a": B, "b": A})
    assert bench.destinations == {A: 10, B: 10}
    assert bench.snapshot().standing == ()


@thresholds
def test_what_a_list_no_longer_names_leaves_at_once_if_all_names_are_known(
    threshold: Fraction,
) -> None:
    bench = begun("a", threshold=threshold, in_kernel=(A, B, C), names={"a": A})
    assert bench.destinations == {A: 10}


@thresholds
def test_what_a_list_no_longer_names_leaves_once_the_last_name_has_answered(
    threshold: Fraction,
) -> None:
    bench = begun("a", "c", threshold=threshold, in_kernel=(A, B, C), names={"a": A})
    assert bench.destinations == {A: 10, B: 10, C: 10}
    answer(bench, c=C)
    assert bench.destinations == {A: 10, C: 10}


def test_a_server_that_is_found_down_may_have_been_where_one_stood() -> None:
    bench = begun("a", "c", in_kernel=(A, B), names={"a": A, "c": C})
    bench.monitor("c").say(False)
    assert bench.destinations == {A: 10, B: 10}
    bench.list("a", ServerSpec("c", enabled=False))
    assert bench.destinations == {A: 10}


@thresholds
def test_an_operators_word_counts_though_names_are_late(threshold: Fraction) -> None:
    disabled = [ServerSpec(host, enabled=False) for host in "ab"]
    bench = begun(*disabled, threshold=threshold)
    assert bench.destinations == {}


def test_a_server_that_is_disabled_leaves_once_no_other_can_be_it() -> None:
    bench = begun("a", ServerSpec("b", enabled=False))
    assert bench.destinations == {A: 10, B: 10}
    answer(bench, b=B)
    assert bench.destinations == {A: 10}
    answer(bench, a=A)
    assert bench.destinations == {A: 10}


@pytest.mark.parametrize("name", ["a", A])
def test_who_is_known_to_have_left_the_list_leaves_unless_it_may_have_another_name(
    name: str,
) -> None:
    adopted = service_entry(Bench().settings, [(ip_address(A), 10), (ip_address(B), 10)])
    bench = Bench(adopted=adopted, names={"c": C}, threshold=Fraction(0))
    bench.names.last_run = {"a": A, "b": B}
    bench.list("b", "c", last_run=[name, "b"])
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    bench.monitor("c").say(False)
    assert bench.destinations == {A: 10, B: 10}
    answer(bench, b=B)
    assert bench.destinations == {B: 10}


@thresholds
def test_a_list_that_comes_meanwhile_does_not_end_it(threshold: Fraction) -> None:
    bench = begun("a", "b", "c", threshold=threshold, in_kernel=(A, B, C), names={"a": A})
    bench.list("a", "b")
    bench.clock.advance(HOUR_S)
    assert bench.destinations == {A: 10, B: 10, C: 10}
    answer(bench, b=B)
    assert bench.destinations == {A: 10, B: 10}


@thresholds
def test_names_that_all_answer_with_one_address_do_not_make_one_server_of_all(
    threshold: Fraction,
) -> None:
    bench = begun(*"abc", in_kernel=(A, B, C), names=dict.fromkeys("abc", B), threshold=threshold)
    for host in "abc":
        bench.monitor(host).say(True)
    assert bench.destinations == {A: 10, B: 10, C: 10}
    answer(bench, a=A)
    bench.made[-1].say(True)
    assert bench.destinations == {A: 10, B: 10, C: 10}
    bench.list("a", "b")
    assert bench.destinations == {A: 10, B: 10}


def test_two_names_of_one_server_keep_nobody_else_in_if_all_that_stood_is_known() -> None:
    bench = begun(*"abc", in_kernel=(A, B), names={"a": A, "b": A, "c": B})
    assert bench.snapshot().standing == ()
    assert bench.destinations == {A: 10, B: 10}


def test_one_that_moves_leaves_its_address_to_the_next_who_is_up_there() -> None:
    bench = begun(in_kernel=(A, B, C), names={"a": A, "b": A})
    answer(bench, a=B)
    bench.made[-1].say(True)
    assert bench.snapshot().standing == (C,)
    bench.monitor("b").say(True)
    assert bench.snapshot().standing == ()
    assert bench.destinations == {A: 10, B: 10}


def test_one_that_is_disabled_leaves_its_address_to_the_next_who_is_up_there() -> None:
    bench = begun(in_kernel=(A, C), names={"a": A, "b": A})
    assert bench.destinations == {A: 10, C: 10}
    bench.list(ServerSpec("a", enabled=False), "b")
    assert bench.destinations == {A: 10, C: 10}
    bench.monitor("b").say(True)
    assert bench.snapshot().standing == ()
    assert bench.destinations == {A: 10}


@pytest.mark.parametrize("said", [True, False])
def test_where_one_has_left_the_next_must_be_found_up(said: bool) -> None:
    bench = begun("b", "c", in_kernel=(B, C), threshold=Fraction(0), names={"b": B, "c": B})
    if said:
        bench.monitor("b").say(False)
    bench.list("c")
    assert bench.destinations == {B: 10, C: 10}, "nothing else is known to work"
    bench.monitor("c").say(False)
    assert bench.destinations == {C: 10}
    bench.monitor("c").say(True)
    assert bench.destinations == {B: 10}


def test_where_two_are_and_the_second_leaves_the_first_must_be_found_up() -> None:
    bench = begun("b", "c", in_kernel=(B, C), threshold=Fraction(0), names={"b": B, "c": B})
    bench.list("b")
    assert bench.destinations == {B: 10, C: 10}, "B may have been c"
    bench.monitor("b").say(True)
    assert bench.destinations == {B: 10}


def test_who_was_pooled_though_down_does_not_stand_for_where_it_worked() -> None:
    # a's name had moved to X, where it was not found up; it was pooled there for want of others.
    past = ListPast(0.0, unproven=("a",))
    bench = begun(in_kernel=(A, B, X), names={"a": X, "b": B}, past=past)
    assert bench.destinations == {A: 10, B: 10, X: 10}
    assert bench.snapshot().standing == (A,)
    bench.monitor("a").say(True)
    assert bench.destinations == {B: 10, X: 10}


def test_what_a_drain_has_left_with_weight_0_stays_with_that() -> None:
    bench = begun(in_kernel={A: 10, B: 0})
    assert bench.destinations == {A: 10, B: 0}
    assert bench.snapshot().standing == (A,)
    answer(bench, a=A)
    answer(bench, b=B)
    assert bench.statuses()["b"] == "enabled/down/not pooled"
    assert bench.destinations == {A: 10}


def test_what_stands_stays_as_it_stands() -> None:
    probe = Bench().settings
    tunnel = ServiceOptions(Forwarding.TUNNEL)
    entry = service_entry(probe, [(ip_address(A), 3)])
    other = destination(Bench(tunneling=True).settings, ip_address(B), 7)
    assert other.forwarding is tunnel.forwarding
    entry = type(entry)(entry.service, {**entry.destinations, other.key: other})
    bench = Bench(adopted=entry, names={"a": A})
    bench.list("a", "b")
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    assert bench.destinations == {A: 10, B: 7}
    assert bench.published[-1].destinations[other.key] == other
    answer(bench, b=B)
    assert bench.published[-1].destinations[other.key].forwarding is Forwarding.DIRECT


def test_addresses_of_the_other_family_may_be_theirs_too() -> None:
    bench = begun(in_kernel=("2001:db8::1", "2001:db8::2"), names={"a": A, "b": B})
    assert bench.destinations.keys() == {"2001:db8::1", "2001:db8::2"}
    bench.monitor("a").say(True)
    assert bench.destinations.keys() == {"2001:db8::1", "2001:db8::2", A}
    bench.monitor("b").say(True)
    assert bench.destinations.keys() == {A, B}


def test_without_monitors_a_server_is_where_its_name_says() -> None:
    bench = begun(names={"a": X}, monitors=())
    assert bench.destinations == {A: 10, B: 10, X: 10}
    answer(bench, b=Y)
    assert bench.destinations == {X: 10, Y: 10}


def test_a_second_start_goes_on_alike() -> None:
    first = begun(names={"a": X})
    first.coordinator.stop()
    second = Bench(adopted=first.published[-1], names={"a": X})
    found = tuple(map(ServerSpec, "ab"))
    second.coordinator.pool_list(SourceList(found, first.in_force_lists[-1], first.past))
    second.clock.advance(FIRST_ANSWER_WAIT_S)
    assert second.destinations == {A: 10, B: 10}
    second.monitor("a").say(True)
    answer(second, b=B)
    assert second.destinations == {X: 10, B: 10}


def test_bgp_hears_of_those_that_stay() -> None:
    bench = begun(withdraw_below=Fraction(1, 2))
    assert (bench.healths[-1].up, bench.healths[-1].confirmed) == (2, 2)
    assert bench.healths[-1].weight_up == 20
    answer(bench, a=A)
    assert (bench.healths[-1].up, bench.healths[-1].confirmed) == (2, 1)
    answer(bench, b=B)
    assert (bench.healths[-1].up, bench.healths[-1].weight_up) == (2, 20)


def test_it_is_said_once_and_when_it_ends() -> None:
    with capturedLogs() as events:
        bench = begun("a", "c", in_kernel=(A, B), names={"a": A})
        bench.monitor("a").say(True)
        answer(bench, c=C)
        bench.monitor("c").say(True)
    warned = [e for e in events if "kept as found in the kernel" in e["log_format"]]
    assert [(e["servers"], e["addresses"], e["hosts"]) for e in warned] == [("1 server", B, "c")]
    assert sum("Nothing stays any longer" in e["log_format"] for e in events) == 1


def test_after_a_boot_nothing_has_stood() -> None:
    bench = Bench(names={})
    bench.list("a", "b")
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    assert bench.destinations == {}
    answer(bench, a=A)
    assert bench.destinations == {A: 10}


def test_a_large_list_that_comes_in_portions() -> None:
    hosts = [f"h{number}" for number in range(1000)]
    names = {host: str(ip_address("10.1.0.0") + number) for number, host in enumerate(hosts)}
    known = dict(list(names.items())[:900])
    bench = begun(*hosts, in_kernel=tuple(names.values()), names=known)
    for _ in range(20):
        bench.clock.advance(0)
    assert bench.destinations == dict.fromkeys(names.values(), 10)
    assert len(bench.published) == 1
    assert len(bench.snapshot().standing) == 100
    answer(bench, **dict(list(names.items())[900:]))
    assert bench.destinations == dict.fromkeys(names.values(), 10)
    assert bench.snapshot().standing == ()
