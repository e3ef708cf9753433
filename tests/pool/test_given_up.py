"""What stood in the kernel at a warm start, and an operator no longer wants."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address

from pybal.pool.coordinator import FIRST_ANSWER_WAIT_S
from tests.fakes.coordinator import Bench
from tests.pool.reference_entry import service_entry
from tests.pool.test_warm_start_names import A, B, answer, begun


def test_an_operator_may_end_it() -> None:
    bench = begun("a", "b", "c", in_kernel=(A, B), names={"a": A})
    assert bench.coordinator.confirm_list() == (B,)
    assert bench.destinations == {A: 10}
    assert bench.coordinator.confirm_list() == ()
    answer(bench, b=B)
    assert bench.destinations == {A: 10, B: 10}


def test_before_the_first_list_has_come_there_is_nothing_to_give_up() -> None:
    adopted = service_entry(Bench().settings, [(ip_address(each), 10) for each in (A, B)])
    bench = Bench(adopted=adopted, names={"a": A})
    assert bench.coordinator.confirm_list() == ()
    assert bench.published == []
    bench.list("a", "b")
    bench.clock.advance(FIRST_ANSWER_WAIT_S)
    assert bench.destinations == {A: 10, B: 10}
    assert bench.coordinator.confirm_list() == (B,)


def test_what_an_operator_gives_up_no_longer_keeps_the_address_announced() -> None:
    bench = begun(withdraw_below=Fraction(1, 2))
    assert bench.healths[-1].up == 2
    assert bench.coordinator.confirm_list() == (A, B)
    assert bench.destinations == {}
    assert bench.healths[-1].up == 0
