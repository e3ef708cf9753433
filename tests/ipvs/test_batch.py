"""How much of the services' plans a turn takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from pybal.ipvs.batch import CHANGED_WITHIN_S, LOOKED_AT_PER_TURN, Batch, batches
from pybal.ipvs.operations import Operation, RemoveDestination
from tests.ipvs.examples import DNS, WEB, server


def steps_of(*steps: int | str) -> Iterator[Operation | int]:
    """A number: so many are looked at; each letter of a text is an operation."""
    for step in steps:
        if isinstance(step, int):
            yield step
        else:
            yield from (RemoveDestination(WEB, server(number)) for number, _ in enumerate(step, 1))


def test_what_has_room_is_taken_whole() -> None:
    batch = Batch(room=4)
    batch.take(WEB, 2, steps_of(10, "xx"))
    batch.take(DNS, 1, steps_of("x"))
    assert len(batch.operations) == 3
    assert (batch.complete, batch.begun, batch.services) == ([WEB, DNS], None, (WEB, DNS))
    assert not batch.full


def test_a_plan_that_has_no_room_is_begun_and_goes_on_in_another_turn() -> None:
    steps = steps_of("xxxxx")
    batch = Batch(room=3)
    batch.take(DNS, 0, steps_of())
    batch.take(WEB, 5, steps)
    assert len(batch.operations) == 3
    assert (batch.complete, batch.begun, batch.services) == ([DNS], WEB, (DNS, WEB))
    assert batch.full
    assert batch.of_many_operations
    assert len(list(steps)) == 2


@pytest.mark.parametrize(("looked_at", "full"), [(994, False), (995, True)])
def test_a_turn_compares_a_thousand_destinations_a_service_counting_for_five(
    looked_at: int, full: bool
) -> None:
    batch = Batch()
    batch.take(WEB, 1, steps_of(looked_at, "x"))
    assert batch.full == full
    assert len(batch.operations) == (0 if full else 1)
    assert batch.begun == (WEB if full else None)
    assert not batch.of_many_operations


def test_services_that_need_nothing_fill_a_turn_too() -> None:
    batch = Batch()
    for _ in range(LOOKED_AT_PER_TURN // 5 - 1):
        batch.take(WEB, 1, steps_of())
        assert not batch.full
    batch.take(WEB, 1, steps_of())
    assert batch.full


@pytest.mark.parametrize(("servers", "most"), [(499, 100), (500, 50), (999, 50), (10_000, 5)])
def test_of_a_service_with_very_many_servers_fewer_operations_have_room(
    servers: int, most: int
) -> None:
    batch = Batch()
    batch.take(WEB, servers, steps_of("x" * 1000))
    assert len(batch.operations) == most


@pytest.mark.parametrize(
    ("batch_s", "operations", "count"),
    [(0.0, 40, 3), (0.0, 50, 2), (0.0, 120, 1), (CHANGED_WITHIN_S / 2, 10, 2), (1.0, 40, 1)],
)
def test_a_turn_has_further_batches_while_they_are_full_and_there_are_room_and_time(
    batch_s: float, operations: int, count: int
) -> None:
    clock, taken = Clock(), 0
    for batch in batches(100, clock.seconds):
        batch.take(WEB, 0, steps_of("x" * 1000))
        batch.operations = batch.operations[:1] * operations
        clock.advance(batch_s)
        taken += 1
    assert taken == count


def test_what_is_not_full_of_operations_is_the_last_of_a_turn() -> None:
    taken = []
    for batch in batches(100, lambda: 0.0):
        batch.take(WEB, 0, steps_of("x" * 99, LOOKED_AT_PER_TURN))
        taken.append(len(batch.operations))
    assert taken == [99]
