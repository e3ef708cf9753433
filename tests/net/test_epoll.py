"""The set of watched sockets: each is told of its own events, whatever befalls the others."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from pybal.net.epoll import (
    AT_END,
    BROKEN,
    CLOSED_AFTER_S,
    CLOSED_WITHIN_S,
    MOST_TO_CLOSE,
    READABLE,
    UNTIL_CONNECTED,
    WRITABLE,
    EpollSet,
)


class FakeReactor(Clock):
    """Keeps what it is asked to watch."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[EpollSet] = []
        self.has_room = True

    def addReader(self, reader: EpollSet) -> None:  # noqa: N802
        if not self.has_room:
            raise OSError(errno.ENOSPC, "no room")
        self.readers.append(reader)


class Watcher:
    """One end of a pair of sockets in the set."""

    def __init__(self, epoll: EpollSet, sock: socket.socket, events: int = READABLE) -> None:
        self.is_open = True
        self.told: list[int] = []
        self.act: Callable[[], object] = lambda: None
        self.act_at_the_end: Callable[[], object] = lambda: None
        self.has_failed = False
        self._epoll, self._socket = epoll, sock
        epoll.watch(self, events)

    def fileno(self) -> int:
        return self._socket.fileno()

    def ready(self, events: int) -> None:
        self.told.append(events)
        self.act()

    def failed(self) -> None:
        self.has_failed = True
        self.close()
        self.act_at_the_end()

    def close(self) -> None:
        self.is_open = False
        self._epoll.remove(self)
        self._socket.close()


class Stage:
    """A set, and the far ends of what is in it."""

    def __init__(self, pairs: ExitStack) -> None:
        self._pairs = pairs
        self.reactor = FakeReactor()
        self.epoll = EpollSet(self.reactor)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
            self._pairs.enter_context(end)
        return ours, theirs

    def watched(self, events: int = READABLE) -> tuple[Watcher, socket.socket]:
        ours, theirs = self.pair()
        return Watcher(self.epoll, ours, events), theirs


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as pairs:
        stage = Stage(pairs)
        yield stage
        stage.epoll.connectionLost(Failure(Exception("the reactor ends")))


def test_the_reactor_watches_one_descriptor_for_all(stage: Stage) -> None:
    (one, _), (two, far) = stage.watched(), stage.watched()
    far.send(b"x")
    stage.epoll.doRead()
    assert stage.reactor.readers == [stage.epoll]
    assert (one.told, two.told) == ([], [READABLE])


def test_what_is_told_once_is_told_again_when_it_changes_or_is_asked_for(stage: Stage) -> None:
    watcher, far = stage.watched(UNTIL_CONNECTED)
    stage.epoll.doRead()
    stage.epoll.doRead()
    assert watcher.told == [WRITABLE]
    far.send(b"x")
    stage.epoll.doRead()
    stage.epoll.doRead()
    assert watcher.told[1:] == [WRITABLE | READABLE]
    stage.epoll.watch_anew(watcher, READABLE)
    stage.epoll.doRead()
    assert watcher.told[2:] == [READABLE]
    far.close()
    stage.epoll.doRead()
    assert watcher.told[3] & AT_END


def test_who_is_closed_meanwhile_is_not_told_nor_who_gets_its_number(stage: Stage) -> None:
    (one, far_one), (two, far_two) = stage.watched(), stage.watched()
    heirs: list[Watcher] = []

    def replace(other: Watcher) -> None:
        number = other.fileno()
        other.close()
        ours, _ = stage.pair()
        # The kernel gives the lowest number; have it given this one in any case.
        if ours.fileno() != number:
            os.dup2(ours.fileno(), number)
            ours = socket.socket(fileno=number)
        heirs.append(Watcher(stage.epoll, ours))

    one.act, two.act = (lambda: replace(two)), (lambda: replace(one))
    far_one.send(b"x")
    far_two.send(b"x")
    stage.epoll.doRead()
    assert len(one.told) + len(two.told) == 1
    (heir,) = heirs
    assert heir.told == []
    heir.close()


def test_a_copy_of_a_removed_socket_is_not_heard_of(stage: Stage) -> None:
    watcher, far = stage.watched()
    copy = os.dup(watcher.fileno())
    watcher.close()
    far.send(b"x")
    stage.epoll.doRead()
    os.close(copy)
    assert watcher.told == []


def test_one_that_is_broken_is_forgotten_and_who_gets_its_number_is_watched(stage: Stage) -> None:
    broken, far = stage.watched(UNTIL_CONNECTED)
    far.close()
    stage.epoll.doRead()
    assert broken.told[-1] & BROKEN
    number, told = broken.fileno(), len(broken.told)
    broken.is_open = False
    stage.epoll.forget(broken)
    broken._socket.close()
    ours, theirs = stage.pair()
    if ours.fileno() != number:
        os.dup2(ours.fileno(), number)
        ours = socket.socket(fileno=number)
    heir = Watcher(stage.epoll, ours)
    theirs.send(b"x")
    stage.epoll.doRead()
    assert (len(broken.told), heir.told) == (told, [READABLE])
    heir.close()


