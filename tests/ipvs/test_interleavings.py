"""What may happen between the turns of a reading or a plan: anything. The table comes right."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.base import DelayedCall

from pybal.errors import KernelError
from pybal.ipvs.kernel import Listing, OperationResult
from pybal.ipvs.manager import RETRY_MAX_S, SERVERS_READ_PER_TURN, IPVSManager
from pybal.ipvs.model import ServiceEntry, ServiceKey
from pybal.ipvs.plan import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.slices import Slices
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
        self.check: Callable[[Operation], None] = lambda operation: None

    def listing(self) -> Slices[Listing]:
        return _a_turn_each(super().listing())

    def reading(self, key: ServiceKey) -> Slices[ServiceEntry | None]:
        return _a_turn_each(super().reading(key))

    def apply(self, operations: Sequence[Operation]) -> tuple[OperationResult, ...]:
        results: list[OperationResult] = []
        for operation in operations:
            self.check(operation)
            results += super().apply([operation])
        if not self.lose:
            return tuple(results)
        self.lose = False
        return tuple(
            replace(each, error=KernelError(each.operation.words, errno.ENOBUFS))
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
        """Each operation leads to the newest word, and nothing goes before all that is to come has
        come."""
        wanted = self.wanted[operation.key]
        if wanted is None:
            return isinstance(operation, RemoveService)
        match operation:
            case AddService(service) | EditService(service):
                return service == wanted.service
            case AddDestination(_, each) | EditDestination(_, each):
                return wanted.destinations.get(each.key) == each
            case RemoveDestination(key, where):
                standing = self.kernel._destinations.get(key, {})
                complete = self.disturbed or standing.keys() >= wanted.destinations.keys()
                return complete and where not in wanted.destinations
            case RemoveService():
                return False

    def turn(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(TURN_S)

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

    @property
    def calls(self) -> Sequence[DelayedCall]:
        return self.clock.getDelayedCalls()

    # -- what may happen ------------------------------------------------------------------

    def publish(self, published: ServiceEntry) -> None:
        self.wanted[published.service.key] = published
        self.manager.publish(published)

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
words = st.one_of(
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


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=100, deadline=None)
@given(st.lists(words | turns | turns | audits | disturbances, max_size=30))
def test_whatever_others_do_and_whatever_fails_meanwhile_the_table_comes_right(
    history: list[tuple[object, ...]],
) -> None:
    world = World()
    play(world, history)
    world.settle()
    stands_as_wanted(world)


@settings(max_examples=100, deadline=None)
@given(st.lists(words | turns | audits, max_size=25))
def test_a_stop_at_any_moment_leaves_the_last_word_in_the_kernel(
    history: list[tuple[object, ...]],
) -> None:
    world = World()
    play(world, history)
    world.manager.stop()
    assert world.wrong == []
    for key, wanted in world.wanted.items():
        assert world.kernel.read(key) == wanted
    assert not world.calls
