"""What monitors know outlives the process, and so do the connections that they keep open."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from pybal.handover.format import HandoverError
from pybal.handover.legacy import Legacy
from pybal.handover.table import (
    EMPTY_SLOT,
    decode_alive,
    decode_slot,
    encode_alive,
    encode_slot,
)
from pybal.model import CheckResult
from pybal.monitors.former import Former, decode_former, encode_former, key_of
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.memory import STALE_S, TAKEN_WITHIN_S, MonitorMemory
from tests.fakes.handover import Log, Store

UP = Former(True, 100.5, CheckResult(True, "connected", 0.25, 101.0), 3, 77, 12.5)


class Server:
    """Takes connections, and counts them."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.accepted: list[socket.socket] = []

    def connect(self) -> socket.socket:
        made = socket.create_connection(self.socket.getsockname())
        made.setblocking(False)
        end, _ = self.socket.accept()
        end.settimeout(5)
        self.accepted.append(end)
        return made

    def close(self) -> None:
        for each in (self.socket, *self.accepted):
            each.close()


class Rig:
    def __init__(self) -> None:
        self.store, self.log, self.clock, self.server = Store(), Log(), Clock(), Server()
        self.threads: list[Callable[[], None]] = []

    def life(self, **own: Any) -> MonitorMemory:
        legacy = Legacy(self.store, "here", self.store.left())._replace(**own)
        made = MonitorMemory(legacy, self.clock, self.log, self.threads.append)
        made.start()
        return made

    def kept_connection(self, memory: MonitorMemory, key: str = "a") -> socket.socket:
        connection = self.server.connect()
        number = memory.opened(connection)
        memory.write(None, key, UP._replace(connection=number))
        self.clock.advance(0.1)
        return connection

    def close(self) -> None:
        for thread in self.threads:
            thread()
        for name in tuple(self.store.kept):
            self.store.forget(name)
        self.server.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def is_open(end: socket.socket) -> bool:
    end.setblocking(False)
    try:
        return bool(end.recv(1))
    except BlockingIOError:
        return True


def test_the_next_process_knows_what_was_known_and_has_the_connection(rig: Rig) -> None:
    connection = rig.kept_connection(rig.life())
    name = connection.getsockname()
    connection.close()  # as a process that is killed
    again = rig.life()
    former = again.former("a")
    assert former is not None
    assert former._replace(connection=77) == UP
    taken = again.connection(former)
    assert taken is not None
    assert taken.getsockname() == name
    assert is_open(rig.server.accepted[0])
    assert again.former("a") is None
    taken.close()


def test_thousands_of_connections_go_on(rig: Rig) -> None:
    memory = rig.life()
    open_ones = [rig.kept_connection(memory, f"{n}") for n in range(600)]
    assert len([name for name in rig.store.kept if name.startswith("connections.")]) == 1
    for each in open_ones:
        each.close()
    again = rig.life()
    formers = [again.former(f"{n}") for n in range(600)]
    taken = [again.connection(former) for former in formers if former is not None]
    assert sum(one is not None for one in taken) == 600
    assert len(rig.store.kept) == 3, "both tables, until all is settled, and one bag"
    for one in taken:
        assert one is not None
        one.close()


def test_a_connection_that_a_monitor_closes_is_closed_for_all(rig: Rig) -> None:
    memory = rig.life()
    connection = rig.server.connect()
    number = memory.opened(connection)
    rig.clock.advance(0.1)
    memory.closing(number)
    connection.close()
    assert rig.server.accepted[0].recv(1) == b""


def test_a_bag_with_more_dead_than_living_is_thrown_away(
    rig: Rig, descriptors: Callable[[], int]
) -> None:
    memory = rig.life()
    for _ in range(200):
        connection = rig.server.connect()
        memory.closing(memory.opened(connection))
        connection.close()
        rig.clock.advance(0.1)
    kept = rig.kept_connection(memory)
    [bag] = [name for name in rig.store.kept if name.startswith("connections.")]
    assert len(rig.threads) == int(bag.rpartition(".")[2]) - 1 > 0
    before = descriptors()
    for thread in rig.threads:
        thread()
    assert descriptors() == before - 2 * len(rig.threads), "they were closed in the threads"
    kept.close()
    again = rig.life()
    former = again.former("a")
    assert former is not None
    taken = again.connection(former)
    assert taken is not None
    taken.close()


