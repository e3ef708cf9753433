"""The order in which a service is changed, that it is safe at every step, and goes on from wherever
it was left."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from pybal.ipvs.model import Destination, Forwarding, ServiceEntry, Table
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.outstanding import Outstanding
from pybal.runtime.persistent_map import PersistentMap
from tests.ipvs.examples import WEB, destination, entry, pool, server
from tests.ipvs.strategies import tables
from tests.ipvs.tables import applied, leading


def words(operation: Operation | int) -> str:
    """`add 5`, `remove 1`, `change 2`, `add service` and so on; a number: so many looked at."""
    if isinstance(operation, int):
        return str(operation)
    verb = operation.words.partition(" ")[0]
    where = getattr(operation, "destination", None)
    if where is None:
        return f"{verb} service"
    key = where.key if isinstance(where, Destination) else where
    return f"{verb} {int(key.address) - int(server(0).address)}"


class Bench:
    """What a service has come to; `turn` takes and applies so many operations."""

    def __init__(self, known: ServiceEntry | None) -> None:
        self.known = known
        self.outstanding = Outstanding(WEB)

    def turn(self, wanted: ServiceEntry | None, most: int = 1000) -> list[str]:
        done: list[str] = []
        for step in self.outstanding.steps(self.known, wanted):
            if not isinstance(step, int):
                done.append(words(step))
                standing = {} if self.known is None else {WEB: self.known}
                self.known = applied(standing, [step]).get(WEB)
            if len(done) == most:
                break
        return done


def all_of(known: ServiceEntry | None, wanted: ServiceEntry | None) -> list[str]:
    return [words(step) for step in Outstanding(WEB).steps(known, wanted)]


@pytest.mark.parametrize(
    ("known", "wanted", "done"),
    [
        pytest.param(None, None, [], id="it never was"),
        pytest.param(pool(WEB, 1), None, ["remove service"], id="withdrawn"),
        pytest.param(None, pool(WEB, 1, 2), ["add service", "add 1", "add 2"], id="new"),
        pytest.param(pool(WEB, 1), pool(WEB, 1), [], id="as it should be"),
        pytest.param(
            pool(WEB, 1), pool(WEB, 1, 2, scheduler="mh"), ["change service", "add 2"], id="edited"
        ),
        pytest.param(
            pool(WEB, 1, 2, 3, 4),
            entry(WEB, destination(5), destination(2, 0), destination(3, 7), destination(4)),
            ["change 2", "remove 1", "add 5", "change 3"],
            id="those that leave or get weight 0, those that come, those that change",
        ),
        pytest.param(
            entry(WEB, destination(1, 0), destination(2)),
            entry(WEB, destination(3), destination(1, 1), destination(2)),
            ["add 3", "change 1"],
            id="who has weight 0 and gets more does not leave",
        ),
        pytest.param(
            entry(WEB, destination(1, 0), destination(2), destination(3)),
            entry(
                WEB,
                replace(destination(1, 0), upper_threshold=5),
                replace(destination(2, 1), upper_threshold=5),
                destination(3, 0),
            ),
            ["change 3", "change 1", "change 2"],
            id="who has weight 0 and keeps it does not leave",
        ),
        pytest.param(
            pool(WEB, 1, 2), pool(WEB, 2, 3), ["remove 1", "add 3"], id="as many stay as leave"
        ),
        pytest.param(
            pool(WEB, 1, 2, 3),
            pool(WEB, 3, 4, 5),
            ["add 4", "remove 1", "add 5", "remove 2"],
            id="more leave than stay: one comes for each",
        ),
        pytest.param(
            pool(WEB, 1, 2, 3),
            pool(WEB, 4),
            ["add 4", "remove 1", "remove 2", "remove 3"],
            id="more leave than come",
        ),
        pytest.param(
            pool(WEB, 1),
            pool(WEB, 2, 3),
            ["add 2", "remove 1", "add 3"],
            id="more come than leave",
        ),
    ],
)
def test_the_order_of_the_operations(
    known: ServiceEntry | None, wanted: ServiceEntry | None, done: list[str]
) -> None:
    assert all_of(known, wanted) == done
    bench = Bench(known)
    assert sorted(one for _ in range(len(done) + 1) for one in bench.turn(wanted, 1)) == sorted(
        done
    )
    assert bench.known == wanted


def test_servers_come_by_rank_and_of_one_rank_as_they_are_listed() -> None:
    ranked = [
        replace(destination(n), rank=rank) for n, rank in ((1, 2), (4, 0), (2, 1), (3, 0), (5, 0))
    ]
    assert all_of(pool(WEB), entry(WEB, *ranked)) == ["add 4", "add 3", "add 5", "add 2", "add 1"]


def test_one_for_one_goes_on_when_half_of_it_is_done() -> None:
    bench = Bench(pool(WEB, 1, 2, 3, 4))
    wanted = pool(WEB, 5, 6, 7, 8)
    assert bench.turn(wanted, 4) == ["add 5", "remove 1", "add 6", "remove 2"]
    assert bench.turn(wanted) == ["add 7", "remove 3", "add 8", "remove 4"]


def test_one_for_one_is_over_once_all_have_come() -> None:
    bench = Bench(pool(WEB, 1, 2, 3))
    assert bench.turn(pool(WEB, 4)) == ["add 4", "remove 1", "remove 2", "remove 3"]
    assert bench.turn(pool(WEB, 4, 5, 6)) == ["add 5", "add 6"]
    assert bench.turn(pool(WEB, 5, 6, 7)) == ["remove 4", "add 7"]


def test_what_is_wanted_changes_while_the_service_is_being_changed() -> None:
    bench = Bench(pool(WEB, 1, 2, 3, 4))
    assert bench.turn(pool(WEB, 3, 4, 5, 6), 2) == ["remove 1", "remove 2"]
    # 5 is not wanted any more, 1 is again, 3 goes, and 7 is new.
    wanted = pool(WEB, 1, 4, 6, 7)
    assert bench.turn(wanted) == ["remove 3", "add 6", "add 1", "add 7"]
    assert bench.known == wanted
    assert bench.outstanding.compared is wanted
    assert bench.turn(wanted) == []


def test_a_change_that_is_taken_back_before_it_is_made_needs_nothing() -> None:
    bench = Bench(pool(WEB, 1, 2))
    assert bench.turn(entry(WEB, destination(2, 5)), 1) == ["remove 1"]
    assert bench.turn(pool(WEB, 2)) == []


def test_a_server_that_is_wanted_again_comes_by_its_new_rank() -> None:
    bench = Bench(pool(WEB, 1, 2))
    assert bench.turn(pool(WEB, 2, 9), 1) == ["remove 1"]
    assert bench.turn(pool(WEB, 2)) == []
    ranked = [replace(destination(n), rank=n) for n in (2, 9, 8)]
    assert bench.turn(entry(WEB, *ranked)) == ["add 8", "add 9"]


def test_a_change_of_what_is_wanted_costs_what_it_changes() -> None:
    many = PersistentMap({server(n): destination(n) for n in range(1, 2001)})
    before = replace(pool(WEB), destinations=many)
    bench = Bench(before)
    assert bench.turn(before) == []
    after = replace(before, destinations=many.updated({}, [server(7)]))
    steps = list(bench.outstanding.steps(bench.known, after))
    assert [words(each) for each in steps] == ["remove 7"]


def test_every_eight_differences_are_a_piece_that_costs_eight() -> None:
    wanted = pool(WEB, *range(1, 21))
    steps = all_of(pool(WEB), wanted)
    assert steps[:2] == ["8", "8"]
    assert steps[2:] == [f"add {number}" for number in range(1, 21)]


def test_what_was_withdrawn_and_is_wanted_again_is_all_that_is_known() -> None:
    bench = Bench(pool(WEB, 1))
    assert bench.turn(pool(WEB, 1, 2)) == ["add 2"]
    assert bench.turn(None) == ["remove service"]
    assert bench.outstanding.compared is None


@given(tables, tables)
def test_the_steps_lead_from_any_table_to_any_other_and_then_there_are_none(
    actual: Table, wanted: Table
) -> None:
    result = applied(actual, leading(actual, wanted))
    assert result == dict(wanted)
    assert leading(result, wanted) == ()


@given(tables, tables)
def test_at_every_step_a_service_has_what_both_tables_have_and_half_of_the_smaller(
    actual: Table, wanted: Table
) -> None:
    operations = leading(actual, wanted)
    for steps in range(len(operations) + 1):
        between = applied(actual, operations[:steps])
        for key in actual.keys() & wanted.keys():
            before, after = actual[key].destinations, wanted[key].destinations
            now = between[key].destinations
            assert now.keys() >= before.keys() & after.keys()
            assert 2 * len(now) >= min(len(before), len(after))


@given(tables, tables)
def test_nothing_is_removed_and_added_again(actual: Table, wanted: Table) -> None:
    operations = leading(actual, wanted)
    added = {each.key for each in operations if isinstance(each, AddService)}
    removed = {each.key for each in operations if isinstance(each, RemoveService)}
    assert not added & (removed | actual.keys())
    gained = {
        (each.key, each.destination.key) for each in operations if isinstance(each, AddDestination)
    }
    lost = {
        (each.key, each.destination) for each in operations if isinstance(each, RemoveDestination)
    }
    assert not gained & lost
    for key, destination_key in gained:
        assert key not in actual or destination_key not in actual[key].destinations


def test_every_attribute_of_a_destination_is_changed_in_place() -> None:
    before = destination(1)
    for after in (
        replace(before, weight=0),
        replace(before, forwarding=Forwarding.TUNNEL),
        replace(before, upper_threshold=5),
        replace(before, lower_threshold=5),
    ):
        operations = leading({WEB: entry(WEB, before)}, {WEB: entry(WEB, after)})
        assert operations == (EditDestination(WEB, after),)
