"""What may happen between the turns of a reading or a plan: anything. The table comes right."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.base import DelayedCall

from pybal.errors import KernelError
from pybal.ipvs.kernel import Listing, OperationResult
from pybal.ipvs.manager import RETRY_MAX_S, SERVERS_READ_PER_TURN, IPVSManager
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.slices import Slices
from pybal.runtime.persistent_map import PersistentMap
from tests.fakes.kernel import FakeKernel
from tests.ipvs.clock import TURN_S, TurningClock
from tests.ipvs.examples import DNS, WEB, WEB6, destination, entry, pool, server

OURS = (WEB, DNS)
FOREIGN = WEB6
MANY = 12
OPERATIONS_PER_TURN = 3
SERVERS_TOLD_OF_PER_TURN = 2

DESTINATIONS = {
    (key, number, weight): destination(number, weight, key=key)
    for key in OURS
    for number in range(1, MANY + 1)
    for weight in (0, 10)
}

_T = TypeVar("_T")


class RestlessKernel(FakeKernel):
    """Tells of a few servers a turn; may lose the answers to an exchange."""

    piece = SERVERS_TOLD_OF_PER_TURN

    def __init__(self, *standing: ServiceEntry) -> None:
        super().__init__({each.service.key: each for each in standing})
        self.lose = False
        self.stood: dict[ServiceKey, int] = {}
        """How many servers each service had when the present exchange began."""
        self.check: Callable[[Operation], None] = lambda operation: None

    def listing(self) -> Slices[Listing]:
        return _a_turn_each(super().listing())

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        return _a_turn_each(super().reading(key))

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        results: list[OperationResult] = []
        self.stood = {key: len(each) for key, each in self._destinations.items()}
        for operation in operations:
            self.check(operation)
            results += super().apply([operation])
        if not self.lose:
            return tuple(results)
        self.lose = False
        return tuple(
            each._replace(error=KernelError(each.operation.words, errno.ENOBUFS))
            for each in results
        )


def _a_turn_each(pieces: Slices[_T]) -> Slices[_T]:
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: _T = end.value
            return result
        yield SERVERS_READ_PER_TURN


class World:
    """A manager, what it was told, and what others do."""

    def __init__(self) -> None:
        self.clock = TurningClock()
        self.kernel = RestlessKernel(pool(FOREIGN, 1, 2))
        self.kernel.check = self.check
        self.manager = IPVSManager(
            self.clock,
            self.kernel,
            lambda: 0.0,
            dry_run=False,
            operations_per_turn=OPERATIONS_PER_TURN,
        )
        self.wanted: dict[ServiceKey, ServiceEntry | None] = {}
        self.disturbed = False
        self.wrong: list[Operation] = []
        self.manager.start()
        self.turn(1)

    def check(self, operation: Operation) -> None:
        # The manager goes on after whatever is raised here.
        if not self.is_right(operation):
            self.wrong.append(operation)

    def is_right(self, operation: Operation) -> bool:
        """Each operation leads to the newest word; and nothing goes before what is to come has
        come, unless at least as many stay, or one has come for it."""
        wanted = self.wanted[operation.key]
        if wanted is None:
            return isinstance(operation, RemoveService)
        match operation:
            case AddService(service) | EditService(service):
                return service == wanted.service
            case AddDestination(_, each) | EditDestination(_, each):
                return wanted.destinations.get(each.key) == each
            case RemoveDestination(key, where):
                standing = self.kernel._destinations.get(key, {}).keys()
                staying = len(standing & wanted.destinations.keys())
                enough = staying >= len(standing) - staying
                replaced = len(standing) > self.kernel.stood.get(key, 0)
                complete = standing >= wanted.destinations.keys()
                fine = self.disturbed or complete or enough or replaced
                return fine and where not in wanted.destinations
            case RemoveService():
                return False

    def turn(self, count: int) -> None:
        self.clock.turn(count)

    def settle(self) -> None:
        """Nobody does anything any more, and time passes."""
        self.kernel.refuse = lambda operation: 0
        self.kernel.broken = None
        self.kernel.lose = False
        for _ in range(2):
            self.clock.advance(RETRY_MAX_S)
            self.rest()
            self.manager.audit()
            self.rest()

    def rest(self) -> None:
        for _ in range(3000):
            if not any(call.getTime() <= self.clock.seconds() + 2 * TURN_S for call in self.calls):
                return
            self.turn(1)
        raise AssertionError("It does not come to rest")

    def rest_of_changes(self) -> None:
        """As IPVSController.settle does, without a limit."""
        for _ in range(3000):
            if not self.manager.pressing:
                return
            self.turn(1)
        raise AssertionError("The changes do not end")

    @property
    def calls(self) -> Sequence[DelayedCall]:
        return self.clock.getDelayedCalls()

    # -- what may happen ------------------------------------------------------------------

    def publish(self, published: ServiceEntry) -> None:
        self.wanted[published.service.key] = published
        self.manager.publish(published)

    def wanted_now(self, key: ServiceKey) -> ServiceEntry:
        wanted = self.wanted[key]
        assert wanted is not None
        return wanted

    def storm_of(self, key: ServiceKey, *numbers: int) -> None:
        """These fail, one report after another."""
        for number in numbers:
            wanted = self.wanted_now(key)
            assert isinstance(wanted.destinations, PersistentMap)
            left = wanted.destinations.updated({}, [server(number, key)])
            self.publish(replace(wanted, destinations=left))

    def storm(self, key: ServiceKey, numbers: Sequence[int], weight: int | None) -> None:
        """One report after another: these servers fail, or get this weight. Each entry comes of the
        one before, as a Coordinator's do."""
        wanted = self.wanted.get(key) or entry(key)
        destinations = PersistentMap(wanted.destinations)
        for number in numbers:
            if weight is None:
                destinations = destinations.updated({}, [server(number, key)])
            else:
                new = DESTINATIONS[key, number, weight]
                destinations = destinations.updated({new.key: new})
            self.publish(replace(wanted, destinations=destinations))

    def withdraw(self, key: ServiceKey) -> None:
        self.wanted[key] = None
        self.manager.withdraw(key)

    def by_hand(self, operation: Operation) -> None:
        self.disturbed = True
        number = self.kernel._do(operation)
        assert number in (0, errno.EEXIST, errno.ENOENT, errno.ESRCH)

    def lose(self) -> None:
        self.disturbed = True
        self.kernel.lose = True

    def refuse(self, number: int) -> None:
        self.disturbed = True
        self.kernel.refuse = lambda operation: number

    def fail(self, number: int) -> None:
        self.disturbed = True
        self.kernel.broken = KernelError("read", number) if number else None


