"""What is looked at first."""

from __future__ import annotations

from pybal.ipvs.work_queue import WorkQueue
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6


def filled() -> WorkQueue:
    work_queue = WorkQueue()
    work_queue.add(WEB, urgent=False)
    work_queue.add(DNS, urgent=True)
    work_queue.add(WEB6, urgent=False)
    work_queue.add(DNS6, urgent=True)
    return work_queue


def test_the_urgent_come_first_and_then_it_is_the_order_of_arrival() -> None:
    work_queue = filled()
    assert work_queue.first(9) == (DNS, DNS6, WEB, WEB6)
    assert work_queue.first(3) == (DNS, DNS6, WEB)
    assert work_queue.urgent
    assert work_queue.others


def test_a_service_is_there_once_and_is_never_made_less_urgent() -> None:
    work_queue = WorkQueue()
    work_queue.add(WEB, urgent=False)
    work_queue.add(WEB, urgent=True)
    work_queue.add(WEB, urgent=False)
    assert work_queue.first(9) == (WEB,)
    assert work_queue.urgent
    assert not work_queue.others


def test_what_takes_several_turns_lets_the_urgent_pass_and_is_finished_before_the_next() -> None:
    work_queue = filled()
    work_queue.defer(DNS)
    assert work_queue.first(9) == (DNS6, WEB, WEB6, DNS)
    work_queue.defer(WEB)
    assert work_queue.first(9) == (DNS6, WEB, WEB6, DNS)


def test_an_urgent_one_that_had_its_turn_lets_the_other_urgent_ones_pass() -> None:
    work_queue = filled()
    work_queue.let_pass(DNS)
    work_queue.let_pass(WEB)
    assert work_queue.first(9) == (DNS6, DNS, WEB, WEB6)


def test_what_is_done_is_gone() -> None:
    work_queue = filled()
    for key in (WEB, WEB, DNS, WEB6, DNS6):
        assert work_queue
        work_queue.discard(key)
    assert not work_queue
    assert work_queue.first(9) == ()
