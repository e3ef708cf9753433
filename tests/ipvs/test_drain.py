"""Draining: depooled servers keep their connections for a while."""

from __future__ import annotations

import errno
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pybal.errors import KernelError
from pybal.ipvs.drain import Drain, DrainedEntry, Draining, counted
from pybal.ipvs.drainer import COUNT_EVERY_S, COUNT_GAP_S, Drainer
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.slices import Slices
from pybal.ipvs.snapshot import ServiceStatistics
from pybal.runtime.persistent_map import PersistentMap
from tests.fakes.kernel import FakeKernel
from tests.ipvs.examples import DNS, KEYS, WEB, destination, entry, pool, server

LIMIT_S = 300.0
numbers = st.sets(st.integers(1, 6))


# -- pure ---------------------------------------------------------------------------------------


def depool(
    before: ServiceEntry | None, wanted: ServiceEntry, draining: Draining, until: float
) -> Draining:
    """The plain way to find what drains once `wanted` takes the place of `before`, which has what
    drained, too."""
    found = {} if before is None else before.destinations
    return {
        key: draining.get(key) or Drain(replace(destination, weight=0), until)
        for key, destination in found.items()
        if key not in wanted.destinations
    }


def merged(wanted: ServiceEntry, draining: Draining) -> ServiceEntry:
    leaving = {key: drain.destination for key, drain in draining.items()}
    return replace(wanted, destinations={**leaving, **wanted.destinations})


def test_a_depooled_server_stays_with_weight_0() -> None:
    kept = DrainedEntry(pool(WEB, 1, 2))
    assert kept.want(pool(WEB, 1), 100.0) == {server(2): Drain(destination(2, weight=0), 100.0)}
    assert kept.entry == entry(WEB, destination(2, weight=0), destination(1))


def test_what_drains_already_keeps_its_time_limit() -> None:
    kept = DrainedEntry(pool(WEB, 1, 2))
    kept.want(pool(WEB, 1), 100.0)
    kept.want(pool(WEB), 200.0)
    assert {key: drain.until for key, drain in kept.draining.items()} == {
        server(1): 200.0,
        server(2): 100.0,
    }


def test_what_is_wanted_again_is_wanted_as_it_was() -> None:
    kept = DrainedEntry(pool(WEB, 1, 2))
    kept.want(pool(WEB, 1), 100.0)
    assert kept.want(pool(WEB, 1, 2), 200.0) == kept.draining == {}
    assert kept.entry == pool(WEB, 1, 2)


def test_what_never_stood_is_gone_at_once_though_others_drain() -> None:
    stand = {server(1), server(2)}
    with_it, before_it = DrainedEntry(pool(WEB, 1, 2, 3)), DrainedEntry(pool(WEB, 1, 2, 3))
    before_it.want(pool(WEB, 1, 3), 100.0, stand)
    for kept in (with_it, before_it):
        kept.want(pool(WEB, 1), 100.0, stand)
        assert kept.entry == entry(WEB, destination(2, weight=0), destination(1))


def test_it_is_over_without_connections_or_when_time_is_up() -> None:
    draining = depool(pool(WEB, 1, 2, 3), pool(WEB), {}, 100.0)
    left = counted(draining, {server(1): 5, server(2): 0}, 99.9)
    assert left == {server(1): Drain(destination(1, weight=0), 100.0, 5)}
    assert counted(left, {server(1): 5}, 100.0) == {}


def test_while_nothing_can_be_counted_only_time_counts() -> None:
    draining = depool(pool(WEB, 1), pool(WEB), {}, 100.0)
    assert counted(draining, None, 99.9) == draining
    assert counted(draining, None, 100.0) == {}


@given(
    numbers, st.lists(numbers, max_size=6), st.dictionaries(st.integers(1, 6), st.integers(0, 1))
)
def test_nobody_leaves_without_draining_and_the_wanted_are_as_wanted(
    first: set[int], words: list[set[int]], connections: dict[int, int]
) -> None:
    kept = DrainedEntry(pool(WEB, *first))
    for now, word in enumerate(words):
        wanted, standing = pool(WEB, *word), kept.entry
        kept.want(wanted, now + 3.0)
        after = kept.entry.destinations
        assert after.keys() == wanted.destinations.keys() | standing.destinations.keys()
        for key, one in after.items():
            assert one == wanted.destinations.get(key, replace(one, weight=0))
        kept.count({server(number): value for number, value in connections.items()}, float(now))


