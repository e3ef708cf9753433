"""When a service is published, and that what stands in the kernel is not given up too early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from types import MappingProxyType, SimpleNamespace
from typing import cast

import pytest
from twisted.logger import Logger

from pybal.ipvs.model import ServiceEntry
from pybal.model import ServerSpec
from pybal.pool.desired import destination, service_of
from pybal.pool.member import Member
from pybal.pool.members import Members
from pybal.pool.pool_state import PoolState
from pybal.pool.publication import Publication
from pybal.pool.server import Server
from tests.fakes.coordinator import ADDRESSES
from tests.fakes.coordinator import Bench as CoordinatorBench

SETTINGS = replace(CoordinatorBench().settings, drain_timeout_s=30.0)


class Bench:
    """A publication, and what it has told: (scheduler, addresses, drain timeout)."""

    def __init__(self, adopted: str = "") -> None:
        self.told: list[tuple[str, list[str], float | None]] = []
        servers = {host: SimpleNamespace(address=ip_address(a)) for host, a in ADDRESSES.items()}
        standing = (destination(SETTINGS, servers[host].address, 1) for host in adopted)
        entry = ServiceEntry(service_of(SETTINGS), {each.key: each for each in standing})
        self.publication = Publication(
            SETTINGS,
            self,
            cast(Mapping[str, Server], servers),
            entry if adopted else None,
            Logger(),
        )

    def set_desired(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        addresses = [str(key.address) for key in entry.destinations]
        self.told.append((entry.service.scheduler, addresses, drain_timeout_s))


def state(pooled: str, waiting: str = "", *, threshold: Fraction = Fraction(1, 2)) -> PoolState:
    """These servers are pooled; those wait for their names."""
    members = [
        Member(
            ServerSpec(host), host in pooled, host in pooled, host in pooled, MappingProxyType({})
        )
        for host in pooled + waiting
    ]
    return PoolState(threshold, (), Members(members))


A_AND_B = ("wrr", ["10.0.0.1", "10.0.0.2"], 30.0)
NOBODY: tuple[str, list[str], float] = ("wrr", [], 30.0)


def test_what_has_not_changed_is_not_published_again() -> None:
    bench = Bench()
    bench.publication.update(state("ab"))
    bench.publication.update(state("ab"))
    bench.publication.update(state("ba"))
    assert bench.told == [A_AND_B]


def test_a_service_that_did_not_stand_does_not_wait_for_names() -> None:
    bench = Bench()
    bench.publication.update(state("", "ab"))
    assert bench.told == [NOBODY]


@pytest.mark.parametrize(
    ("pooled", "waiting", "adopted", "published"),
    [
        ("a", "bcd", "ab", "ab"),
        ("ab", "cd", "abcd", "abcd"),
        ("ab", "c", "abc", "abc"),
        ("a", "bcd", "a", "a"),
        ("a", "", "ab", "a"),
        ("ac", "b", "ab", "abc"),
        ("", "abcd", "a", "a"),
    ],
)
def test_of_an_adopted_service_stays_what_may_be_a_server_that_waits_for_its_name(
    pooled: str, waiting: str, adopted: str, published: str
) -> None:
    bench = Bench(adopted)
    bench.publication.update(state(pooled, waiting))
    ((_, addresses, _),) = bench.told
    assert sorted(addresses) == [ADDRESSES[host] for host in published]


@pytest.mark.parametrize("threshold", [Fraction(0), Fraction(1)])
def test_no_name_known_leaves_an_adopted_service_as_it_stands(threshold: Fraction) -> None:
    bench = Bench("ab")
    bench.publication.update(state("", "cd", threshold=threshold))
    assert bench.told == [A_AND_B]


@pytest.mark.parametrize("adopted", ["", "a"])
def test_nothing_is_published_of_a_service_before_its_first_list(adopted: str) -> None:
    bench = Bench(adopted)
    bench.publication.update(PoolState(Fraction(1, 2), (), Members()))
    assert bench.told == []
    bench.publication.update(state("ab"))
    assert bench.told == [A_AND_B]


def test_once_its_names_are_known_an_adopted_service_waits_for_names_no_more() -> None:
    bench = Bench("ab")
    bench.publication.update(state("ab"))
    bench.publication.update(state("", "cd"))
    assert bench.told == [A_AND_B, NOBODY]


def test_the_first_list_is_published_whole_though_it_comes_in_portions() -> None:
    bench = Bench()
    with bench.publication.first_held():
        bench.publication.update(state("a"))
        bench.publication.update(state("ab"))
        assert bench.told == []
    bench.publication.update(state("ab"))
    assert bench.told == [A_AND_B]


def test_a_later_list_is_published_as_it_comes() -> None:
    bench = Bench()
    bench.publication.update(state("a"))
    with bench.publication.first_held():
        bench.publication.update(state("ab"))
        assert bench.told[1:] == [A_AND_B]


def test_other_settings_count_from_the_next_update_on() -> None:
    bench = Bench()
    bench.publication.update(state("ab"))
    bench.publication.reconfigure(replace(SETTINGS, scheduler="mh", drain_timeout_s=5.0))
    bench.publication.update(state("ab"))
    assert bench.told == [A_AND_B, ("mh", ["10.0.0.1", "10.0.0.2"], 5.0)]