def entries(key: ServiceKey) -> st.SearchStrategy[ServiceEntry]:
    """A run of servers, some of them with weight 0."""

    def build(first: int, last: int, every: int, scheduler: str) -> ServiceEntry:
        numbers = range(first, last + 1)
        chosen = [DESTINATIONS[key, n, 10 * (n % every > 0)] for n in numbers]
        return entry(key, *chosen, scheduler=scheduler)

    return st.builds(
        build,
        st.integers(1, MANY // 2),
        st.integers(1, MANY),
        st.integers(2, 9),
        st.sampled_from(["wrr", "wrr", "mh"]),
    )


def by_others(key: ServiceKey) -> st.SearchStrategy[Operation]:
    numbers = st.integers(1, MANY)
    return st.one_of(
        st.builds(lambda n: RemoveDestination(key, server(n, key)), numbers),
        st.builds(lambda n: AddDestination(key, destination(n, 7, key=key)), numbers),
        st.builds(lambda n: EditDestination(key, destination(n, 5, key=key)), numbers),
        st.just(RemoveService(key)),
        st.just(AddService(pool(key, scheduler="rr").service)),
    )


keys = st.sampled_from(OURS)
storms = st.tuples(
    st.just("storm"),
    keys,
    st.lists(st.integers(1, MANY), min_size=1, max_size=MANY),
    st.sampled_from([None, None, 0, 10]),
)
words = st.one_of(
    storms,
    storms,
    st.tuples(st.just("publish"), keys.flatmap(entries)),
    st.tuples(st.just("publish"), keys.flatmap(entries)),
    st.tuples(st.just("withdraw"), keys),
)
turns = st.tuples(st.just("turn"), st.sampled_from([1, 1, 1, 2, 3, 9]))
audits = st.tuples(st.just("audit"))
disturbances = st.one_of(
    st.tuples(st.just("by_hand"), st.sampled_from((*OURS, FOREIGN)).flatmap(by_others)),
    st.tuples(st.just("lose")),
    st.tuples(st.just("refuse"), st.sampled_from([0, 0, errno.ENOMEM, errno.EINVAL, errno.EEXIST])),
    st.tuples(st.just("fail"), st.sampled_from([0, 0, errno.ENOBUFS])),
)


def play(world: World, history: Sequence[tuple[object, ...]]) -> None:
    for name, *arguments in history:
        act = world.manager.audit if name == "audit" else getattr(world, str(name))
        act(*arguments)


def stands_as_wanted(world: World) -> None:
    assert world.wrong == []
    for key, wanted in world.wanted.items():
        if wanted is None and world.disturbed:
            continue  # Who adds a service that is not wanted any more has one of his own.
        assert world.kernel.read(key) == wanted
        assert world.manager.table.get(key) == wanted
    assert world.manager.snapshot().in_sync
    standing = {service.key for service in world.kernel.services().services}
    assert world.manager.table.keys() == standing


_BRIEF = entry(WEB, DESTINATIONS[WEB, 1, 10])
LEFT_DURING_AN_AUDIT = [
    ("audit",), ("turn", 1), ("publish", _BRIEF), ("turn", 1), ("withdraw", WEB), ("turn", 1),
]  # fmt: skip


@given(st.lists(words | turns | turns | audits, max_size=25))
@example([*LEFT_DURING_AN_AUDIT, ("publish", _BRIEF)])
@example([*LEFT_DURING_AN_AUDIT, ("withdraw", WEB)])
def test_whatever_is_published_when_the_last_word_stands_and_nothing_is_taken_for_drift(
    history: list[tuple[object, ...]],
) -> None:
    world = World()
    play(world, history)
    world.settle()
    stands_as_wanted(world)
    snapshot = world.manager.snapshot()
    assert snapshot.errors_total == 0
    assert sum(count for _, count in snapshot.audit.drift_total) == 0
    assert world.kernel.read(FOREIGN) == pool(FOREIGN, 1, 2)


@given(st.lists(words | turns | turns | audits | disturbances, max_size=30))
def test_whatever_others_do_and_whatever_fails_meanwhile_the_table_comes_right(
    history: list[tuple[object, ...]],
) -> None:
    world = World()
    play(world, history)
    world.settle()
    stands_as_wanted(world)


@given(st.lists(words | turns | audits, max_size=25))
def test_a_stop_at_any_moment_that_waits_leaves_the_last_word_in_the_kernel(
    history: list[tuple[object, ...]],
) -> None:
    world = World()
    play(world, history)
    world.rest_of_changes()
    assert world.manager.stop() == 0
    assert world.wrong == []
    for key, wanted in world.wanted.items():
        assert world.kernel.read(key) == wanted
    assert not world.calls


def test_the_first_that_fail_are_out_while_others_go_on_failing() -> None:
    world = World()
    numbers = range(1, 251)
    standing = pool(WEB, *numbers)
    world.publish(replace(standing, destinations=PersistentMap(standing.destinations)))
    world.rest()
    outs = []
    for failed in range(0, 200, 2):
        world.storm_of(WEB, failed + 1, failed + 2)
        world.turn(1)
        outs.append(250 - len(world.kernel._destinations[WEB]))
    assert outs == [2 * turn for turn in range(1, 101)]
    assert world.wrong == []


def test_who_fails_during_a_long_load_is_out_before_the_load_is_over() -> None:
    world = World()
    numbers = range(1, 251)
    loaded = pool(WEB, *numbers)
    world.publish(replace(loaded, destinations=PersistentMap(loaded.destinations)))
    world.turn(10)
    standing = world.kernel._destinations[WEB]
    assert 20 < len(standing) < 40
    first, *_ = standing
    (number,) = (n for n in numbers if server(n) == first)
    world.storm_of(WEB, number)
    world.turn(1)
    assert first not in standing
    assert len(standing) < 40
    world.rest()
    assert standing.keys() == world.wanted_now(WEB).destinations.keys()
    assert world.wrong == []


def test_a_service_whose_servers_are_all_replaced_is_never_without() -> None:
    world = World()
    world.publish(pool(WEB, *range(1, 41)))
    world.rest()
    world.publish(pool(WEB, *range(101, 141)))
    fewest = 40
    while not world.manager.snapshot().in_sync:
        world.turn(1)
        fewest = min(fewest, len(world.kernel._destinations[WEB]))
    assert fewest >= 40
    assert world.wrong == []
