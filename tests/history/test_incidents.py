"""What belongs together: to which incident an event belongs, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import (
    MAX_EFFECTS,
    REMEMBERED,
    Concern,
    Incident,
    Incidents,
    Subject,
    SubjectKind,
)

HOST = Subject("host", "cp1")
LIST = Subject("list", "web")


class Bench:
    """Events one after another; their wall clock is 1000 s beyond the one that does not jump."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.seq = 0

    def add(
        self,
        now_s: float,
        concern: Concern | None = None,
        caused_by: int | None = None,
        kind: Kind = Kind.REPORT,
        service: str | None = "web",
        host: str = "cp1",
        inputs: Mapping[str, Any] | None = None,
    ) -> int | None:
        """An event; returns its incident."""
        self.seq += 1
        number = self.incidents.incident_of(self.seq, concern, caused_by, now_s)
        event = LedgerEvent(
            self.seq, 1000.0 + now_s, now_s, 1, kind, f"event {self.seq}", service, host,
            None, number, inputs or {},
        )  # fmt: skip
        self.incidents.add(event, concern, now_s)
        return number

    def fails(self, now_s: float, part: str = "web Ping", subject: Subject = HOST) -> int | None:
        return self.add(now_s, Concern(subject, part))

    def recovers(self, now_s: float, part: str = "web Ping", subject: Subject = HOST) -> int | None:
        return self.add(now_s, Concern(subject, part, begins=False))

    def decided(self, now_s: float, incident: int, verdict: str, service: str = "web") -> None:
        inputs = {"verdict": verdict}
        self.add(now_s, None, incident, Kind.DECISION, service, inputs=inputs)

    def get(self, number: int) -> Incident:
        found = self.incidents.get(number)
        assert found is not None
        return found

    def have_changed(self) -> bool:
        return self.incidents.have_changed

    def is_open(self, number: int) -> bool:
        return self.get(number).ended_at is None


def test_an_incident_is_named_by_its_first_event_and_has_its_words() -> None:
    bench = Bench()
    assert bench.add(0.0) is None
    assert bench.fails(5.0) == 2
    assert bench.get(2) == Incident(
        2, HOST, "event 2", 1005.0, 1005.0, None, events=1, services=("web",)
    )
    assert bench.incidents.get(1) is None


def test_it_ends_with_the_last_that_found_something_wrong() -> None:
    bench = Bench()
    assert (bench.fails(0.0), bench.fails(1.0, "dns Ping")) == (1, 1)
    assert bench.recovers(2.0) == 1
    assert bench.is_open(1)
    # It had said nothing.
    assert bench.recovers(3.0, "mail Ping") is None
    assert bench.recovers(4.0) is None
    assert bench.recovers(5.0, "dns Ping") == 1
    assert bench.get(1) == Incident(
        1, HOST, "event 1", 1000.0, 1005.0, 1005.0, events=4, services=("web",)
    )


@pytest.mark.parametrize(("after_s", "same"), [(59.9, True), (60.0, False)])
def test_one_that_fails_again_within_a_minute_goes_on(after_s: float, same: bool) -> None:
    bench = Bench()
    bench.fails(0.0)
    bench.recovers(100.0)
    again = bench.fails(100.0 + after_s)
    assert again == (1 if same else 3)
    assert bench.is_open(3 if not same else 1)
    assert bench.is_open(1) == same


def test_one_that_goes_on_for_hours_is_one() -> None:
    bench = Bench()
    bench.fails(0.0)
    assert bench.fails(36_000.0, "dns Ping") == 1


@pytest.mark.parametrize(("after_s", "same"), [(9.9, True), (10.0, False)])
def test_a_change_of_a_list_is_over_at_once_and_goes_on_for_ten_seconds(
    after_s: float, same: bool
) -> None:
    bench = Bench()
    assert bench.fails(0.0, subject=LIST) == 1
    assert bench.get(1).ended_at == 1000.0
    assert bench.fails(after_s, subject=LIST) == (1 if same else 2)


def test_subjects_are_told_apart() -> None:
    bench = Bench()
    others: list[SubjectKind] = ["host", "peer", "isolation", "list"]
    numbers = [bench.fails(0.0, subject=Subject(kind, "cp1")) for kind in others]
    assert numbers == [1, 2, 3, 4]
    assert bench.fails(1.0, subject=Subject("host", "cp2")) == 5


def test_what_an_event_of_an_incident_causes_belongs_to_it() -> None:
    bench = Bench()
    bench.fails(0.0)
    assert bench.add(1.0, caused_by=1) == 1
    assert bench.add(1.0, caused_by=7) is None
    assert bench.get(1).events == 2
    # An effect does not prolong it.
    bench.recovers(10.0)
    bench.add(69.0, caused_by=1)
    assert bench.fails(70.0) == 6


