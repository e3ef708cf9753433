"""From when on an alert counts, when it becomes critical, and what the next run must know."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.instrumentation.pending_alert import Dated, Lasting, PendingAlert, PendingAlerts
from pybal.model import Alert, Severity
from pybal.overrides.acknowledgement import Acknowledgement

OK, WARNING, CRITICAL = Severity
ALERT = Alert("no-address", WARNING, "web", "Pool web has …")
EPOCH = 1e9


class Rig:
    """`at_s` is the clock that does not jump, the wall clock shows EPOCH beyond it."""

    def __init__(self, *lasting: Lasting, ahead_s: float = 0.0) -> None:
        self.alerts = PendingAlerts(lasting)
        self.ahead_s = ahead_s

    def step(self, at_s: float, *pending: PendingAlert) -> list[tuple[Severity, float]]:
        """Severity and age of those that count."""
        found = self.alerts.step(pending, at_s, EPOCH + self.ahead_s + at_s)
        return [(each.alert.severity, each.age_s) for each in found]


def pending(**more: Any) -> PendingAlert:
    return PendingAlert(ALERT, **more)


def test_an_alert_without_a_delay_counts_at_once_and_has_its_age() -> None:
    rig = Rig()
    assert rig.step(100.0, pending()) == [(WARNING, 0.0)]
    assert rig.step(107.0, pending()) == [(WARNING, 7.0)]
    assert rig.step(108.0) == []
    assert rig.step(109.0, pending()) == [(WARNING, 0.0)]


def test_one_that_must_last_counts_once_it_has() -> None:
    rig = Rig()
    assert rig.step(100.0, pending(after_s=10.0)) == []
    assert rig.step(109.9, pending(after_s=10.0)) == []
    assert rig.step(110.0, pending(after_s=10.0)) == [(WARNING, 10.0)]


def test_one_becomes_critical_when_it_has_lasted_so_long() -> None:
    rig = Rig()
    assert rig.step(100.0, pending(critical_after_s=15.0)) == [(WARNING, 0.0)]
    assert rig.step(114.9, pending(critical_after_s=15.0))[0][0] is WARNING
    assert rig.step(115.0, pending(critical_after_s=15.0))[0][0] is CRITICAL


def test_what_may_be_the_start_is_none_in_the_first_fifteen_seconds() -> None:
    rig = Rig()
    rig.step(100.0)
    assert rig.step(101.0, pending(may_be_start=True), pending(subject="x")) == [(WARNING, 0.0)]
    assert rig.step(114.9, pending(may_be_start=True)) == []
    assert rig.step(115.0, pending(may_be_start=True)) == [(WARNING, 14.0)]


def test_before_its_moment_it_counts_not() -> None:
    rig = Rig()
    assert rig.step(99.0, pending(from_at=EPOCH + 100.0)) == []
    assert rig.step(100.0, pending(from_at=EPOCH + 100.0)) == [(WARNING, 1.0)]


def test_alerts_are_told_apart_by_id_service_and_subject_not_by_their_words() -> None:
    rig = Rig()
    rig.step(100.0, pending())
    others = [
        pending()._replace(alert=ALERT._replace(text="other words", severity=CRITICAL)),
        pending(subject="x"),
        pending()._replace(alert=ALERT._replace(service="dns")),
        pending()._replace(alert=ALERT._replace(id="list-stale")),
    ]
    assert [age for _, age in rig.step(105.0, *others)] == [5.0, 0.0, 0.0, 0.0]


def dated(**more: Any) -> Dated:
    (found,) = PendingAlerts().step([pending(**more)], 100.0)
    return found


def test_what_it_is_about_is_its_subject_unless_that_is_said() -> None:
    assert dated(subject="a").about == "a"
    assert dated(subject="a", about="b").about == "b"
    assert dated(subject="a", about="").about == ""
    assert dated(details=("x", "y")).details == ("x", "y")


# -- over restarts ------------------------------------------------------------------------------

HOUR_S = 3600.0
LONG = pending(after_s=HOUR_S)
KEY = (ALERT.id, ALERT.service, "")


def test_what_counts_after_an_hour_or_more_is_known_to_the_next_run() -> None:
    rig = Rig()
    rig.step(100.0, LONG, pending(after_s=HOUR_S - 1, subject="short"))
    rig.step(200.0, LONG)
    assert rig.alerts.lasting == (Lasting(KEY, EPOCH + 100.0),)
    again = Rig(*rig.alerts.lasting, ahead_s=HOUR_S)
    assert again.step(0.0, LONG) == []
    assert again.step(100.0, LONG) == [(WARNING, HOUR_S)]
    assert again.alerts.lasting == (Lasting(KEY, EPOCH + 100.0),)


@pytest.mark.parametrize(("after_s", "known"), [(119.9, True), (120.0, False)])
def test_what_is_not_there_two_minutes_after_a_start_is_forgotten(
    after_s: float, known: bool
) -> None:
    rig = Rig(Lasting(KEY, EPOCH - 9 * HOUR_S))
    rig.step(1000.0)
    rig.step(1000.0 + after_s)
    assert bool(rig.alerts.lasting) == known
    found = rig.step(1000.0 + after_s, LONG)
    assert bool(found) == known


def test_a_clock_that_was_set_back_makes_nothing_younger_than_new() -> None:
    rig = Rig(Lasting(KEY, EPOCH + 9 * HOUR_S))
    assert rig.step(0.0, LONG) == []
    assert rig.step(HOUR_S, LONG) == [(WARNING, HOUR_S)]


# -- under another name -------------------------------------------------------------------------

RENAMED = LONG._replace(alert=ALERT._replace(service="text"))


def test_what_lasts_goes_on_for_a_service_under_another_name() -> None:
    rig = Rig()
    rig.step(1000.0, LONG)
    rig.alerts.rename([("web", "text")], 2000.0)
    assert rig.step(2000.0, LONG) == []
    assert rig.step(2100.0) == [], "its list has not come yet"
    assert rig.step(2110.0, RENAMED) == []
    assert rig.step(1000.0 + HOUR_S, RENAMED) == [(WARNING, HOUR_S)]
    assert [each.key[1] for each in rig.alerts.lasting] == ["text"]


def test_of_another_service_s_change_of_name_nothing_comes() -> None:
    rig = Rig()
    rig.step(1000.0, LONG)
    rig.alerts.rename([("dns", "dns2")], 2000.0)
    rig.step(2000.0)
    assert rig.alerts.lasting == ()


# -- acknowledged -------------------------------------------------------------------------------


def known(severity: Severity, *details: str) -> Acknowledgement:
    return Acknowledgement(
        "no-address", "web", "", severity, "alice", "new disk", EPOCH, EPOCH + 60, details
    )


def test_one_that_an_operator_knows_is_ok_and_says_so() -> None:
    one = dated()
    found = one.acknowledged(known(WARNING))
    assert (found.alert.severity, found.severity) == (OK, WARNING)
    assert found.alert.text == f"{ALERT.text} ({known(WARNING).text})"
    assert found.known == known(WARNING)
    assert (one.severity, one.known) == (WARNING, None)


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (dated(), None),
        (dated(details=("a", "b")), known(WARNING, "a")),
        (dated()._replace(alert=ALERT._replace(severity=CRITICAL)), known(WARNING)),
        (dated()._replace(alert=ALERT._replace(severity=OK)), known(WARNING)),
    ],
    ids=["not known", "has grown", "is worse", "is none"],
)
def test_one_that_is_not_known_stays_as_it_is(one: Dated, word: Acknowledgement | None) -> None:
    assert one.acknowledged(word) is one
