"""A session is recorded over a real connection, the process ends anywhere, the next one goes on."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock

from pybal.bgp.codec import encode
from pybal.bgp.constants import IPV4_UNICAST, CeaseSubcode
from pybal.bgp.descriptor_names import are_of_bgp
from pybal.bgp.kept_session import KeptSession, terms_of
from pybal.bgp.messages import Keepalive, Open, Update
from pybal.bgp.recorder import Recorder, RecordPorts
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from pybal.bgp.takeover import LeftSession, LeftSessions, SessionKeeper
from pybal.daemon.bgp_part import BGPPart
from pybal.handover.format import (
    HEAD_AT,
    Entry,
    HandoverError,
    Kind,
    area_at,
    mark_at,
    received_at,
)
from pybal.handover.memory import RecordMemory
from tests.bgp.peeringcase import RESTART
from tests.bgp.test_rib import CAPABILITIES, LOCAL, V4, hosts4
from tests.fakes.handover import Log, Store

PEER = PeerSettings(ip_address("127.0.0.1"), asn=64513)
SPEAKER = SpeakerSettings(64512, IPv4Address("10.0.0.1"), (PEER,), ())
THEIRS = Open(64513, 90, IPv4Address("10.0.0.2"), replace(CAPABILITIES, four_octet_asn=64513))
PLACE = "this boot"


class Rig:
    """Our end of a connection, which is recorded, and the peer's."""

    def __init__(self, slack_bytes: int = 1024 * 1024) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.ours = socket.create_connection(server.getsockname())
            self.peer, _ = server.accept()
        self.ours.setblocking(False)
        self.peer.settimeout(5)
        self.store, self.log, self.clock = Store(), Log(), Clock()
        self.ports = RecordPorts(
            store=self.store, clock=self.clock, place=PLACE, log=self.log, slack_bytes=slack_bytes
        )
        self.recorder = Recorder(self.ports, self.ours)
        self.stream = b""

    def say(self, *messages: Any, take: int | None = None) -> None:
        """Record them, then give the kernel as much of them as `take`."""
        data = b"".join(map(encode, messages))
        self.recorder.sent(data)
        self.stream += data
        self.ours.send(data[:take])

    def establish(self, ours: Open = LOCAL, theirs: Open = THEIRS) -> None:
        self.say(ours, Keepalive())
        place, cookie = self.recorder.identify()
        kept = KeptSession(
            place, cookie, "127.0.0.1", True, terms_of(SPEAKER, PEER), ours, theirs, 0.0, 0.0
        )
        self.recorder.establish(f"bgp.{cookie:x}", kept, b"", self.told_again)

    def told_again(self) -> Iterator[Entry]:
        yield Entry(Kind.TOLD, encode(ROUTE))

    def keeper(self) -> SessionKeeper:
        ports = RecordPorts(store=self.store, clock=self.clock, place=PLACE, log=self.log)
        return SessionKeeper(ports, self.store.left(), self.log)

    def left(self) -> LeftSession:
        [left] = self.keeper().take_left()
        return left

    def close(self) -> None:
        self.ours.close()
        self.peer.close()
        for name in tuple(self.store.kept):
            self.store.forget(name)