def test_the_mistake_of_one_ends_that_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr("pybal.net.epoll._log.failure", logged.append)
    (one, far_one), (two, far_two) = stage.watched(), stage.watched()

    def mistake() -> None:
        raise RuntimeError("a plug-in's")

    one.act = one.act_at_the_end = mistake
    far_one.send(b"x")
    far_two.send(b"x")
    stage.epoll.doRead()
    assert one.has_failed and not two.has_failed
    assert two.told == [READABLE]
    given_up, untold = logged
    assert given_up == "A connection is given up" and "cannot be told" in untold


def test_a_socket_that_was_closed_behind_the_sets_back_ends_nobody_else(stage: Stage) -> None:
    (one, far_one), (two, far_two) = stage.watched(), stage.watched()
    copy = os.dup(one.fileno())
    del stage.epoll._watched[one.fileno()]
    one._socket.close()
    far_one.send(b"x")
    far_two.send(b"x")
    stage.epoll.doRead()
    os.close(copy)
    assert (one.told, two.told) == ([], [READABLE])


def test_where_the_reactor_has_no_room_the_next_one_begins_anew(stage: Stage) -> None:
    stage.reactor.has_room = False
    with pytest.raises(OSError, match="no room"):
        stage.watched()
    assert stage.epoll.fileno() == -1
    stage.reactor.has_room = True
    watcher, far = stage.watched()
    far.send(b"x")
    stage.epoll.doRead()
    assert watcher.told == [READABLE]


def test_who_connects_anew_when_the_set_breaks_is_watched(stage: Stage) -> None:
    watcher, _ = stage.watched()
    heirs: list[tuple[Watcher, socket.socket]] = []
    watcher.act_at_the_end = lambda: heirs.append(stage.watched())
    stage.epoll.connectionLost(Failure(Exception("the set is broken")))
    ((heir, far),) = heirs
    far.send(b"x")
    stage.epoll.doRead()
    assert heir.told == [READABLE]


def test_a_turn_ends_after_its_time_and_the_next_one_goes_on(stage: Stage) -> None:
    def spend(watcher: Watcher) -> None:
        stage.reactor.advance(0.001)
        watcher.close()

    watched = [stage.watched() for _ in range(70)]
    for watcher, far in watched:
        far.send(b"x")
        watcher.act = partial(spend, watcher)
    stage.epoll.doRead()
    told = sum(len(watcher.told) for watcher, _ in watched)
    assert 0 < told < 70
    in_this_turn: Any = stage.reactor.getDelayedCalls()[0]
    call = in_this_turn.func
    in_this_turn.cancel()
    call()
    assert sum(len(watcher.told) for watcher, _ in watched) == told, "it has had its time"
    while told < 70:
        before = told
        stage.reactor.advance(0)
        told = sum(len(watcher.told) for watcher, _ in watched)
        assert told > before
    assert all(watcher.told == [READABLE] for watcher, _ in watched)


def test_to_look_for_what_is_new_is_part_of_the_turn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = stage.epoll._look

    def look_for_long(epoll: select.epoll, now_s: float) -> int:
        found = look(epoll, now_s)
        stage.reactor.rightNow += 0.01
        return found

    monkeypatch.setattr(stage.epoll, "_look", look_for_long)
    watched = [stage.watched(UNTIL_CONNECTED)[0] for _ in range(100)]
    stage.epoll.doRead()
    assert sum(len(watcher.told) for watcher in watched) == 8, "some go on in any case"


def test_it_is_known_how_long_what_is_told_has_waited(stage: Stage) -> None:
    waited: list[float] = []

    def spend() -> None:
        waited.append(round(stage.epoll.waited_s(), 3))
        stage.reactor.rightNow += 0.001

    for _ in range(12):
        watcher, far = stage.watched(READABLE | select.EPOLLET)
        watcher.act = spend
        far.send(b"x")
    stage.epoll.doRead()
    stage.reactor.advance(1)
    assert stage.epoll.waited_s() == 0.0, "nobody is being told"
    assert waited[:3] == [0.0, 0.001, 0.002]
    assert [each > 1 for each in waited] == [False] * 8 + [True] * 4


