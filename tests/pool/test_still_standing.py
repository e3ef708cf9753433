"""Who stays because it stood: what is looked at, and what is forgotten when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from types import MappingProxyType

from pybal.ipvs.model import DestinationKey
from pybal.model import ServerSpec
from pybal.pool.desired import Changes, DesiredEntry, destination
from pybal.pool.member import Member
from pybal.pool.members import Members
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


def look_at(
    found: StillStanding, where: Mapping[str, str], concerned: str, *listed: Member, on: bool = True
) -> set[DestinationKey]:
    """With the addresses of other servers; the list is as before where it goes `on`."""
    members = Members(listed)
    changed = tuple(each for each in listed if each.spec.host in concerned)
    keys = {host: KEYS[other] for host, other in where.items()}
    return set(found.look(Changes(members, changed, goes_on=on), keys.get, whole=True))


def awaited(found: StillStanding) -> tuple[str, ...]:
    return found.awaited


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
    assert awaited(found) == ()


def test_who_is_down_does_not_hide_that_something_stands_where_it_is() -> None:
    found = standing("a")
    waits = replace(member("a", up=None), up=False)
    assert look(found, Members([waits])) == set()
    assert awaited(found) == ("a",)
    assert look(found, Members([member("a", up=False)])) == {KEYS["a"]}


def test_what_gets_no_connections_is_given_up_for_one_that_waits() -> None:
    found = standing("a", weight=0)
    assert look(found, Members([replace(member("a", up=None), up=False)])) == {KEYS["a"]}


def test_what_gets_no_connections_waits_for_no_server_that_shares_an_address() -> None:
    found = standing("a")
    assert look_at(found, {"a": "b", "b": "b"}, "ab", member("a"), member("b")) == set()
    found = standing("a", weight=0)
    nameless = member("c", ready=False)
    assert look_at(found, {"a": "b", "b": "b"}, "abc", member("a"), member("b"), nameless) == set()
    both = {"a": "b", "b": "b", "c": "c"}
    assert look_at(found, both, "c", member("a"), member("b"), member("c")) == {KEYS["a"]}


def test_the_least_weight_counts_and_none_does_not() -> None:
    weights = {"a": 1, "b": 0, "c": 2}
    stood = [destination(SETTINGS, KEYS[host].address, each) for host, each in weights.items()]
    found = StillStanding({each.key: each for each in stood})
    assert (found.count, found.weight) == (2, 3)
    assert found.serving == (KEYS["a"].address, KEYS["c"].address)
    found.are_no_servers([KEYS["b"]])
    assert (found.count, found.weight) == (2, 3)
    found.are_no_servers([KEYS["a"]])
    assert (found.count, found.weight) == (1, 2)


def test_what_gets_the_fewest_connections_is_kept_for_one_that_waits() -> None:
    found = standing("a", weight=1)
    assert look(found, Members([replace(member("a", up=None), up=False)])) == set()
    assert found.serving == (KEYS["a"].address,)


def test_one_that_is_found_up_where_nothing_stood_is_none_of_those_that_did() -> None:
    assert look(standing("b"), Members([member("a")])) == {KEYS["b"]}


def test_one_that_the_kernel_refuses_may_still_be_one_of_those_that_stood() -> None:
    found = standing("b")
    assert look(found, Members([replace(member("a"), refused=True)])) == set()
    assert awaited(found) == ("a",)


def test_one_that_comes_up_is_awaited_no_longer() -> None:
    found = standing("b")
    down = Members([member("a", up=False)])
    assert look(found, down) == set()
    assert awaited(found) == ("a",)
    assert look(found, down.changed([member("a")]), down) == {KEYS["b"]}


def test_an_address_accounts_for_the_first_server_there() -> None:
    found = standing("ab")
    one = {"a": "a", "x": "a"}
    assert look_at(found, one, "ax", member("a"), member("x"), on=False) == {KEYS["a"]}
    assert awaited(found) == ("x",)
    assert found.serving == (KEYS["b"].address,)


def test_a_disabled_server_leaves_its_address_to_another() -> None:
    found = standing("ab")
    members = member("a", enabled=False), member("x")
    assert look_at(found, {"a": "a", "x": "a"}, "ax", *members, on=False) == {KEYS["a"], KEYS["b"]}


def test_one_that_moves_leaves_its_address_to_another() -> None:
    found = standing("abc")
    members = member("x"), member("y", ready=False)
    assert look_at(found, {"x": "a"}, "xy", *members, on=False) == {KEYS["a"]}
    assert look_at(found, {"x": "b"}, "x", *members) == {KEYS["b"]}
    assert awaited(found) == ("y",)
    named = member("x"), member("y")
    assert look_at(found, {"x": "b", "y": "a"}, "y", *named) == {KEYS["c"]}


def test_an_address_passes_on_in_the_order_in_which_they_came() -> None:
    found = standing("abcd")
    members = member("v"), member("x"), member("y"), member("z")
    there = dict.fromkeys("vxyz", "a")
    assert look_at(found, there, "vxyz", *members, on=False) == {KEYS["a"]}
    assert awaited(found) == ("x", "y", "z")
    there["x"] = "b"
    assert look_at(found, there, "x", *members) == {KEYS["b"]}
    assert awaited(found) == ("y", "z")
    there["v"] = "c"
    assert look_at(found, there, "v", *members) == {KEYS["c"]}
    assert awaited(found) == ("z",)
    members = *members[:2], member("y", enabled=False), members[3]
    assert look_at(found, there, "y", *members) == {KEYS["d"]}


def test_several_leave_an_address_at_once() -> None:
    found = standing("abcd")
    members = member("x"), member("y"), member("z")
    assert look_at(found, dict.fromkeys("xyz", "a"), "xyz", *members, on=False) == {KEYS["a"]}
    where = {"x": "b", "y": "c", "z": "a"}
    assert look_at(found, where, "xy", *members) == {KEYS["b"], KEYS["c"], KEYS["d"]}


def test_one_that_leaves_the_list_leaves_its_address_to_the_next_who_is_there() -> None:
    found = standing("ab")
    members = member("x"), member("y"), member("z", ready=False)
    assert look_at(found, dict.fromkeys("xy", "a"), "xyz", *members, on=False) == {KEYS["a"]}
    assert awaited(found) == ("y", "z")
    assert look_at(found, {"y": "a"}, "", *members[1:], on=False) == set()
    assert awaited(found) == ("z",)
    assert look_at(found, {}, "", members[2], on=False) == set()
    assert look_at(found, {"z": "a"}, "z", member("z")) == {KEYS["b"]}


def test_one_that_is_reported_on_anew_stays_the_first_at_its_address() -> None:
    found = standing("ab")
    members = member("x"), member("y")
    assert look_at(found, dict.fromkeys("xy", "a"), "xy", *members, on=False) == {KEYS["a"]}
    assert look_at(found, dict.fromkeys("xy", "a"), "x", *members) == set()
    assert awaited(found) == ("y",)


def test_one_that_was_not_the_first_moves_and_the_first_one_stays_so() -> None:
    found = standing("abc")
    members = member("x"), member("y"), member("z", ready=False)
    assert look_at(found, {"x": "a", "y": "a"}, "xyz", *members, on=False) == {KEYS["a"]}
    assert look_at(found, {"x": "a", "y": "b"}, "y", *members) == {KEYS["b"]}
    named = member("x"), member("y"), member("z")
    assert look_at(found, {"x": "a", "y": "b", "z": "a"}, "z", *named) == set()
    assert awaited(found) == ("z",)


def test_one_that_leaves_the_list_leaves_its_address_to_another() -> None:
    found = standing("ab")
    members = member("x"), member("y", ready=False)
    assert look_at(found, {"x": "a"}, "xy", *members, on=False) == {KEYS["a"]}
    assert look_at(found, {"y": "a"}, "y", member("y"), on=False) == {KEYS["b"]}


def test_what_the_list_has_left_goes_once_each_other_has_an_address() -> None:
    found = standing("ab")
    found.were_removed([KEYS["a"]])
    nameless, dead = member("c", ready=False), member("d", up=False)
    members = Members([nameless, dead])
    assert look(found, members) == set()
    named = members.changed([member("c", up=False)])
    assert look(found, named, members) == {KEYS["a"]}
    assert set(awaited(found)) == {"c", "d"}
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