ROUTE = Update(
    attributes=V4.attributes, next_hop=IPv4Address("10.0.0.1"), prefixes=tuple(hosts4(2))
)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def all_of(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += peer.recv(size - len(data))
    return data


@pytest.mark.parametrize("seed", range(30))
def test_wherever_it_ends_the_peer_gets_each_byte_once(rig: Rig, seed: int) -> None:
    chance = random.Random(seed)
    rig.establish()
    for _ in range(chance.randrange(5)):
        rig.say(ROUTE, Keepalive())
    rig.say(ROUTE, take=chance.randrange(len(encode(ROUTE)) + 1))
    rig.ours.close()  # as a process that is killed; the store has the connection still

    left = rig.left()
    taken = left.take(SPEAKER, PEER)
    left.connection.send(taken.replayed.pending)
    assert all_of(rig.peer, len(rig.stream)) == rig.stream
    assert taken.replayed.routes == dict.fromkeys(hosts4(2), V4)
    left.connection.close()


@pytest.mark.parametrize("wait", [0, 5])
def test_what_was_read_and_not_understood_is_kept(rig: Rig, wait: int) -> None:
    rig.establish()
    data = encode(Keepalive()) * 3
    rig.peer.send(data[: -wait or None])
    got = rig.ours.recv(1000)
    rig.clock.advance(7)
    rig.recorder.received(len(got), got)
    rest = got[38:]
    rig.recorder.understood(rest)
    rig.peer.send(data[len(data) - wait :] if wait else b"")
    left = rig.left()
    taken = left.take(SPEAKER, PEER)
    assert taken.received.rest == rest
    assert taken.received.at == 7
    left.connection.close()


def test_what_was_read_and_is_not_known_ends_the_session_with_a_word(rig: Rig) -> None:
    rig.establish()
    rig.say(Keepalive(), take=3)
    rig.peer.send(encode(Keepalive()))
    rig.ours.recv(5)
    left = LeftSessions(rig.keeper(), SPEAKER, rig.log)
    assert left.take(PEER) is None
    assert "something was read that is not known" in rig.log.lines[-1]
    said = all_of(rig.peer, len(rig.stream) + 21)
    assert said[: len(rig.stream)] == rig.stream, "what was half written is completed"
    assert said[-2:] == bytes((6, CeaseSubcode.ADMINISTRATIVE_RESET))
    assert rig.peer.recv(1) == b""
    assert rig.store.kept == {}


def test_what_was_written_and_is_not_known_ends_it_without_one(rig: Rig) -> None:
    rig.establish()
    rig.ours.send(b"?")
    left = LeftSessions(rig.keeper(), SPEAKER, rig.log)
    assert left.take(PEER) is None
    assert all_of(rig.peer, len(rig.stream) + 1) == rig.stream + b"?"
    assert rig.peer.recv(1) == b""


def damage(chance: random.Random, descriptor: int) -> None:
    """Some of it anywhere; or an entry that is whole, and nonsense."""
    if chance.random() < 0.5:
        written = [HEAD_AT, received_at(0), received_at(1), mark_at(0), mark_at(1), area_at(1)]
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice(written) + chance.randrange(400)
            os.pwrite(descriptor, chance.randbytes(chance.randrange(1, 5)), at)
        return
    memory = RecordMemory(os.dup(descriptor))
    with contextlib.suppress(HandoverError):
        memory.read()
        for _ in range(chance.randrange(1, 4)):
            good = [b"", chance.randbytes(30), encode(Keepalive()), encode(ROUTE)]
            said = bytearray(chance.choice(good))
            if said and chance.random() < 0.7:
                said[chance.randrange(len(said))] ^= 1 << chance.randrange(8)
            memory.append(chance.choice(list(Kind)), bytes(said))
    memory.close()


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_record_is_gone_on_with_or_ended_and_never_keeps_a_process_from_starting(
    rig: Rig, seed: int
) -> None:
    chance = random.Random(seed)
    rig.establish()
    rig.say(ROUTE)
    rig.recorder.received(0, b"")
    for descriptors in rig.store.kept.values():
        damage(chance, descriptors[1])
    left = LeftSessions(rig.keeper(), SPEAKER, rig.log)
    taken = left.take(PEER)
    left.close()
    assert (taken is None) is bool(rig.log.lines)
    assert not any(line.startswith("failure") for line in rig.log.lines), rig.log.lines
    if taken is not None:
        taken.left.connection.close()
    else:
        assert rig.store.kept == {}


@pytest.mark.parametrize("what", ["decode_session", "replay"])
def test_even_what_nobody_has_thought_of_keeps_no_process_from_starting(
    rig: Rig, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    rig.establish()
    monkeypatch.setattr(f"pybal.bgp.takeover.{what}", broken)
    assert LeftSessions(rig.keeper(), SPEAKER, rig.log).take(PEER) is None
    assert rig.log.lines[0].startswith("failure")
    assert rig.store.kept == {}


def test_a_peer_that_is_not_configured_any_more_is_told_so(rig: Rig) -> None:
    rig.establish()
    left = LeftSessions(rig.keeper(), SPEAKER, rig.log)
    left.close()
    assert rig.peer.recv(4096)[-2:] == bytes((6, CeaseSubcode.PEER_DECONFIGURED))


def restarting(survives: bool) -> tuple[Open, Open]:
    """What both say who speak graceful restart; `survives`: the peer also after a NOTIFICATION."""
    ours = replace(CAPABILITIES, graceful_restart=RESTART)
    theirs = replace(ours, graceful_restart=replace(RESTART, notification=survives))
    return (
        replace(LOCAL, capabilities=ours),
        replace(THEIRS, capabilities=replace(theirs, four_octet_asn=64513)),
    )


@pytest.mark.parametrize(
    ("survives", "said"), [(True, bytes((6, 9, 6, 3))), (False, bytes((6, 3)))]
)
def test_a_peer_that_would_keep_the_routes_after_a_plain_word_gets_a_hard_reset(
    rig: Rig, survives: bool, said: bytes
) -> None:
    """RFC 8538 section 5.1."""
    rig.establish(*restarting(survives))
    LeftSessions(rig.keeper(), SPEAKER, rig.log).close()
    assert rig.peer.recv(4096)[len(rig.stream) + 19 :] == said


@pytest.mark.parametrize(("restarts", "said"), [(True, b""), (False, bytes((6, 4)))])
def test_a_session_that_cannot_go_on_ends_without_a_word_where_the_peer_keeps_the_routes(
    rig: Rig, restarts: bool, said: bytes
) -> None:
    """RFC 4724 section 4.2."""
    rig.establish(*(restarting(survives=True) if restarts else ()))
    sessions = LeftSessions(rig.keeper(), SPEAKER, rig.log)
    taken = sessions.take(PEER)
    assert taken is not None
    sessions.give_up(taken, "its record cannot be kept")
    assert rig.peer.recv(4096)[len(rig.stream) + 19 :] == said


def test_with_bgp_switched_off_the_peer_is_told_so(rig: Rig) -> None:
    rig.establish()
    rig.keeper().end_left()
    assert rig.peer.recv(4096)[-2:] == bytes((6, CeaseSubcode.PEER_DECONFIGURED))
    assert rig.store.kept == {}


@pytest.mark.parametrize(
    "settings",
    [SimpleNamespace(advertised_addresses=()), None],
    ids=["dry run", "BGP is off"],
)
def test_who_speaks_no_bgp_leaves_no_peer_waiting_for_somebody_who_reads(
    rig: Rig, settings: Any
) -> None:
    rig.establish()
    left = rig.store.left()
    outside: Any = SimpleNamespace(records=SessionKeeper(None, left, rig.log))
    ports: Any = SimpleNamespace(
        bgp_left=are_of_bgp(left), new_bgp=lambda: outside, state_writing=None
    )
    others: Any = SimpleNamespace(start=lambda _: None, route=None)
    part = BGPPart(ports, others, None, silent=True, history=others)
    part.start(settings, restarting=False)
    all_of(rig.peer, len(rig.stream))
    assert rig.peer.recv(1) == b""


def test_without_bgp_and_where_none_was_left_nothing_of_it_is_made() -> None:
    def new_bgp() -> Any:
        raise AssertionError

    ports: Any = SimpleNamespace(
        bgp_left=are_of_bgp(["lock", "listen.1"]), new_bgp=new_bgp, state_writing=None
    )
    others: Any = SimpleNamespace()
    BGPPart(ports, others, None, silent=False, history=others).start(None, restarting=False)


def test_another_places_session_is_dropped(rig: Rig) -> None:
    rig.establish()
    ports = rig.ports._replace(place="another boot")
    assert list(SessionKeeper(ports, rig.store.left(), rig.log).take_left()) == []
    assert "another boot" in rig.log.lines[-1]
    assert rig.store.kept == {}
    all_of(rig.peer, len(rig.stream))
    assert rig.peer.recv(1) == b""


def test_without_handover_what_was_left_is_dropped_and_nothing_is_kept(rig: Rig) -> None:
    rig.establish()
    keeper = SessionKeeper(rig.ports, rig.store.left(), rig.log, wanted=False)
    assert list(keeper.take_left()) == []
    assert rig.store.kept == {}
    assert keeper.open(object()) is None


@pytest.mark.parametrize("lost", [0, 1])
def test_half_of_what_belongs_together_is_dropped(rig: Rig, lost: int) -> None:
    rig.establish()
    [own] = rig.store.kept.values()
    os.close(own.pop(lost))
    assert list(rig.keeper().take_left()) == []


def test_a_record_of_another_connection_is_dropped(rig: Rig) -> None:
    other = Rig()
    rig.establish()
    other.establish()
    [one], [two] = rig.store.kept, other.store.kept
    rig.store.kept[one][0], other.store.kept[two][0] = (
        other.store.kept[two][0],
        rig.store.kept[one][0],
    )
    assert list(rig.keeper().take_left()) == []
    assert "another connection's" in rig.log.lines[-1]
    other.close()


def test_a_session_that_has_ended_is_forgotten(rig: Rig) -> None:
    rig.establish()
    assert rig.recorder.is_kept
    left = rig.store.left()
    rig.recorder.end()
    rig.recorder.end()
    assert rig.store.kept == {}
    # Even if the manager should not have heard of it.
    [ended] = SessionKeeper(rig.ports, left, rig.log).take_left()
    with pytest.raises(HandoverError, match="ended"):
        ended.take(SPEAKER, PEER)
    ended.connection.close()


def test_a_session_goes_on_though_it_cannot_be_kept(rig: Rig) -> None:
    rig.store.works = False
    rig.establish()
    assert not rig.recorder.is_kept
    assert "nobody keeps it" in rig.log.lines[-1]
    rig.say(Keepalive())
    rig.recorder.received(0, b"")
    rig.recorder.understood(b"?")
    rig.recorder.asked(IPV4_UNICAST)
    rig.recorder.end()
    assert rig.store.kept == {}


def test_a_long_journal_begins_anew_and_says_the_same() -> None:
    rig = Rig(slack_bytes=2000)
    rig.establish()
    rig.recorder.asked(IPV4_UNICAST)
    sizes = []
    for _ in range(200):
        rig.say(ROUTE)
        with contextlib.suppress(BlockingIOError):
            rig.peer.recv(4096, socket.MSG_DONTWAIT)
        sizes.append(rig.recorder._memory.written_bytes)  # type: ignore[union-attr]
    assert max(sizes) < 8000
    rig.say(ROUTE, take=7)
    left = rig.left()
    taken = left.take(SPEAKER, PEER)
    assert taken.replayed.pending == encode(ROUTE)[7:]
    assert taken.replayed.asked == {IPV4_UNICAST}
    assert set(taken.replayed.routes) == set(hosts4(2))
    left.connection.close()
    rig.close()


def test_of_two_sessions_with_one_peer_the_newer_one_goes_on(rig: Rig) -> None:
    rig.establish()
    other = Rig()
    other.store = rig.store
    other.ports = other.ports._replace(store=rig.store)
    other.recorder = Recorder(other.ports, other.ours)
    other.establish()
    assert len(rig.store.kept) == 2
    left = LeftSessions(rig.keeper(), SPEAKER, rig.log)
    assert len(left.addresses) == 1
    taken = left.take(PEER)
    assert taken is not None
    taken.left.connection.close()
    other.close()