def test_one_may_be_told_at_once_and_the_others_still_are(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybal.net.epoll._TURN_S", 0.0)
    monkeypatch.setattr("pybal.net.epoll._MOST_NEW", 10)
    watched = [stage.watched(READABLE | select.EPOLLET) for _ in range(40)]
    for _, far in watched:
        far.send(b"x")
    last = watched[-1][0]
    stage.epoll.catch_up(last)
    assert sum(len(watcher.told) for watcher, _ in watched) == 1
    stage.epoll.catch_up(last)
    assert last.told == [READABLE]
    for _ in range(10):
        stage.reactor.advance(0)
    assert all(watcher.told == [READABLE] for watcher, _ in watched)


def test_of_those_that_are_told_again_and_again_each_is_looked_at_once_for_all_that_time_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybal.net.epoll._MOST_NEW", 10)
    watched = [stage.watched(READABLE) for _ in range(40)]
    for _, far in watched[1:]:
        far.send(b"x")
    look, looks = stage.epoll._look, 0

    def look_for_long(epoll: select.epoll, now_s: float) -> int:
        nonlocal looks
        looks += 1
        assert looks < 10, "it would go on for ever, or begin anew for each"
        stage.reactor.rightNow += 0.01
        return look(epoll, now_s)

    monkeypatch.setattr(stage.epoll, "_look", look_for_long)
    for watcher, _ in watched:
        stage.epoll.catch_up(watcher)
    assert [len(watcher.told) for watcher, _ in watched] == [0, *[1] * 39]
    stage.reactor.rightNow += 0.01
    first, far = watched[0]
    far.send(b"x")
    stage.epoll.catch_up(first)
    assert first.told == [READABLE]


def test_who_waits_for_its_turn_may_be_told_before_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybal.net.epoll._TURN_S", 0.0)
    watched = [stage.watched(READABLE | select.EPOLLET) for _ in range(40)]
    for _, far in watched:
        far.send(b"x")
    stage.epoll.doRead()
    last = watched[-1][0]
    assert not last.told
    stage.epoll.catch_up(last)
    assert last.told == [READABLE]


def test_all_are_told_when_the_reactor_ends(stage: Stage) -> None:
    watcher, _ = stage.watched()
    stage.epoll.connectionLost(Failure(Exception("the end")))
    assert watcher.has_failed and stage.epoll.fileno() == -1


def test_who_is_broken_does_not_wait_for_all_others(stage: Stage) -> None:
    watched = [stage.watched(UNTIL_CONNECTED) for _ in range(200)]
    for watcher, _ in watched:
        watcher.act = partial(stage.reactor.advance, 0.0002)
    _, far = watched[-1]
    far.close()
    stage.epoll.doRead()
    told = [bool(watcher.told) for watcher, _ in watched]
    assert told[-1] and sum(told) < 100
    stage.reactor.advance(0)
    assert all(len(watcher.told) == 1 for watcher, _ in watched)


def test_what_is_left_for_the_next_turn_ends_with_the_reactor(stage: Stage) -> None:
    for watcher, _ in [stage.watched(UNTIL_CONNECTED) for _ in range(100)]:
        watcher.act = partial(stage.reactor.advance, 0.001)
    stage.epoll.doRead()
    assert stage.reactor.getDelayedCalls()
    stage.epoll.connectionLost(Failure(Exception("the end")))
    assert stage.reactor.getDelayedCalls() == []


def ended(stage: Stage, count: int) -> list[socket.socket]:
    """So many whose far ends are closed in the same moment, and who let go of theirs then."""
    watched = [stage.watched(UNTIL_CONNECTED) for _ in range(count)]
    stage.epoll.doRead()
    for watcher, far in watched:

        def let_go(watcher: Watcher = watcher) -> None:
            watcher.is_open = False
            stage.epoll.close(partial(Watcher.close, watcher))

        watcher.act = let_go
        far.close()
    stage.epoll.doRead()
    return [watcher._socket for watcher, _ in watched]


def still_open(sockets: list[socket.socket]) -> int:
    return sum(each.fileno() >= 0 for each in sockets)


def test_what_has_ended_is_closed_at_once_unless_there_are_many(stage: Stage) -> None:
    assert still_open(ended(stage, 10)) == 0


def test_of_many_that_have_ended_each_is_closed_once_there_are_no_longer_many(stage: Stage) -> None:
    first = ended(stage, 60)
    assert still_open(first) == 60
    stage.reactor.advance(CLOSED_AFTER_S / 2)
    second = ended(stage, 60)
    stage.reactor.advance(CLOSED_AFTER_S / 2)
    assert still_open(first) == 60
    stage.reactor.advance(CLOSED_AFTER_S / 2)
    assert still_open(first) == still_open(second) == 0
    assert stage.reactor.getDelayedCalls() == []


def test_however_many_end_without_a_pause_they_are_closed(stage: Stage) -> None:
    first = ended(stage, 20)
    for _ in range(round(CLOSED_WITHIN_S / CLOSED_AFTER_S) * 2):
        assert still_open(first) == 20
        stage.reactor.advance(CLOSED_AFTER_S / 2)
        ended(stage, 20)
    assert still_open(first) == 0


def test_so_many_at_most_wait_to_be_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_TO_CLOSE <= 4096
    monkeypatch.setattr("pybal.net.epoll.MOST_TO_CLOSE", 50)
    assert still_open(ended(stage, 60)) == 50


def test_whoever_needs_descriptors_has_some_closed(stage: Stage) -> None:
    sockets = ended(stage, 40)
    assert stage.epoll.close_some()
    assert still_open(sockets) == 8
    assert stage.epoll.close_some()
    assert still_open(sockets) == 0
    assert not stage.epoll.close_some()


def test_what_waits_to_be_closed_is_closed_as_the_reactor_ends(stage: Stage) -> None:
    sockets = ended(stage, 100)
    stage.epoll.connectionLost(Failure(Exception("the end")))
    assert still_open(sockets) == 0
    assert stage.reactor.getDelayedCalls() == []