def test_leaving_closes_nothing_and_an_end_everything(rig: Rig) -> None:
    memory = rig.life()
    connection = rig.server.connect()
    number = memory.opened(connection)
    slot = memory.write(None, "a", UP._replace(connection=number))
    memory.leave()
    memory.free(slot)
    memory.closing(number)
    memory.end()
    connection.close()
    assert is_open(rig.server.accepted[0])
    assert rig.clock.getDelayedCalls() == []
    again = rig.life()
    former = again.former("a")
    assert former is not None
    again.end()
    assert rig.store.kept.keys() <= {name for name in rig.store.kept if "monitors" in name}
    assert rig.server.accepted[0].recv(1) == b""


def test_what_nobody_asks_for_is_closed_after_a_while(rig: Rig) -> None:
    rig.kept_connection(rig.life()).close()
    again = rig.life()
    rig.clock.pump([1.0] * (round(TAKEN_WITHIN_S) - 1))
    assert is_open(rig.server.accepted[0])
    rig.clock.pump([1.0] * 2)
    rig.server.accepted[0].settimeout(5)
    assert rig.server.accepted[0].recv(1) == b""
    assert again.former("a") is None
    assert len(rig.store.kept) == 2


@pytest.mark.parametrize("why", ["place", "age", "size", "head"])
def test_states_that_cannot_be_trusted_are_not_used(rig: Rig, why: str) -> None:
    rig.kept_connection(rig.life()).close()
    [table] = [own[0] for name, own in rig.store.kept.items() if name.startswith("monitors.")]
    if why == "age":
        rig.clock.rightNow += STALE_S + 10
    elif why == "size":
        os.ftruncate(table, 4096)
    elif why == "head":
        os.pwrite(table, b"?", 21)
    again = rig.life(place="elsewhere" if why == "place" else "here")
    assert again.former("a") is None
    assert "not used" in rig.log.lines[-1]


def test_without_handover_all_that_was_left_is_closed(rig: Rig) -> None:
    rig.kept_connection(rig.life()).close()
    again = rig.life(wanted=False)
    assert rig.store.kept == {}
    assert again.former("a") is None
    assert rig.server.accepted[0].recv(1) == b""
    assert again.opened(rig.server.connect()) == 0


def test_a_store_that_does_not_work_changes_nothing(rig: Rig) -> None:
    rig.store.works = False
    memory = rig.life()
    assert "not kept" in rig.log.lines[-1]
    assert memory.opened(rig.server.connect()) == 0
    assert memory.write(None, "a", UP) is None
    memory.leave()
    memory.end()


def test_a_state_is_written_over_in_its_place_and_freed(rig: Rig) -> None:
    memory = rig.life()
    slot = memory.write(None, "a", UP)
    assert memory.write(slot, "a", UP._replace(up=False)) == slot
    memory.free(memory.write(None, "b", UP))
    again = rig.life()
    former = again.former("a")
    assert former is not None
    assert not former.up
    assert again.former("b") is None


# -- pure -------------------------------------------------------------------------------------

FORMERS = st.builds(
    Former,
    st.booleans(),
    st.floats(0, 1e10),
    st.builds(
        CheckResult, st.booleans(), st.text(max_size=300), st.floats(0, 1e6), st.floats(0, 1e10)
    ),
    st.integers(0, 10**9),
    st.integers(0, 2**64 - 1),
    st.floats(0, 1e9),
)


@given(FORMERS)
def test_a_state_is_read_as_it_was_written_but_for_a_long_or_odd_reason(former: Former) -> None:
    state = decode_slot(encode_slot(encode_former("k" * 32, former)) + bytes(10))
    assert state is not None
    key, found = decode_former(state)
    assert key == "k" * 32
    reason = "".join(c if " " <= c <= "~" else "?" for c in former.last.reason[:200])
    assert found == former._replace(last=replace(former.last, reason=reason))


@given(FORMERS, st.integers(0, 2000), st.integers(1, 255))
def test_a_damaged_state_is_none(former: Former, at: int, change: int) -> None:
    slot = bytearray(encode_slot(encode_former("key", former)))
    at %= len(slot)
    slot[at] ^= change
    assert decode_slot(bytes(slot)) is None
    assert decode_slot(bytes(slot[:at])) is None


def test_an_empty_place_and_a_large_state_are_none() -> None:
    assert decode_slot(EMPTY_SLOT) is None
    assert decode_slot(bytes(1024)) is None
    with pytest.raises(HandoverError):
        encode_slot(bytes(1025))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_state_or_refused(data: bytes) -> None:
    with pytest.raises(HandoverError):
        decode_former(data)


