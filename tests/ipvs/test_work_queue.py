"""What is looked at first."""

from __future__ import annotations

from pybal.ipvs.work_queue import Agenda
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6


def filled() -> Agenda:
    agenda = Agenda()
    agenda.add(WEB, urgent=False)
    agenda.add(DNS, urgent=True)
    agenda.add(WEB6, urgent=False)
    agenda.add(DNS6, urgent=True)
    return agenda


def test_the_urgent_come_first_and_then_it_is_the_order_of_arrival() -> None:
    agenda = filled()
    assert agenda.first(9) == (DNS, DNS6, WEB, WEB6)
    assert agenda.first(3) == (DNS, DNS6, WEB)
    assert agenda.urgent
    assert agenda.others


def test_a_service_is_there_once_and_is_never_made_less_urgent() -> None:
    agenda = Agenda()
    agenda.add(WEB, urgent=False)
    agenda.add(WEB, urgent=True)
    agenda.add(WEB, urgent=False)
    assert agenda.first(9) == (WEB,)
    assert agenda.urgent
    assert not agenda.others


def test_what_takes_several_turns_lets_the_urgent_pass_and_is_finished_before_the_next() -> None:
    agenda = filled()
    agenda.defer(DNS)
    assert agenda.first(9) == (DNS6, WEB, WEB6, DNS)
    agenda.defer(WEB)
    assert agenda.first(9) == (DNS6, WEB, WEB6, DNS)


def test_an_urgent_one_that_had_its_turn_lets_the_other_urgent_ones_pass() -> None:
    agenda = filled()
    agenda.let_pass(DNS)
    agenda.let_pass(WEB)
    assert agenda.first(9) == (DNS6, DNS, WEB, WEB6)


def test_what_is_done_is_gone() -> None:
    agenda = filled()
    for key in (WEB, WEB, DNS, WEB6, DNS6):
        assert agenda
        agenda.discard(key)
    assert not agenda
    assert agenda.first(9) == ()