@given(
    st.lists(numbers, min_size=1, max_size=8),
    st.dictionaries(st.integers(1, 6), st.integers(0, 1)),
    st.booleans(),
    numbers,
    numbers,
)
def test_an_entry_that_is_kept_up_to_date_drains_as_one_that_is_made_anew(
    words: list[set[int]],
    connections: dict[int, int],
    persistent: bool,
    before: set[int],
    refused: set[int],
) -> None:
    def given_entry(number: int, word: set[int]) -> ServiceEntry:
        made = entry(WEB, *(destination(n, number * (n % 2)) for n in word))
        if not persistent:
            return made
        return replace(made, destinations=PersistentMap(made.destinations))

    standing: ServiceEntry | None = pool(WEB, *before)
    stand = pool(WEB, *{*range(1, 7)} - refused).destinations
    draining: Draining = {}
    kept: DrainedEntry | None = None
    for now, word in enumerate(words):
        wanted, until = given_entry(now + 1, word), now + 3.0
        former, draining = draining, depool(standing, wanted, draining, until)
        if kept is None:
            kept = DrainedEntry(wanted)
            new = kept.leave(standing, until)
        else:
            draining = {k: each for k, each in draining.items() if k in former or k in stand}
            new = kept.want(wanted, until, stand)
        assert new == {key: each for key, each in draining.items() if key not in former}
        assert kept.draining == draining
        assert kept.entry == merged(wanted, draining)
        count = {server(number): value for number, value in connections.items()}
        left = counted(draining, count, float(now))
        gone = kept.count(count, float(now))
        assert gone.keys() == draining.keys() - left.keys()
        draining = left
        standing = merged(wanted, draining)
        assert (kept.entry, kept.draining) == (standing, draining)


# -- the shell ----------------------------------------------------------------------------------


class FakeWriter:
    """Has what is published in its table at once."""

    def __init__(self, table: dict[ServiceKey, ServiceEntry]) -> None:
        self.table = table
        self.mistakes = 0

    def publish(self, entry: ServiceEntry) -> None:
        if self.mistakes:
            self.mistakes -= 1
            raise ValueError("a mistake")
        self.table[entry.service.key] = entry


class Bench:
    """A Drainer on a kernel that takes whatever is published at once."""

    def __init__(self, *standing: ServiceEntry) -> None:
        self.clock = Clock()
        self.kernel = FakeKernel()
        self.table = {each.service.key: each for each in standing}
        self.counts: list[ServiceKey] = []
        self.connections: dict[ServiceKey, dict[int, int]] = {}
        bench = self

        class Counting(FakeKernel):
            def counting(self, key: ServiceKey) -> Slices[ServiceStatistics | None]:
                bench.counts.append(key)
                if self.broken is not None:
                    raise self.broken
                kernel = FakeKernel(bench.table)
                for number, count in bench.connections.get(key, {}).items():
                    kernel.count(key, server(number, key), count // 2, count - count // 2)
                return kernel.counting(key)

        self.kernel = Counting()
        self.writer = FakeWriter(self.table)
        self.drainer = Drainer(self.clock, self.kernel, self.writer)

    def publish(self, published: ServiceEntry, limit_s: float | None = LIMIT_S) -> None:
        self.writer.publish(self.drainer.with_draining(published, limit_s))

    def weights(self, key: ServiceKey = WEB) -> dict[int, int]:
        found = self.table[key].destinations
        return {n: found[server(n, key)].weight for n in range(1, 9) if server(n, key) in found}


def test_without_draining_a_server_leaves_at_once() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2), None)
    bench.publish(pool(WEB, 1), None)
    assert bench.weights() == {1: 10}
    assert bench.clock.getDelayedCalls() == []


def test_a_server_leaves_when_its_last_connection_has_ended() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.connections = {WEB: {1: 8, 2: 5}}
    bench.publish(pool(WEB, 1))
    assert bench.weights() == {1: 10, 2: 0}
    bench.clock.pump([COUNT_EVERY_S] * 20)
    assert bench.weights() == {1: 10, 2: 0}
    (shown,) = bench.drainer.snapshot()
    assert (shown.server, shown.connections, shown.seconds_left) == ("198.51.100.2:80", 5, 280.0)
    bench.connections = {WEB: {1: 8, 2: 0}}
    bench.clock.advance(COUNT_EVERY_S)
    assert bench.weights() == {1: 10}
    assert bench.drainer.snapshot() == ()
    bench.clock.pump([COUNT_EVERY_S] * 3)
    assert bench.clock.getDelayedCalls() == []


def test_what_the_kernel_has_refused_is_not_offered_to_it_again_in_order_to_drain() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.table[WEB] = pool(WEB, 1)
    bench.publish(pool(WEB, 1))
    assert bench.weights() == {1: 10}
    assert bench.drainer.snapshot() == ()