def test_effects_are_counted_by_what_they_are_now() -> None:
    bench = Bench()
    bench.fails(0.0)
    bench.decided(1.0, 1, "depooled")
    bench.decided(1.0, 1, "depooled", "dns")
    bench.decided(2.0, 1, "held", "dns")
    bench.decided(3.0, 1, "held", "dns")
    bench.decided(4.0, 1, "pooled_unproven", "mail")
    bench.add(5.0, None, 1, Kind.KERNEL)
    one = bench.get(1)
    assert (one.effects, one.events) == (3, 7)
    assert one.services == ("web", "dns", "mail")
    assert one.verdicts == (("depooled", 1), ("held", 1), ("pooled_unproven", 1))
    became = "1 depooled, 1 pooled though down, 1 pooled unproven"
    assert one.text == f"cp1 failed in 3 services ({became}): event 1"
    assert one._replace(ended_at=9.0).text == f"cp1 failed in 3 services (now {became}): event 1"


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("host", "cp1 failed in 1 service: event 1"),
        ("peer", "The BGP session with cp1 failed in 1 service: event 1"),
        ("isolation", "This director was cut off in 1 service: event 1"),
        ("list", "The pool list changed in 1 service: event 1"),
    ],
)
def test_how_it_reads(kind: SubjectKind, title: str) -> None:
    bench = Bench()
    bench.fails(0.0, subject=Subject(kind, "cp1"))
    assert bench.get(1).text == title
    bench = Bench()
    bench.add(0.0, Concern(Subject(kind, "cp1")), service=None)
    assert bench.get(1).text == title.replace(" in 1 service", "")


def test_what_found_something_wrong_and_is_gone_says_so_no_more() -> None:
    bench = Bench()
    bench.fails(0.0)
    bench.fails(0.0, "dns Ping")
    bench.incidents.take_changed(9)
    bench.incidents.gone(HOST, "mail Ping", 1005.0)
    bench.incidents.gone(Subject("host", "cp2"), "web Ping", 1005.0)
    bench.incidents.gone(HOST, "web Ping", 1006.0)
    assert bench.is_open(1)
    assert not bench.have_changed()
    bench.incidents.gone(HOST, "dns Ping", 1007.0)
    assert bench.get(1).ended_at == 1007.0
    assert bench.have_changed()


def test_those_that_have_changed_are_taken_once_the_oldest_first() -> None:
    bench = Bench()
    assert not bench.have_changed()
    for number in range(3):
        bench.fails(0.0, subject=Subject("host", f"h{number}"))
    assert bench.have_changed()
    assert [each.id for each in bench.incidents.take_changed(2)] == [1, 2]
    assert [each.id for each in bench.incidents.take_changed(2)] == [3]
    assert not bench.have_changed()
    bench.add(1.0, caused_by=2)
    assert [each.id for each in bench.incidents.take_changed(2)] == [2]
    assert [each.id for each in bench.incidents.all()] == [1, 2, 3]


def test_an_incident_is_the_same_until_something_changes() -> None:
    bench = Bench()
    bench.fails(0.0)
    one = bench.get(1)
    assert bench.get(1) is one
    bench.add(1.0, caused_by=1)
    assert bench.get(1) is not one


def test_a_thousand_are_remembered_and_those_that_are_over_go_first() -> None:
    bench = Bench()
    assert REMEMBERED == 1000
    bench.fails(0.0, subject=Subject("host", "first"))
    bench.fails(0.0, subject=Subject("host", "second"))
    bench.recovers(0.0, subject=Subject("host", "second"))
    for number in range(998):
        bench.fails(0.0, subject=Subject("host", f"h{number}"))
    assert len(list(bench.incidents.all())) == 1000
    bench.fails(0.0, subject=Subject("host", "more"))
    assert bench.incidents.get(1) is not None
    assert bench.incidents.get(2) is None
    # All go on: then the oldest.
    bench.fails(0.0, subject=Subject("host", "still more"))
    assert bench.incidents.get(1) is None
    assert len(list(bench.incidents.all())) == 1000
    # Whoever is forgotten begins another one.
    assert bench.fails(1.0, subject=Subject("host", "second")) == bench.seq
    assert bench.fails(1.0, subject=Subject("host", "first")) == bench.seq


def filled(bench: Bench, now_s: float) -> None:
    """There are as many as are remembered, and one more; the others go on."""
    for number in range(REMEMBERED + 1 - len(list(bench.incidents.all()))):
        bench.fails(now_s, subject=Subject("host", f"h{number}"))


def test_one_that_goes_on_again_is_not_over() -> None:
    bench = Bench()
    bench.fails(0.0)
    bench.recovers(1.0)
    bench.fails(2.0)
    other = bench.fails(3.0, subject=Subject("host", "other"))
    assert other is not None
    bench.recovers(4.0, subject=Subject("host", "other"))
    filled(bench, 5.0)
    assert bench.incidents.get(1) is not None
    assert bench.incidents.get(other) is None


def test_one_whose_last_part_is_gone_is_over() -> None:
    bench = Bench()
    bench.fails(0.0)
    other = Subject("host", "other")
    number = bench.fails(0.0, subject=other)
    assert number is not None
    bench.incidents.gone(other, "web Ping", 1000.0)
    filled(bench, 1.0)
    assert bench.incidents.get(number) is None
    assert bench.incidents.get(1) is not None


def test_what_is_forgotten_is_not_taken_for_the_disk_and_later_ones_of_its_subject_go_on() -> None:
    bench = Bench()
    bench.fails(0.0)
    bench.recovers(0.0)
    later = bench.fails(100.0)
    filled(bench, 101.0)
    assert bench.incidents.get(1) is None
    assert len(bench.incidents.take_changed(5000)) == REMEMBERED
    assert bench.fails(102.0, "dns Ping") == later


def test_of_effects_twenty_thousand_are_counted() -> None:
    assert MAX_EFFECTS == 20_000
    assert Incident(1, HOST, "x", 0.0, 0.0).events == 0
