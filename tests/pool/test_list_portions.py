"""A list of thousands comes in portions, and is published as one if it is the first."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from ipaddress import ip_address
from operator import index
from typing import Any

from pybal.ipvs.model import ServiceEntry
from pybal.model import ServerSpec
from pybal.override import Action, Override
from pybal.pool.events import ListPart
from pybal.pool.list_portions import PORTION, Portions
from pybal.pool.member import Member
from pybal.runtime.pieces import PIECE
from tests.fakes.coordinator import Bench

MANY = {f"h{n}": f"10.1.{n // 250}.{n % 250 + 1}" for n in range(5 * PORTION // 2)}
OTHERS = {f"o{n}": f"10.2.{n // 250}.{n % 250 + 1}" for n in range(PORTION + 1)}


def listed(*hosts: str) -> dict[str, ServerSpec]:
    return {host: ServerSpec(host) for host in hosts}


def there(*specs: str | ServerSpec) -> dict[str, Member]:
    """These are known, as they are here."""
    found = (ServerSpec(each) if isinstance(each, str) else each for each in specs)
    return {spec.host: Member(spec, True, True, True, {}) for spec in found}


def names(specs: Iterable[ServerSpec]) -> list[str]:
    return [spec.host for spec in specs]


def test_few_new_servers_are_no_portion() -> None:
    hosts = [f"h{n}" for n in range(PORTION)]
    assert Portions().next(listed(*hosts), there("a", "b")) == ()
    assert Portions().next(listed(*hosts, "a"), there("a", "b")) == ()


def test_in_a_long_list_that_is_rearranged_few_are_a_portion() -> None:
    """So that to put the rest in its order concerns nobody."""
    hosts = [f"h{n}" for n in range(PIECE + 1)]
    known = there(*hosts)
    in_force = listed(*hosts[1:], "new")
    assert names(Portions().next(in_force, known)) == ["new"]
    in_force = listed(*hosts[::-1], "new")
    assert names(Portions().next(in_force, known)) == ["new"]
    assert Portions().next(listed(*hosts, "new"), known) == (), "it comes at the end"
    assert Portions().next(listed(*hosts[2:], "new"), there(*hosts[1:])) == (), "it is not long"


def test_what_is_left_of_many_is_a_portion_too() -> None:
    """The work for the whole list has a turn to itself."""
    hosts = [f"h{n}" for n in range(PORTION + 5)]
    portions, in_force = Portions(), listed(*hosts)
    assert names(portions.next(in_force, {})) == hosts[:PORTION]
    assert names(portions.next(in_force, there(*hosts[:PORTION]))) == hosts[PORTION:]
    assert portions.next(in_force, there(*hosts)) == ()


def test_a_list_that_changes_meanwhile_goes_on_in_portions() -> None:
    hosts = [f"h{n}" for n in range(PORTION + 5)]
    portions = Portions()
    portions.next(listed(*hosts), {})
    other = listed(*hosts[3:], "other")
    assert names(portions.next(other, there(*hosts[:PORTION]))) == [*hosts[PORTION:], "other"]


def test_who_has_come_by_another_way_meanwhile_is_not_new() -> None:
    hosts = [f"h{n}" for n in range(PORTION + 5)]
    portions, in_force = Portions(), listed(*hosts)
    portions.next(in_force, {})
    assert names(portions.next(in_force, there(*hosts[: PORTION + 2]))) == hosts[PORTION + 2 :]


def test_changes_come_after_new_servers_and_what_leaves_service_comes_last() -> None:
    """So no portion leaves fewer than the whole list will."""
    new = [f"n{n}" for n in range(PORTION - 3)]
    before = [ServerSpec("a", 10), ServerSpec("b", 10), ServerSpec("c", 0), ServerSpec("d", 0)]
    now = [
        ServerSpec("a", 10, enabled=False),
        ServerSpec("b", 20),
        ServerSpec("c", 10),
        ServerSpec("d", 0, enabled=False),
    ]
    in_force = {spec.host: spec for spec in now} | listed(*new)
    portions, known = Portions(), there(*before)
    found = portions.next(in_force, known)
    assert names(found) == [*new, "b", "c", "d"]
    assert names(portions.next(in_force, known | there(*found))) == ["a"]


def test_who_is_as_it_was_is_in_no_portion() -> None:
    specs = [ServerSpec(f"h{n}", n) for n in range(2 * PORTION)]
    in_force = {spec.host: ServerSpec(spec.host, spec.weight) for spec in specs}
    assert Portions().next(in_force, there(*specs)) == ()


class Known(dict[str, Member]):
    """Counts how often it is asked, or gone through."""

    asked = 0

    def get(self, host: str, default: Any = None) -> Any:
        self.asked += 1
        return super().get(host, default)

    def items(self) -> Any:
        self.asked += len(self)
        return super().items()


def test_all_portions_together_cost_what_the_list_is_long() -> None:
    in_force, known, portions = listed(*(f"h{n}" for n in range(40 * PORTION))), Known(), Portions()
    while found := portions.next(in_force, known):
        known.update(there(*found))
    assert known.keys() == in_force.keys()
    assert known.asked <= 2 * len(in_force)


class Ranked(Bench):
    """Notes in which order servers are to come each time that is published."""

    ranks: dict[str, int]

    def set_desired(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        found = entry.destinations.values()
        self.ranks = {str(each.key.address): index(each.rank) for each in found}
        super().set_desired(entry, drain_timeout_s)


def test_new_servers_come_after_those_that_there_are_until_the_list_is_in_force() -> None:
    bench = Ranked(names={**MANY, **OTHERS})
    bench.list("o0", "o1")
    first, *others = MANY
    bench.list(first, "o1", *others, "o0")
    _, *portions = bench.published
    assert [len(entry.destinations) for entry in portions] == [
        PORTION + 2,
        2 * PORTION + 2,
        5 * PORTION // 2 + 2,
    ]
    came = ["o0", "o1", *MANY]
    assert bench.ranks == {{**MANY, **OTHERS}[host]: rank for rank, host in enumerate(came)}
    assert list(bench.statuses()) == [first, "o1", *others, "o0"]


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


def test_other_weights_of_a_whole_list_come_in_portions() -> None:
    bench = Bench(names={**MANY, **OTHERS})
    bench.list(*MANY)
    for host in MANY:
        bench.monitor(host).say(True)
    steps, before = len(bench.steps), len(bench.published)
    bench.list(*(ServerSpec(host, 20) for host in MANY))
    portions = [event for event, *_ in bench.steps[steps:] if isinstance(event, ListPart)]
    assert [len(each.candidates) for each in portions] == [PORTION, PORTION, PORTION // 2]
    assert len(bench.published[before:]) == len(portions)
    assert bench.destinations == dict.fromkeys(MANY.values(), 20)
    assert bench.running == set(MANY)


def test_in_portions_overrides_are_in_effect_as_in_the_list() -> None:
    bench = Bench(names={**MANY, **OTHERS})
    bench.list(*MANY)
    for host in MANY:
        bench.monitor(host).say(True)
    drained, *_ = MANY
    assert bench.wish(Action.DRAIN, drained) == ""
    steps = len(bench.steps)
    bench.list(*(ServerSpec(host, 20) for host in MANY), *OTHERS)
    portions = [event for event, *_ in bench.steps[steps:] if isinstance(event, ListPart)]
    assert len(portions) > 3
    weights = dict.fromkeys({**MANY, **OTHERS}.values(), 20) | dict.fromkeys(OTHERS.values(), 10)
    assert bench.destinations == {**weights, MANY[drained]: 0}
    member = bench.coordinator.state.members[drained]
    assert (member.drained, member.over and member.over.listed_weight) == (True, 20)
    bench.undo(drained)
    assert bench.destinations == weights


def test_hundreds_of_overrides_that_end_end_in_portions() -> None:
    bench = Bench(names=MANY, threshold=Fraction(0))
    bench.list(*MANY)
    for number, host in enumerate(MANY):
        override = Override("svc_80", host, Action.DRAIN, "alice", "why", number, 1e6, False)
        bench.overrides[host] = override
    bench.coordinator.overrides_changed()
    assert set(bench.destinations.values()) == {0}
    bench.overrides.clear()
    steps = len(bench.steps)
    bench.coordinator.overrides_changed()
    portions = [event for event, *_ in bench.steps[steps:] if isinstance(event, ListPart)]
    assert len(portions) == 3
    assert set(bench.destinations.values()) == {10}
    assert not any(member.over for member in bench.coordinator.state.members.values())


def test_a_list_that_swaps_who_serves_empties_no_pool_on_the_way() -> None:
    bench = Bench(names={**MANY, **OTHERS}, monitors=(), threshold=Fraction(0))
    half = len(MANY) // 2
    bench.list(*(ServerSpec(host, enabled=n < half) for n, host in enumerate(MANY)))
    before = len(bench.published)
    bench.list(*(ServerSpec(host, enabled=n >= half) for n, host in enumerate(MANY)))
    standing = [len(entry.destinations) for entry in bench.published[before:]]
    assert len(standing) > 2
    assert min(standing) >= half
    assert set(bench.destinations) == set([*MANY.values()][half:])


def test_an_address_that_is_found_between_two_portions_counts() -> None:
    late = dict(MANY)
    address = late.pop("h0")
    bench = Bench(names=late)
    bench.list(*MANY)
    bench.clock.advance(60)
    assert len(bench.destinations) == len(late)
    bench.names.watches["h0"].answer(ip_address(address))
    assert len(bench.destinations) == len(MANY)
