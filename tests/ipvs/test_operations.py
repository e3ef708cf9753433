"""What the operations say of themselves, and what becomes of a table by them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from pybal.ipvs.model import Forwarding, Service, Table
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.runtime.persistent_map import PersistentMap
from tests.ipvs.examples import DNS, WEB, WEB6, destination, pool, server
from tests.ipvs.strategies import tables
from tests.ipvs.tables import applied, leading


@given(tables, tables)
def test_applying_leaves_the_given_entries_as_they_are(actual: Table, wanted: Table) -> None:
    copy = {
        key: replace(each, destinations=dict(each.destinations)) for key, each in actual.items()
    }
    assert applied(actual, leading(actual, wanted)) == dict(wanted)
    assert dict(actual) == copy


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


def test_of_thousands_no_copy_is_made_for_each_few_that_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pybal.ipvs.operations._MANY", 10)
    for count, is_persistent in ((10, False), (11, True)):
        table = {WEB: pool(WEB, *range(1, count + 1))}
        after = applied(table, [RemoveDestination(WEB, server(3))])[WEB].destinations
        assert isinstance(after, PersistentMap) is is_persistent
        assert after == {k: d for k, d in table[WEB].destinations.items() if k != server(3)}
