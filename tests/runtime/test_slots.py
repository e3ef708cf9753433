"""Slots: how many at once, and who is next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pybal.runtime.slots import Slots


class Queue:
    """Slots, and who holds them."""

    def __init__(self, limit: int) -> None:
        self.clock = Clock()
        self.slots = Slots(self.clock, limit)
        self.holders: list[int] = []
        self.waiting: dict[int, Deferred[None]] = {}
        self._count = 0

    def want(self) -> None:
        number, self._count = self._count, self._count + 1
        self.waiting[number] = wish = self.slots.acquire()
        wish.addCallbacks(lambda _: self._got(number), lambda _: None)

    def _got(self, number: int) -> None:
        del self.waiting[number]
        self.holders.append(number)


def test_those_who_wait_are_served_in_their_order_but_in_another_turn() -> None:
    queue = Queue(2)
    for _ in range(5):
        queue.want()
    assert queue.holders == [0, 1]
    queue.slots.release()
    assert queue.holders == [0, 1]
    queue.clock.advance(0)
    assert queue.holders == [0, 1, 2]
    queue.waiting.pop(3).cancel()
    queue.slots.release()
    queue.clock.advance(0)
    assert queue.holders == [0, 1, 2, 4]
    assert queue.clock.getDelayedCalls() == []


@given(st.integers(1, 3), st.lists(st.sampled_from(["want", "release", "cancel", "turn"])))
def test_never_more_than_the_limit_and_nobody_waits_beside_a_free_slot(
    limit: int, acts: list[str]
) -> None:
    queue = Queue(limit)
    held = 0
    for act in acts:
        before = len(queue.holders)
        if act == "want":
            queue.want()
        elif act == "release" and held:
            held -= 1
            queue.slots.release()
        elif act == "cancel" and queue.waiting:
            queue.waiting.pop(min(queue.waiting)).cancel()
        elif act == "turn":
            queue.clock.advance(0)
        held += len(queue.holders) - before
        assert held <= limit
    before = len(queue.holders)
    queue.clock.advance(0)
    held += len(queue.holders) - before
    assert queue.holders == sorted(queue.holders)
    assert held == limit or (held < limit and not queue.waiting)


def test_more_slots_are_handed_out_at_once_and_fewer_as_they_come_back() -> None:
    queue = Queue(1)
    for _ in range(4):
        queue.want()
    queue.slots.resize(3)
    assert queue.holders == [0, 1, 2]
    queue.slots.resize(1)
    for _ in range(2):
        queue.slots.release()
        queue.clock.advance(0)
    assert queue.holders == [0, 1, 2]
    queue.slots.release()
    queue.clock.advance(0)
    assert queue.holders == [0, 1, 2, 3]