def test_a_server_leaves_when_its_time_is_up() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.connections = {WEB: {2: 5}}
    bench.publish(pool(WEB, 1))
    bench.clock.pump([COUNT_EVERY_S] * int(LIMIT_S / COUNT_EVERY_S - 1))
    assert bench.weights() == {1: 10, 2: 0}
    bench.clock.pump([COUNT_EVERY_S] * 2)
    assert bench.weights() == {1: 10}


def test_pooling_again_restores_the_weight_and_ends_the_draining() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.connections = {WEB: {2: 5}}
    bench.publish(pool(WEB, 1))
    bench.publish(pool(WEB, 1, 2))
    assert bench.weights() == {1: 10, 2: 10}
    bench.clock.pump([COUNT_EVERY_S] * 400)
    assert bench.weights() == {1: 10, 2: 10}


def test_after_a_restart_what_stands_and_is_not_pooled_drains() -> None:
    bench = Bench(entry(WEB, destination(1), destination(2, weight=0), destination(3, weight=7)))
    bench.connections = {WEB: {2: 1, 3: 1}}
    bench.publish(pool(WEB, 1))
    assert bench.weights() == {1: 10, 2: 0, 3: 0}
    bench.connections = {}
    bench.clock.advance(COUNT_EVERY_S)
    assert bench.weights() == {1: 10}


def test_a_count_that_fails_leaves_it_to_the_next_one() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.connections = {WEB: {2: 5}}
    bench.publish(pool(WEB, 1))
    bench.kernel.broken = KernelError("read", errno.ENOBUFS)
    bench.clock.pump([COUNT_EVERY_S] * 3)
    assert bench.weights() == {1: 10, 2: 0}
    bench.kernel.broken = None
    bench.connections = {}
    bench.clock.advance(COUNT_EVERY_S)
    assert bench.weights() == {1: 10}


def test_a_mistake_in_counting_keeps_nobody_draining_for_ever() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.publish(pool(WEB, 1))
    bench.kernel.broken = ValueError("a mistake")
    with capturedLogs() as logged:
        bench.clock.pump([COUNT_EVERY_S] * int(LIMIT_S / COUNT_EVERY_S + 1))
    assert {event["log_failure"].type for event in logged if "log_failure" in event} == {ValueError}
    assert bench.weights() == {1: 10}


def test_a_mistake_in_publishing_ends_the_draining_of_no_other_service() -> None:
    bench = Bench()
    for key in KEYS[:2]:
        bench.publish(pool(key, 1, 2))
        bench.connections[key] = {2: 5}
        bench.publish(pool(key, 1))
    bench.connections.clear()
    bench.writer.mistakes = 1
    with capturedLogs() as logged:
        bench.clock.pump([COUNT_EVERY_S] * 5)
    assert [event["log_failure"].type for event in logged if "log_failure" in event] == [ValueError]
    assert {1: 10} in [bench.weights(key) for key in KEYS[:2]]


def test_a_server_that_has_drained_goes_later_if_that_cannot_be_published_at_first() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.connections = {WEB: {2: 5}}
    bench.publish(pool(WEB, 1))
    bench.connections = {}
    bench.writer.mistakes = 2
    with capturedLogs() as logged:
        bench.clock.pump([COUNT_EVERY_S] * 2)
    assert len([event for event in logged if "log_failure" in event]) == 2
    assert bench.weights() == {1: 10, 2: 0}
    assert bench.drainer.snapshot() == ()
    bench.clock.advance(COUNT_EVERY_S)
    assert bench.weights() == {1: 10}
    assert bench.clock.getDelayedCalls() == []


def test_however_many_drain_one_service_is_counted_at_a_time_and_never_too_often() -> None:
    bench = Bench()
    for key in KEYS[:4]:
        bench.publish(pool(key, 1, 2))
        bench.connections[key] = {2: 1}
        bench.publish(pool(key, 1))
    step_s = COUNT_GAP_S / 2
    for _ in range(round(10 / step_s)):
        before = len(bench.counts)
        bench.clock.advance(step_s)
        assert len(bench.counts) <= before + 1
    assert all(8 <= bench.counts.count(key) <= 10 for key in KEYS[:4])


def test_a_withdrawn_service_drains_no_more() -> None:
    bench = Bench()
    bench.publish(pool(WEB, 1, 2))
    bench.publish(pool(DNS, 1, 2))
    bench.connections = {WEB: {2: 5}, DNS: {2: 5}}
    bench.publish(pool(WEB, 1))
    bench.publish(pool(DNS, 1))
    bench.drainer.withdraw(WEB)
    bench.counts.clear()
    bench.clock.pump([COUNT_EVERY_S] * 5)
    assert set(bench.counts) == {DNS}
    bench.drainer.stop()
    bench.drainer.stop()
    assert bench.clock.getDelayedCalls() == []
