"""A session of BFD over the end of a process, planned or not: the peer is not to notice."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.bgp.bfd.auth import AuthState, AuthType
from pybal.bgp.bfd.detector import Detector
from pybal.bgp.bfd.kept import (
    KeptBFD,
    decode_kept,
    encode_kept,
    kept,
    resumed,
    resumed_auth,
)
from pybal.bgp.bfd.memory import BFDMemory
from pybal.bgp.bfd.packet import BFDState
from pybal.bgp.bfd.peers import BFD
from pybal.bgp.bfd.session import BFDSession
from pybal.bgp.settings import BFDAuthSettings, BFDSettings
from pybal.handover.format import HandoverError
from tests.bgp.bfd.test_bfd import SETTINGS, UP, A, B, Joined
from tests.fakes.handover import Store

KINDS: list[AuthType | None] = [None, *AuthType]
GAP_S = 0.5
"""Less than the detection time."""


def settings_with(kind: AuthType | None) -> BFDSettings:
    if kind is None:
        return SETTINGS
    return replace(SETTINGS, auth=BFDAuthSettings(kind.name, 7, b"a-secret"))


class Lives:
    """Of end A, one after another; its peer B lives on."""

    def __init__(self, store: Store, settings: BFDSettings = SETTINGS) -> None:
        self.store, self.settings = store, settings
        self.joined = Joined(settings, settings)
        self.joined.ends[A].stop()
        self.joined.wait(3)
        self.joined.told[B].clear()
        self.seen: list[bool] = []
        self.seeds = itertools.count(99)
        self.begin()
        self.joined.wait(5)
        assert self.detector.session.state is UP

    def begin(self, place: str = "here", settings: BFDSettings | None = None) -> None:
        clock = self.joined.clock
        self.memory = BFDMemory(self.store, place, self.store.left(), clock, Logger())
        self.memory.read()
        host = self.joined.network.at(A)
        self.end = BFD(host, clock, Random(next(self.seeds)), Logger(), None, self.memory)
        self.seen = []
        self.detector: Detector = self.end.watch(
            B, None, settings or self.settings, self.seen.append, restarting=True
        )

    def kill(self) -> None:
        """Nothing is said, nothing is written."""
        self.memory.leave()
        self.detector._send = None
        self.detector._disarm()
        self.joined.network.receivers.pop(A, None)

    def peer_noticed(self) -> list[bool]:
        return [up for _, up in self.joined.told[B][1:]]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_after_kill_9_the_next_process_sends_at_once_what_the_peer_expects(
    store: Store, kind: AuthType | None
) -> None:
    lives = Lives(store, settings_with(kind))
    before = lives.detector.session
    for _ in range(3):
        lives.kill()
        lives.joined.wait(GAP_S)
        lives.begin()
        assert lives.detector.session.state is UP
        assert lives.detector.session.my_discriminator == before.my_discriminator
        assert lives.joined.detectors[B].session.detect_at is not None
        lives.joined.wait(5)
    assert lives.peer_noticed() == []
    assert lives.seen == []
    assert not lives.detector.session.polling, "the peer has answered"
    assert len(store.kept) == 1


def test_a_planned_restart_is_gone_on_with_and_a_stop_leaves_nothing(store: Store) -> None:
    lives = Lives(store, settings_with(AuthType.METICULOUS_KEYED_SHA1))
    resting = Deferred.fromCoroutine(lives.end.rest({B: 60.0}))
    lives.joined.wait(1)
    assert resting.called
    lives.end.stop()
    lives.joined.wait(30)
    lives.begin()
    lives.joined.wait(5)
    assert lives.peer_noticed() == []
    assert lives.joined.detectors[B].session.detection_time_s < 2
    lives.end.stop()
    assert store.kept == {}


def test_a_peer_that_has_given_us_up_meanwhile_is_no_failure_and_begins_anew(store: Store) -> None:
    lives = Lives(store)
    lives.kill()
    lives.joined.wait(5)
    assert lives.peer_noticed() == [False]
    lives.begin()
    lives.joined.wait(5)
    assert lives.seen == [True]
    assert lives.peer_noticed() == [False, True]


def test_a_peer_that_is_gone_is_a_failure_soon(store: Store) -> None:
    lives = Lives(store)
    lives.kill()
    lives.joined.ends[B].stop()
    lives.joined.wait(GAP_S)
    lives.begin()
    lives.joined.wait(2.5)
    assert lives.seen == []
    lives.joined.wait(1)
    assert lives.seen == [False]


@pytest.mark.parametrize("what", ["place", "key", "kind", "time"])
def test_of_another_place_key_or_time_nothing_is_used(store: Store, what: str) -> None:
    lives = Lives(store)
    former = lives.detector.session.my_discriminator
    lives.kill()
    lives.joined.wait(61 if what == "time" else GAP_S)
    place = "elsewhere" if what == "place" else "here"
    other = {
        "key": settings_with(AuthType.KEYED_SHA1),
        "kind": replace(SETTINGS, multihop=True),
    }.get(what, SETTINGS)
    lives.begin(place, other)
    assert lives.detector.session.state is BFDState.DOWN
    assert lives.detector.session.my_discriminator != former


def test_who_is_configured_a_minute_later_begins_anew(store: Store) -> None:
    lives = Lives(store)
    lives.kill()
    memories = []
    for _ in range(2):
        memories.append(BFDMemory(store, "here", store.left(), lives.joined.clock, Logger()))
        memories[-1].read()
    assert memories[0].former(str(B)) is not None
    assert memories[0].former(str(B)) is None
    lives.joined.wait(61)
    assert memories[1].former(str(B)) is None


def test_who_keeps_nothing_has_nothing() -> None:
    memory = BFDMemory(None, "", {}, None, Logger())
    memory.read()
    memory.write("10.0.0.1", a_state())
    assert memory.former("10.0.0.1") is None and not memory.keeps
    memory.end()


def test_descriptors_that_are_no_table_are_closed_and_nothing_more(store: Store) -> None:
    junk = os.memfd_create("junk")
    store.kept["bfd.1"] = [junk]
    lives = Lives(store)
    assert lives.detector.session.state is UP
    assert list(store.kept) != ["bfd.1"]


def up_session() -> BFDSession:
    return replace(
        Joined(SETTINGS, SETTINGS).detectors[A].session,
        state=UP,
        remote_state=UP,
        your_discriminator=7,
        remote_detect_multiplier=3,
    )


def a_state(**changes: Any) -> KeptBFD:
    found = kept(up_session(), 50000, AuthState(sent=5, received=6, heard_at=1.5))
    assert found is not None
    return replace(found, **changes)


def test_a_session_survives_its_place_in_the_table() -> None:
    state = a_state()
    assert decode_kept(encode_kept("fe80::1%eth0", state)) == ("fe80::1%eth0", state)
    assert b"a-secret" not in encode_kept("x", a_state())


WRONG: list[Any] = [None, -1, 2**33, "x", 1.5, True, [], float("nan"), float("inf"), {}]


@pytest.mark.parametrize("name", KeptBFD.__slots__)
def test_each_field_is_held_to_its_bounds(name: str) -> None:
    good = getattr(a_state(), name)
    refused = 0
    for value in WRONG:
        if isinstance(value, type(good)) and value == value and name in ("terms", "remote_demand"):
            continue
        try:
            decode_kept(encode_kept("10.0.0.1", a_state(**{name: value})))
        except HandoverError:
            refused += 1
    assert refused >= 8, name


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("port", 1, 65535),
        ("my_discriminator", 1, 2**32 - 1),
        ("your_discriminator", 1, 2**32 - 1),
        ("remote_min_rx_us", 0, 2**32 - 1),
        ("remote_desired_min_tx_us", 0, 2**32 - 1),
        ("remote_detect_multiplier", 1, 255),
        ("sent", 0, 2**32 - 1),
        ("received", 0, 2**32 - 1),
        ("heard_at", 0.0, 2.0**32 - 1),
    ],
)
def test_a_number_is_what_a_packet_can_hold(name: str, least: float, most: float) -> None:
    """RFC 5880 section 4.1; a clock that has run for 136 years is none."""
    for good in (least, most):
        state = a_state(**{name: good})
        assert decode_kept(encode_kept("x", state)) == ("x", state)
    for bad in (least - 1, most + 1):
        with pytest.raises(HandoverError):
            decode_kept(encode_kept("x", a_state(**{name: bad})))


def test_a_session_goes_on_by_a_poll_at_once_and_the_peer_has_time_to_be_heard() -> None:
    now, former = 100.0, a_state(remote_demand=True)
    found = resumed(BFDSession(SETTINGS, 99), former, now, 2.5)
    assert (found.polling, found.transmit_at, found.detect_at) == (True, now, now + 2.5)
    assert kept(found, former.port, resumed_auth(former)) == former
    slow = a_state(remote_desired_min_tx_us=2_000_000)
    # RFC 5880 section 6.8.4: three packets of 2 s.
    assert resumed(BFDSession(SETTINGS, 99), slow, now, 2.5).detect_at == now + 6.0


@pytest.mark.parametrize("said", [b'[2,"x"', b'["1","x"', b"[1,7", b"[1,null"])
def test_what_another_version_wrote_or_names_no_peer_is_refused(said: bytes) -> None:
    written = encode_kept("x", a_state())
    assert written.startswith(b'[1,"x",')
    with pytest.raises(HandoverError, match="another shape"):
        decode_kept(written.replace(b'[1,"x"', said))


def test_only_what_is_up_at_both_ends_is_kept() -> None:
    ours = replace(up_session(), state=BFDState.INIT)
    theirs = replace(up_session(), remote_state=BFDState.INIT)
    assert kept(ours, 50000, AuthState(sent=5)) is kept(theirs, 50000, AuthState(sent=5)) is None


def test_a_session_without_sequence_numbers_is_kept_without_the_time_of_each_packet() -> None:
    assert a_state().heard_at == 1.5
    unnumbered = kept(up_session(), 50000, AuthState(sent=5, heard_at=1.5))
    assert unnumbered is not None
    assert (unnumbered.received, unnumbered.heard_at) == (None, 0.0)
    assert decode_kept(encode_kept("x", unnumbered)) == ("x", unnumbered)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_session_or_a_declared_error(data: bytes) -> None:
    with contextlib.suppress(HandoverError):
        decode_kept(data)


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_json_is_a_session_or_a_declared_error(document: Any) -> None:
    with contextlib.suppress(HandoverError):
        decode_kept(json.dumps(document).encode())
