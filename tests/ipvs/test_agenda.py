"""What is looked at first."""

from __future__ import annotations

from pybal.ipvs.agenda import Agenda, Urgency
from tests.ipvs.examples import DNS, DNS6, WEB, WEB6


def test_changes_come_before_loads_before_audits() -> None:
    agenda = Agenda()
    agenda.add(WEB, Urgency.AUDIT)
    agenda.add(DNS, Urgency.LOAD)
    agenda.add(WEB6, Urgency.CHANGE)
    agenda.add(DNS6, Urgency.LOAD)
    assert agenda.in_order() == (WEB6, DNS, DNS6, WEB)
    assert agenda.pressing
    assert agenda.auditing


def test_a_service_is_there_once_and_is_never_made_less_urgent() -> None:
    agenda = Agenda()
    agenda.add(WEB, Urgency.AUDIT)
    agenda.add(WEB, Urgency.CHANGE)
    agenda.add(WEB, Urgency.LOAD)
    agenda.add(WEB, Urgency.AUDIT)
    assert agenda.in_order() == (WEB,)
    assert agenda.pressing
    assert not agenda.auditing
    assert not agenda.only_audit(WEB)


def test_a_change_of_many_turns_lets_others_pass() -> None:
    agenda = Agenda()
    agenda.add(WEB, Urgency.CHANGE)
    agenda.add(DNS, Urgency.LOAD)
    agenda.defer(WEB)
    agenda.add(WEB6, Urgency.CHANGE)
    assert agenda.in_order() == (WEB6, DNS, WEB)
    # A load is finished before the next one begins.
    agenda.defer(DNS)
    assert agenda.in_order() == (WEB6, DNS, WEB)


def test_what_is_done_is_gone() -> None:
    agenda = Agenda()
    agenda.add(WEB, Urgency.AUDIT)
    assert agenda
    agenda.discard(WEB)
    agenda.discard(DNS)
    assert not agenda
    assert not agenda.pressing