@given(st.floats(0, 1e9), st.integers(0, 11), st.integers(1, 255))
def test_a_sign_of_life_is_whole_or_none(at: float, where: int, change: int) -> None:
    sign = bytearray(encode_alive(at))
    assert decode_alive(bytes(sign)) == at
    sign[where] ^= change
    with pytest.raises(HandoverError):
        decode_alive(bytes(sign))


def test_a_monitor_with_other_settings_or_of_another_server_is_another_one() -> None:
    settings = IdleConnectionSettings()
    here = key_of("web", "a", ip_address("10.0.0.1"), 80, settings)
    assert here == key_of("web", "a", ip_address("10.0.0.1"), 80, IdleConnectionSettings())
    others = {
        key_of("web", "a", ip_address("10.0.0.1"), 80, replace(settings, rise=2)),
        key_of("web", "a", ip_address("10.0.0.2"), 80, settings),
        key_of("web", "a", ip_address("10.0.0.1"), 81, settings),
        key_of("web", "b", ip_address("10.0.0.1"), 80, settings),
        key_of("dns", "a", ip_address("10.0.0.1"), 80, settings),
    }
    assert len(others | {here}) == 6


def test_a_monitors_name_and_state_are_what_another_version_wrote() -> None:
    """An upgrade takes over what the old version left; what a later version has more is no
    other monitor as long as nobody sets it."""
    settings = IdleConnectionSettings(max_delay_s=30.0, rise=2)
    said = "web\na\n10.0.0.1\n80\nIdleConnection\nmax_delay_s=30.0\nrise=2"
    assert (
        key_of("web", "a", ip_address("10.0.0.1"), 80, settings)
        == sha256(said.encode()).hexdigest()[:32]
    )
    written = b'[1,"k",true,100.5,true,"connected",0.25,101.0,3,77,12.5]'
    assert encode_former("k", UP) == written
    assert decode_former(written) == ("k", UP)
    with pytest.raises(HandoverError, match="version 2"):
        decode_former(written.replace(b"[1,", b"[2,"))


def test_of_two_lives_within_a_minute_the_last_one_is_believed(rig: Rig) -> None:
    rig.life().write(None, "a", UP)
    rig.clock.advance(5)
    again = rig.life()
    again.former("a")
    down = UP._replace(up=False, last=CheckResult(False, "refused", 0.1, 106.0))
    again.write(None, "a", down)
    rig.clock.advance(5)
    # systemd hands out the newest first.
    rig.store.kept = dict(reversed(rig.store.kept.items()))
    former = rig.life().former("a")
    assert former is not None
    assert not former.up


@pytest.mark.slow
def test_many_crashes_within_a_minute_do_not_fill_the_store(rig: Rig) -> None:
    rig.life().write(None, "a", UP)
    for life in range(30):
        rig.clock.advance(0.5)
        memory = rig.life()
        assert memory.former("a") == UP
        if life % 2:
            memory.write(None, "a", UP)
        assert len([name for name in rig.store.kept if name.startswith("monitors.")]) <= 5


def test_a_table_that_is_of_no_use_leaves_the_store_at_once(rig: Rig) -> None:
    former = rig.life()
    former.write(None, "a", UP)
    name = next(name for name in rig.store.kept if name.startswith("monitors."))
    os.pwrite(rig.store.kept[name][0], b"nonsense", 0)
    rig.clock.advance(1)
    assert rig.life().former("a") is None
    assert name not in rig.store.kept


@pytest.mark.parametrize(
    "letter", ["\x00", "\x1b", "\x7f", "\\", '"', "\u00e9", "\U0001f600", "\ud800"]
)
def test_whatever_a_server_says_has_room(rig: Rig, letter: str) -> None:
    memory = rig.life()
    said = UP._replace(last=CheckResult(False, letter * 5000, 0.25, 101.0))
    memory.write(None, "a", UP)
    memory.write(None, "b" * 32, said)
    again = rig.life()
    assert again.former("a") == UP
    found = again.former("b" * 32)
    assert found is not None
    assert len(found.last.reason) == 200


def test_a_state_without_room_is_the_only_one_that_is_lost(rig: Rig) -> None:
    memory = rig.life()
    memory.write(None, "a", UP)
    memory.write(None, "b" * 2000, UP)
    again = rig.life()
    assert again.former("a") == UP
    assert again.former("b" * 2000) is None
