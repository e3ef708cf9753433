"""What should stand in the kernel, kept up to date, is what the whole pool would make of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from operator import index
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.ipvs.model import Forwarding, ServiceEntry
from pybal.ipvs.options import ServiceOptions
from pybal.model import IPAddress, ServerSpec
from pybal.pool.desired import DesiredEntry, modules_needed
from pybal.pool.member import Member
from pybal.pool.members import Members
from tests.fakes.coordinator import Bench
from tests.pool.listed import listed
from tests.pool.reference_entry import service_entry

SETTINGS = Bench(threshold=Fraction(0)).settings
ADDRESSES = [ip_address(f"192.0.2.{number}") for number in range(1, 60)]
HOSTS = [f"h{number}" for number in range(70)]


def random_member(random: Random, host: str) -> Member:
    spec = ServerSpec(host, weight=random.choice([0, 10, 10, 20]))
    pooled = random.random() < 0.7
    return Member(spec, ready=True, up=pooled, pooled=pooled, results=MappingProxyType({}))


@given(st.integers(0, 2**32), st.sampled_from([3, 12, 70]))
def test_an_update_of_what_changed_gives_the_entry_of_all(seed: int, size: int) -> None:
    random = Random(seed)
    hosts, settings = HOSTS[:size], SETTINGS
    addresses: dict[str, IPAddress | None] = {h: random.choice(ADDRESSES) for h in hosts}
    desired = DesiredEntry(settings, {})
    members = Members(random_member(random, host) for host in hosts)
    for _ in range(20):
        desired.updated(desired.changes(members), addresses.get)
        chosen = random.choice(list(members) or hosts)
        match random.randrange(8):
            case 0:
                kept = random.sample(hosts, random.randint(0, size))
                members = listed(
                    members, [members.get(host) or random_member(random, host) for host in kept]
                )
            case 1:
                forwarding = random.choice([Forwarding.DIRECT, Forwarding.TUNNEL])
                settings = replace(settings, ipvs=ServiceOptions(forwarding))
                scheduler = random.choice(["wrr", "sh"])
                settings = replace(settings, scheduler=scheduler, port=random.choice([80, 443]))
                desired.reconfigure(settings)
            case 2 if chosen in members:
                addresses[chosen] = random.choice([None, *ADDRESSES])
                members = members.changed([replace(members[chosen])])
            case _ if chosen in members:
                members = members.changed([random_member(random, chosen)])
        pooled = [(addresses[h], m.spec.weight) for h, m in members.items() if m.pooled]
        plain = service_entry(settings, [(a, weight) for a, weight in pooled if a is not None])
        entry = desired.updated(desired.changes(members), addresses.get)
        assert entry == plain
        assert desired.updated(desired.changes(members), addresses.get) is entry
        by_rank = sorted(entry.destinations.values(), key=lambda each: index(each.rank))
        assert [each.key for each in by_rank] == list(plain.destinations)


def test_settings_that_concern_no_server_have_none_looked_at_again() -> None:
    random = Random(1)
    members = Members(random_member(random, host) for host in HOSTS)
    desired = DesiredEntry(SETTINGS, {})
    desired.updated(desired.changes(members), lambda _: ADDRESSES[0])
    scheduled = replace(SETTINGS, scheduler="sh", depool_threshold=Fraction(1))
    desired.reconfigure(scheduled)
    assert desired.changes(members).concerned == ()
    entry = desired.updated(desired.changes(members), lambda _: None)
    assert (entry.service.scheduler, len(entry.destinations)) == ("sh", 1)
    desired.reconfigure(replace(scheduled, port=443))
    assert len(desired.changes(members).concerned) == len(HOSTS)


def test_a_service_needs_the_modules_of_its_scheduler_and_persistence_engine() -> None:
    settings = replace(SETTINGS, scheduler="mh")
    assert modules_needed(settings) == ("ip_vs_mh",)
    settings = replace(settings, ipvs=ServiceOptions(persistence_engine="sip"))
    assert modules_needed(settings) == ("ip_vs_mh", "ip_vs_pe_sip")


def up(host: str) -> Member:
    return Member(ServerSpec(host), ready=True, up=True, pooled=True, results=MappingProxyType({}))


def test_of_a_list_that_goes_on_only_what_is_new_is_looked_at() -> None:
    desired = DesiredEntry(SETTINGS, {})
    addresses = dict(zip("abc", ADDRESSES, strict=False))
    members = Members(map(up, "ab"))
    desired.updated(desired.changes(members), addresses.get)
    longer = listed(members, [*members.in_order(), up("c")])
    found = desired.changes(longer)
    assert (found.goes_on, [each.spec.host for each in found.concerned]) == (True, ["c"])
    found = desired.changes(members.changed([up("b")]))
    assert (found.goes_on, [each.spec.host for each in found.concerned]) == (True, ["b"])
    assert not desired.changes(Members([up("b")])).goes_on


def test_a_report_that_changes_nothing_leaves_the_same_entry() -> None:
    desired = DesiredEntry(SETTINGS, {})
    addresses = dict(zip("abc", ADDRESSES, strict=False))
    members = Members(map(up, "abc"))
    entry = desired.updated(desired.changes(members), addresses.get)
    reported = members.changed([replace(up("b"), results=MappingProxyType({"m": True}))])
    assert desired.updated(desired.changes(reported), addresses.get) is entry


@pytest.mark.parametrize(("hosts", "others"), [("abc", ""), ("abcd", "d"), ("cab", "cab")])
def test_who_may_stand_otherwise_once_another_list_has_come(hosts: str, others: str) -> None:
    desired = DesiredEntry(SETTINGS, {})
    members = Members(map(up, "abc"))
    desired.updated(desired.changes(members), dict(zip("abcd", ADDRESSES, strict=False)).get)
    changes = desired.changes(listed(members, [members.get(host) or up(host) for host in hosts]))
    looked_at = changes.and_all_of_another_list()
    assert "".join(each.spec.host for each in looked_at.concerned) == others
    assert (looked_at.members, looked_at.goes_on) == (changes.members, changes.goes_on)


def order_of(entry: ServiceEntry) -> list[str]:
    by_rank = sorted(entry.destinations.values(), key=lambda each: index(each.rank))
    return [str(each.key.address) for each in by_rank]


@pytest.mark.parametrize(
    "hosts", "abcde edcba bcdea acbde abde e ace eca xabcde axbyc yx abcdexy".split()
)
def test_of_a_list_in_another_order_no_server_is_placed_anew_that_stays(hosts: str) -> None:
    desired, asked = DesiredEntry(SETTINGS, {}), []
    addresses = {host: ip_address(f"192.0.2.{ord(host)}") for host in "abcdexy"}

    def address_of(host: str) -> IPAddress:
        asked.append(host)
        return addresses[host]

    members = Members(map(up, "abcde"))
    before = desired.updated(desired.changes(members), address_of)
    asked.clear()
    members = listed(members, [members.get(host) or up(host) for host in hosts])
    entry = desired.updated(desired.changes(members), address_of)
    assert asked == [host for host in hosts if host in "xy"]
    assert order_of(entry) == [str(addresses[host]) for host in hosts]
    assert (entry is before) is (set(hosts) == set("abcde"))
    gone = [d for key, d in before.destinations.items() if key not in entry.destinations]
    assert all(index(each.rank) == len(hosts) for each in gone), "one that drains comes last"


def test_of_servers_at_one_address_the_first_of_the_list_counts_in_whichever_order() -> None:
    desired, address = DesiredEntry(SETTINGS, {}), ADDRESSES[0]
    weights = {"a": 1, "b": 2, "c": 3}
    servers = {h: replace(up(h), spec=ServerSpec(h, weight)) for h, weight in weights.items()}
    members = Members(servers.values())
    for hosts in ("abc", "bac", "cba", "ca", "ac", "cab", "b"):
        members = listed(members, [servers[host] for host in hosts])
        entry = desired.updated(desired.changes(members), lambda _: address)
        assert [each.weight for each in entry.destinations.values()] == [weights[hosts[0]]]
