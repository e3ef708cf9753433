"""A list of thousands comes in portions, and is published as one if it is the first."""

from __future__ import annotations

from ipaddress import ip_address

from pybal.pool.list_portions import PORTION, next_portion
from tests.fakes.coordinator import Bench

MANY = {f"h{n}": f"10.1.{n // 250}.{n % 250 + 1}" for n in range(5 * PORTION // 2)}
OTHERS = {f"o{n}": f"10.2.{n // 250}.{n % 250 + 1}" for n in range(PORTION + 1)}


def test_few_new_servers_are_no_portion() -> None:
    hosts = [f"h{n}" for n in range(PORTION)]
    assert next_portion(hosts, ["a", "b"]) == ()
    assert next_portion([*hosts, "a"], ["a", "b"]) == ()


def test_what_is_left_of_many_is_a_portion_too() -> None:
    """The work for the whole list has a turn to itself."""
    hosts = [f"h{n}" for n in range(PORTION + 5)]
    assert next_portion(hosts, hosts[:PORTION], begun=True) == tuple(hosts)
    assert next_portion(hosts, hosts, begun=True) == ()


def test_the_first_of_the_new_ones_come_in_their_place_and_those_that_leave_stay() -> None:
    hosts = [f"h{n}" for n in range(PORTION + 5)]
    listed = [*hosts[:10], "a", *hosts[10:]]
    assert next_portion(listed, ["b", "a"]) == (*listed[: PORTION + 1], "b")


def test_the_first_list_is_published_once_and_whole() -> None:
    bench = Bench(names={**MANY, **OTHERS})
    bench.list(*MANY)
    assert len(bench.steps) == 4, "three portions, and the list as a whole"
    assert len(bench.published) == 1
    assert bench.destinations == dict.fromkeys(MANY.values(), 10)
    assert bench.running == set(MANY)
    assert list(bench.statuses()) == list(MANY)


def test_servers_that_leave_a_list_stay_until_all_that_it_brings_have_come() -> None:
    bench = Bench(names={**MANY, **OTHERS})
    bench.list(*OTHERS)
    for host in OTHERS:
        bench.monitor(host).say(True)
    before = len(bench.published)
    bench.list("o0", *MANY)
    for host in MANY:
        bench.monitor(host).say(True)
    sizes = [len(entry.destinations) for entry in bench.published[before:]]
    assert sizes[:2] == [len(OTHERS) + PORTION, len(OTHERS) + 2 * PORTION]
    bench.clock.advance(1)
    assert set(bench.statuses()) == {"o0", *MANY}


def test_an_address_that_is_found_between_two_portions_counts() -> None:
    late = dict(MANY)
    address = late.pop("h0")
    bench = Bench(names=late)
    bench.list(*MANY)
    bench.clock.advance(60)
    assert len(bench.destinations) == len(late)
    bench.names.watches["h0"].answer(ip_address(address))
    assert len(bench.destinations) == len(MANY)
