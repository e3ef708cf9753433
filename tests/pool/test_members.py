"""The tree of a pool's members."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from types import MappingProxyType

import pytest

from pybal.model import ServerSpec
from pybal.pool.member import Member
from pybal.pool.members import Members
from tests.pool.listed import listed


def member(number: int) -> Member:
    spec = ServerSpec(f"h{number}")
    return Member(spec, ready=True, up=True, pooled=True, results=MappingProxyType({"M": True}))


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1024, 1025, 3000])
def test_a_tree_of_any_size_has_all_its_members_in_order(size: int) -> None:
    listed = [member(number) for number in range(size)]
    members = Members(listed)
    assert list(members.in_order()) == listed
    assert list(members) == [each.spec.host for each in listed]
    assert all(members[each.spec.host] is each for each in listed)
    assert (len(members), members.counts.pooled, members.counts.up) == (size, size, size)
    assert "other" not in members
    with pytest.raises(KeyError):
        members["other"]


@pytest.mark.parametrize("size", [1, 33, 1100])
def test_changes_leave_the_former_tree_as_it_was_and_are_found_in_order(size: int) -> None:
    random = Random(size)
    members = Members(member(number) for number in range(size))
    before, plain = members, dict(members)
    for count in (1, 1, 3, size, 1):
        chosen = random.sample(sorted(plain), min(count, size))
        new = [replace(plain[host], up=not plain[host].up) for host in chosen]
        changed = members.changed(new)
        assert dict(members) == plain
        plain |= {each.spec.host: each for each in new}
        assert dict(changed) == plain
        assert changed.counts == Members(changed.values()).counts
        in_order = [host for host in plain if host in chosen]
        assert [each.spec.host for each in changed.differing(members)] == in_order
        members = changed
    gone = [host for host in plain if members[host] is not before[host]]
    assert [each.spec.host for each in members.differing(before)] == gone
    assert [each.spec.host for each in members.held()] == [h for h in plain if not plain[h].up]


def test_a_list_of_the_same_servers_shares_what_stays() -> None:
    members = Members(member(number) for number in range(100))
    pool = list(members.values())
    pool[7] = replace(pool[7], spec=replace(pool[7].spec, weight=3))
    again = listed(members, pool)
    assert again.same_list(members)
    assert list(again.differing(members)) == [pool[7]]
    longer = listed(members, [*members.values(), *(member(n) for n in range(100, 130))])
    assert again.continues(members)
    assert longer.continues(members) and not members.continues(longer)
    assert longer.counts == Members(longer.values()).counts
    assert [each.spec.host for each in longer.differing(members)] == list(longer)[100:]
    both = listed(members, [*pool, *(member(n) for n in range(100, 130))])
    assert [each.spec.host for each in both.differing(members)] == [
        pool[7].spec.host,
        *list(longer)[100:],
    ]
    shorter = listed(members, pool[1:])
    assert not members.continues(shorter) and not shorter.continues(members)
    assert not shorter.same_list(members)
    assert list(shorter.differing(members)) == [pool[7]]
    turned = listed(members, pool[::-1])
    assert list(turned) == list(members)[::-1]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1024, 1030])
@pytest.mark.parametrize("count", [1, 31, 32, 64, 1100])
def test_a_list_that_grows_at_its_end_has_all_in_order_and_shares_the_rest(
    size: int, count: int
) -> None:
    members = Members(member(number) for number in range(size))
    new = [member(number) for number in range(size, size + count)]
    grown = members.grown(new)
    assert list(members) == [f"h{n}" for n in range(size)]
    assert list(grown.values()) == [*members.values(), *new]
    assert [grown.position(each.spec.host) for each in new] == list(range(size, size + count))
    assert grown.counts == Members(grown.values()).counts
    assert grown.continues(members) and not grown.same_list(members)
    assert not members.continues(grown)
    assert list(grown.differing(members)) == new
    assert grown.grown([]) is grown


def test_what_has_changed_since_a_list_grew_is_found_among_all() -> None:
    before = Members(member(number) for number in range(70))
    grown = before.grown([member(number) for number in range(70, 140)])
    changed = grown.changed([replace(grown[host], up=False) for host in ("h3", "h69", "h70")])
    assert changed.continues(before)
    assert changed.same_list(grown)
    differing = [each.spec.host for each in changed.differing(before)]
    assert differing == ["h3", *(f"h{n}" for n in range(69, 140))]
    assert [each.spec.host for each in changed.differing(grown)] == ["h3", "h69", "h70"]
    again = changed.grown([member(140)])
    assert again.continues(before), "of which it is not the next one"
    assert [each.spec.host for each in again.differing(changed)] == ["h140"]
    other = Members(member(number) for number in range(1, 71))
    assert not grown.continues(other)


@pytest.mark.parametrize("seed", range(6))
def test_a_list_that_was_foreseen_is_the_same_as_one_that_was_not(seed: int) -> None:
    """Whatever has changed since, and whatever is compared with what."""
    random = Random(seed)
    size = random.choice([3, 40, 1300])
    members = plain = Members(member(number) for number in range(size))
    seen = [(members, plain)]
    for _ in range(12):
        hosts = random.sample(list(members), random.randint(1, len(members)))
        if random.random() < 0.5:
            hosts.sort(key=list(members).index)
        pieces = members.foresee(hosts)
        for _ in range(random.choice([0, 2, 1000])):
            next(pieces, None)
        for _ in range(random.randint(0, 2)):
            members, plain = both_changed(random, members, plain)
        if random.random() < 0.2:
            hosts = hosts[1:] or hosts
        some = random.sample(hosts, random.choice([0, 0, 1]))
        others = {host: replace(members[host], ready=False) for host in some}
        plain = Members(others.get(host) or members[host] for host in hosts)
        members = members.arranged(hosts, others)
        seen.append((members, plain))
        members, plain = both_changed(random, members, plain)
        seen.append((members, plain))
        assert list(members.items()) == list(plain.items())
        assert members.counts == plain.counts
        assert [members.position(host) for host in members] == list(range(len(members)))
        for before, plain_before in seen:
            differing = [each for each in plain.in_order() if differs(each, plain_before)]
            assert list(members.differing(before)) == differing
        if random.random() < 0.3:
            members.forget_former()
        if len(members) < 3:
            break


def differs(each: Member, before: Members) -> bool:
    return before.get(each.spec.host) is not each


def both_changed(random: Random, one: Members, other: Members) -> tuple[Members, Members]:
    chosen = random.sample(list(one), random.randint(0, min(3, len(one))))
    new = [replace(one[host], up=not one[host].up) for host in chosen]
    return one.changed(new), other.changed(new)


def test_of_a_list_that_was_foreseen_only_what_has_changed_is_looked_at() -> None:
    """A list of thousands that is in another order concerns nobody."""
    members = Members(member(number) for number in range(5000))
    hosts = list(members)[::-1]
    pieces = sum(1 for _ in members.foresee(hosts))
    assert pieces > 20
    changed = members.changed([replace(members["h7"], up=False)])
    turned = changed.arranged(hosts, {})
    assert list(turned.differing(changed)) == []
    assert list(turned.differing(members)) == [changed["h7"]]
    new = replace(turned["h3"], ready=False)
    assert list(turned.changed([new]).differing(changed)) == [new]


def test_a_list_that_is_there_need_not_be_foreseen() -> None:
    members = Members(member(number) for number in range(1000))
    assert list(members.foresee(list(members))) == []
    with pytest.raises(KeyError):
        list(members.foresee(["other"]))


def test_who_is_up_is_counted_whatever_else_keeps_them_out() -> None:
    off = ServerSpec("h1", enabled=False)
    members = Members([member(0), replace(member(1), spec=off), replace(member(2), up=False)])
    assert (members.counts.up, members.counts.well) == (1, 2)


def test_spare_servers_come_in_the_order_in_which_they_are_to_be_pooled() -> None:
    up, down = MappingProxyType({"M": True}), MappingProxyType({"M": False})
    pooled, *kinds = (
        Member(ServerSpec(f"h{number}", weight=weight), True, True, number == 0, results)
        for number, (weight, results) in enumerate(
            [(10, up), (0, down), (0, up), (10, down), (10, up)]
        )
    )
    members = Members([pooled, *kinds])
    assert list(members.spare()) == kinds[::-1]
    counts = members.counts
    assert (counts.spare, counts.spare_down) == (1, 1)
    assert (counts.spare_weightless, counts.spare_weightless_down) == (1, 1)


def test_nobody_is_of_any_kind() -> None:
    assert not any(Members().counts)


def test_a_status_is_in_the_words_of_the_contract() -> None:
    up = member(1)
    assert up.status == "enabled/up/pooled"
    down = replace(up, up=False, results=MappingProxyType({"M": False}))
    assert down.status == "enabled/down/pooled"
    off = replace(down, spec=ServerSpec("h1", enabled=False), pooled=False)
    assert off.status == "disabled/down/not pooled"
