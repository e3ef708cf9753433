"""Who stays because it stood: what is looked at, and what is forgotten when it is over."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from types import MappingProxyType

from pybal.ipvs.model import DestinationKey
from pybal.model import ServerSpec
from pybal.pool.desired import Changes, DesiredEntry, destination
from pybal.pool.members import Member, Members
from pybal.pool.still_standing import StillStanding
from tests.fakes.coordinator import ADDRESSES, Bench

SETTINGS = Bench().settings
KEYS = {host: DestinationKey(ip_address(address), 80) for host, address in ADDRESSES.items()}


def member(
    host: str, *, up: bool | None = True, ready: bool = True, enabled: bool = True
) -> Member:
    """As the policy has it, `up`: what its monitor said."""
    results = MappingProxyType({"m": up})
    return Member(ServerSpec(host, enabled=enabled), ready, up is not False, False, results)


def standing(hosts: str, weight: int = 10) -> StillStanding:
    stood = (destination(SETTINGS, KEYS[host].address, weight) for host in hosts)
    return StillStanding({each.key: each for each in stood})


def look(
    found: StillStanding, members: Members, before: Members | None = None, *, whole: bool = True
) -> set[DestinationKey]:
    concerned = members.in_order() if before is None else members.differing(before)
    changes = Changes(members, tuple(concerned), goes_on=before is not None)
    return set(found.look(changes, KEYS.get, whole=whole))


def test_a_list_that_is_not_whole_yet_ends_nothing() -> None:
    found = standing("abc")
    assert look(found, Members([member("a")]), whole=False) == {KEYS["a"]}
    assert (found.count, found.weight) == (2, 20)
    assert look(found, Members([member("a"), member("b")])) == {KEYS["b"], KEYS["c"]}
    assert (found.count, found.weight, found.stay) == (0, 0, False)


def test_it_is_over_once_all_is_known_though_the_list_is_not_whole() -> None:
    found = standing("ab")
    members = Members([member("a"), member("b"), member("c", up=None)])
    assert look(found, members, whole=False) == {KEYS["a"], KEYS["b"]}
    assert not found.stay
    assert found.awaited == ()


def test_who_is_down_does_not_hide_that_something_stands_where_it_is() -> None:
    found = standing("a")
    waits = replace(member("a", up=None), up=False)
    assert look(found, Members([waits])) == set()
    assert found.awaited == ("a",)
    assert look(found, Members([member("a", up=False)])) == {KEYS["a"]}


def test_what_gets_no_connections_is_given_up_for_one_that_waits() -> None:
    found = standing("a", weight=0)
    assert look(found, Members([replace(member("a", up=None), up=False)])) == {KEYS["a"]}


def test_what_the_list_has_left_goes_once_each_other_has_an_address() -> None:
    found = standing("ab")
    found.were_removed([KEYS["a"]])
    nameless, dead = member("c", ready=False), member("d", up=False)
    members = Members([nameless, dead])
    assert look(found, members) == set()
    named = members.changed([member("c", up=False)])
    assert look(found, named, members) == {KEYS["a"]}
    assert set(found.awaited) == {"c", "d"}
    assert found.serving == (KEYS["b"].address,)


def test_who_leaves_is_awaited_no_longer_and_accounts_for_nothing() -> None:
    found = standing("ab")
    assert look(found, Members([member("a"), member("c", ready=False)])) == {KEYS["a"]}
    assert look(found, Members([member("c", ready=False)])) == set()
    assert look(found, Members([member("a")])) == {KEYS["b"]}


def test_what_stands_beside_makes_room_for_a_server_and_comes_back_for_none() -> None:
    stood = destination(SETTINGS, KEYS["a"].address, 3)
    desired = DesiredEntry(SETTINGS, {stood.key: stood})
    empty = Members()
    assert desired.updated(desired.changes(empty), lambda _: None).destinations == {
        stood.key: stood
    }
    members = Members([replace(member("a"), pooled=True)])
    entry = desired.updated(desired.changes(members), lambda host: KEYS[host].address)
    assert entry.destinations[stood.key].weight == 10
    entry = desired.updated(desired.changes(empty), lambda _: None)
    assert entry.destinations == {stood.key: stood}
    desired.without([stood.key])
    assert desired.updated(desired.changes(empty), lambda _: None).destinations == {}
