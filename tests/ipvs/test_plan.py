"""The difference between two tables leads from one to the other, safely at every step."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pybal.ipvs.model import Forwarding, Service, ServiceKey, Table
from pybal.ipvs.plan import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
    applied,
    plan,
    planning,
)
from pybal.runtime.persistent_map import PersistentMap
from tests.ipvs.examples import DNS, DNS6, KEYS, WEB, WEB6, destination, entry, pool, server
from tests.ipvs.strategies import tables

ALL = frozenset(KEYS)


@given(tables, tables)
def test_a_plan_leads_from_the_actual_to_the_wanted_table_and_then_plans_nothing(
    actual: Table, wanted: Table
) -> None:
    result = applied(actual, plan(actual, wanted, ALL))
    assert result == dict(wanted)
    assert plan(result, wanted, ALL) == ()


@given(tables)
def test_a_table_needs_nothing_to_become_itself(table: Table) -> None:
    assert plan(table, dict(table), ALL) == ()


@given(tables, tables, st.sets(st.sampled_from(KEYS)))
def test_services_that_are_not_wanted_stay_unless_they_are_removable(
    actual: Table, wanted: Table, removable: set[ServiceKey]
) -> None:
    result = applied(actual, plan(actual, wanted, removable))
    for key in actual.keys() - wanted.keys():
        assert result.get(key) == (None if key in removable else actual[key])


@given(tables, tables)
def test_at_every_step_a_service_has_the_destinations_that_both_tables_have(
    actual: Table, wanted: Table
) -> None:
    operations = plan(actual, wanted, ALL)
    for steps in range(len(operations) + 1):
        between = applied(actual, operations[:steps])
        for key in actual.keys() & wanted.keys():
            before, after = actual[key].destinations, wanted[key].destinations
            now = between[key].destinations
            assert now.keys() >= before.keys() & after.keys()
            assert len(now) >= min(len(before), len(after))


@given(tables, tables)
def test_nothing_is_removed_and_added_again(actual: Table, wanted: Table) -> None:
    operations = plan(actual, wanted, ALL)
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


@given(tables, tables)
def test_applying_leaves_the_given_table_as_it_is(actual: Table, wanted: Table) -> None:
    copy = {
        key: replace(each, destinations=dict(each.destinations)) for key, each in actual.items()
    }
    assert applied(actual, plan(actual, wanted, ALL)) == dict(wanted)
    assert dict(actual) == copy


def test_services_come_first_then_additions_edits_removals_and_removed_services() -> None:
    actual = {
        WEB: entry(WEB, destination(1), destination(2)),
        DNS6: pool(DNS6, 1),
        WEB6: pool(WEB6, scheduler="rr"),
    }
    wanted = {
        WEB: entry(WEB, destination(2, weight=0), destination(3)),
        DNS: pool(DNS, 4),
        WEB6: pool(WEB6, scheduler="mh"),
    }
    assert plan(actual, wanted, frozenset({DNS6})) == (
        AddService(Service(DNS, "wrr")),
        EditService(Service(WEB6, "mh")),
        AddDestination(WEB, destination(3)),
        AddDestination(DNS, destination(4, key=DNS)),
        EditDestination(WEB, destination(2, weight=0)),
        RemoveDestination(WEB, server(1)),
        RemoveService(DNS6),
    )


def test_every_attribute_of_a_destination_is_changed_in_place() -> None:
    before = destination(1)
    for after in (
        replace(before, weight=0),
        replace(before, forwarding=Forwarding.TUNNEL),
        replace(before, upper_threshold=5),
        replace(before, lower_threshold=5),
    ):
        operations = plan({WEB: entry(WEB, before)}, {WEB: entry(WEB, after)}, frozenset())
        assert operations == (EditDestination(WEB, after),)


def test_operations_say_in_words_what_they_do() -> None:
    assert AddService(Service(DNS, "rr", one_packet=True)).words == (
        "add service udp 192.0.2.1:53 (rr, one-packet)"
    )
    assert EditService(Service(WEB6, "mh")).words == "change service tcp [2001:db8::1]:80 (mh)"
    assert RemoveService(WEB).words == "remove service tcp 192.0.2.1:80"
    assert AddDestination(WEB, destination(1, 0)).words == (
        "add server 198.51.100.1:80 (weight 0, direct routing) to service tcp 192.0.2.1:80"
    )
    assert EditDestination(WEB6, destination(1, 5, Forwarding.TUNNEL, WEB6)).words == (
        "change server [2001:db8:1::1]:80 (weight 5, tunnel) of service tcp [2001:db8::1]:80"
    )
    assert RemoveDestination(WEB, server(1)).words == (
        "remove server 198.51.100.1:80 from service tcp 192.0.2.1:80"
    )


def test_an_operation_on_a_service_that_is_not_there_changes_nothing() -> None:
    table = {WEB: pool(WEB, 1)}
    assert applied(table, [RemoveService(DNS), EditDestination(DNS, destination(1))]) == table
    assert applied(table, [RemoveDestination(WEB, server(9))]) == table


def test_of_a_persistent_map_no_copy_is_made_and_the_last_operation_counts() -> None:
    many = PersistentMap({server(n): destination(n) for n in range(1, 101)})
    table = {WEB: replace(pool(WEB), destinations=many)}
    operations: list[Operation] = [
        RemoveDestination(WEB, server(1)),
        RemoveDestination(WEB, server(2)),
        AddDestination(WEB, destination(1, 5)),
        AddDestination(WEB, destination(101)),
        RemoveDestination(WEB, server(101)),
        EditDestination(WEB, destination(3, 0)),
    ]
    after = applied(table, operations)[WEB].destinations
    assert isinstance(after, PersistentMap)
    changed = {server(1): destination(1, 5), server(3): destination(3, 0)}
    assert after == {k: d for k, d in {**many, **changed}.items() if k != server(2)}
    assert len(many) == 100


def test_planning_pauses_after_every_hundred_destinations_it_has_looked_at() -> None:
    standing = {WEB: pool(WEB, *range(1, 251))}
    assert list(planning(standing, dict(standing), ALL)) == [100, 100]
    wanted = {WEB: pool(WEB, *range(1, 250))}
    steps = [100, 100, 100, 100, RemoveDestination(WEB, server(250))]
    assert list(planning(standing, wanted, ALL)) == steps
    # Each loop counts from 1: of a hundred the hundredth is the first to pause after.
    few, fewer = {WEB: pool(WEB, *range(1, 100))}, {WEB: pool(WEB, *range(1, 99))}
    assert list(planning(few, fewer, ALL)) == [RemoveDestination(WEB, server(99))]
