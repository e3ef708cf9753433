"""Two ends that authenticate their packets (RFC 5880 section 6.7), over a restart too."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybal.announce.bfd_numbers import BFDNumbers
from pybal.bgp.bfd.auth import AuthState, AuthType, sign, verify
from pybal.bgp.bfd.packet import (
    BFDPacketError,
    ControlPacket,
    decode_packet,
    encode_packet,
)
from pybal.bgp.bfd.peers import BFD
from pybal.bgp.settings import BFDAuthSettings, BFDSettings
from tests.bgp.bfd.test_bfd import (
    DOWN,
    GOOD,
    SETTINGS,
    UP,
    A,
    B,
    Joined,
)

KEY = b"a-secret"
KINDS = tuple(AuthType)


def with_auth(kind: AuthType, key: bytes = KEY, key_id: int = 7) -> BFDSettings:
    return replace(SETTINGS, auth=BFDAuthSettings(kind.name, key_id, key))


@pytest.mark.parametrize("kind", KINDS)
def test_two_ends_with_the_same_key_come_up_and_stay_up(kind: AuthType) -> None:
    joined = Joined(with_auth(kind), with_auth(kind))
    joined.wait(5)
    assert [up for _, up in joined.told[A] + joined.told[B]] == [True, True]
    for end in joined.detectors.values():
        assert end.session.state is UP


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", ["key", "key ID", "type", "none"])
def test_ends_that_differ_never_come_up(kind: AuthType, other: str) -> None:
    there = {
        "key": with_auth(kind, b"another"),
        "key ID": with_auth(kind, key_id=8),
        "type": with_auth(AuthType(kind % 5 + 1)),
        "none": SETTINGS,
    }[other]
    joined = Joined(with_auth(kind), there)
    joined.wait(3)
    assert joined.told == {A: [], B: []}
    assert [end.session.state for end in joined.detectors.values()] == [DOWN, DOWN]


@pytest.mark.parametrize("kind", KINDS)
def test_a_packet_that_was_changed_on_the_way_is_discarded(kind: AuthType) -> None:
    settings = BFDAuthSettings(kind.name, 7, KEY)
    data, _ = sign(GOOD, settings, AuthState(sent=41))
    assert data[3] == len(data)
    assert decode_packet(data).authenticated
    state = verify(data, settings, AuthState(sent=0), 3, 0.0)
    if kind is AuthType.SIMPLE:
        return  # it protects nothing but itself
    assert state.received == 42
    for index in range(len(data)):
        changed = data[:index] + bytes((data[index] ^ 1,)) + data[index + 1 :]
        with pytest.raises(BFDPacketError):
            verify(changed, settings, AuthState(sent=0), 3, 0.0)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_sequence_numbers_have_a_window(kind: AuthType) -> None:
    settings = BFDAuthSettings(kind.name, 7, KEY)

    def taken(number: int, last: int | None) -> bool:
        data, _ = sign(GOOD, settings, AuthState(sent=(number - 1) % 2**32))
        try:
            verify(data, settings, AuthState(sent=0, received=last), 3, 0.0)
        except BFDPacketError:
            return False
        return True

    assert taken(5, None)
    assert taken(100, 100) is not kind.meticulous  # a packet that is played again
    assert [number for number in range(90, 120) if taken(number, 100)][-1] == 109
    assert not taken(99, 100)
    assert taken(2, 2**32 - 1), "it goes around"


def test_a_meticulous_number_grows_with_each_packet_another_with_what_is_said() -> None:
    def numbers(kind: AuthType) -> list[int]:
        settings, state = BFDAuthSettings(kind.name, 7, KEY), AuthState(sent=0)
        found = []
        for data in (GOOD, GOOD, UP_PACKET, UP_PACKET):
            _, state = sign(data, settings, state)
            found.append(state.sent)
        return found

    assert numbers(AuthType.METICULOUS_KEYED_SHA1) == [1, 2, 3, 4]
    assert numbers(AuthType.KEYED_SHA1) == [1, 1, 2, 2]


UP_PACKET = encode_packet(ControlPacket(UP, 0, 3, 7, 9, 300000, 300000))


def test_after_a_silence_of_twice_the_detection_time_any_number_will_do() -> None:
    settings = with_auth(AuthType.METICULOUS_KEYED_MD5)
    joined = Joined(settings, settings)
    joined.wait(3)
    joined.ends[B].stop()
    joined.wait(0.1)
    joined.wait(2 * joined.detectors[A].session.detection_time_s)
    host = joined.network.at(B)
    again = BFD(host, joined.clock, Random(77), Logger())
    detector = again.watch(A, None, settings, lambda up: None)
    joined.wait(3)
    assert detector.session.state is UP


@given(st.binary(min_size=24, max_size=60))
def test_any_section_ends_in_a_state_or_a_declared_error(data: bytes) -> None:
    for kind in KINDS:
        with contextlib.suppress(BFDPacketError):
            verify(data, BFDAuthSettings(kind.name, 7, KEY), AuthState(sent=0), 3, 0.0)


class KeptNumbers:
    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def take(self) -> dict[str, int]:
        found, self.numbers = self.numbers, {}
        return found

    def keep(self, numbers: Mapping[str, int]) -> None:
        self.numbers = dict(numbers)


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_life_goes_on_with_the_numbers_of_the_last(kind: AuthType) -> None:
    settings, kept = with_auth(kind), KeptNumbers()
    joined = Joined(settings, settings)
    joined.ends[A]._numbers = kept
    joined.wait(3)
    resting = Deferred.fromCoroutine(joined.ends[A].rest({B: 60.0}))
    joined.wait(1)
    assert resting.called
    joined.ends[A].stop()
    assert bool(kept.numbers) is (kind is not AuthType.SIMPLE)
    joined.wait(2)
    again = BFD(joined.network.at(A), joined.clock, Random(99), Logger(), kept)
    seen: list[bool] = []
    again.watch(B, None, settings, seen.append, restarting=True)
    joined.wait(3)
    assert seen == [True]
    assert [up for _, up in joined.told[B]] == [True], "the peer has noticed nothing"
    assert kept.numbers == {}, "they count once"


def test_without_a_place_for_the_numbers_the_peer_is_not_to_wait() -> None:
    settings = with_auth(AuthType.KEYED_SHA1)
    joined = Joined(settings, settings)
    joined.wait(3)
    resting = Deferred.fromCoroutine(joined.ends[A].rest({B: 60.0}))
    assert resting.called
    assert joined.detectors[A].session.resting_us == 0


def test_numbers_are_kept_in_the_state_directory_for_one_start(tmp_path: Path) -> None:
    kept = BFDNumbers(tmp_path, Logger())
    assert kept.take() == {}
    kept.keep({"10.0.0.1": 7, "fe80::1%eth0": 2**32 - 1})
    assert BFDNumbers(tmp_path, Logger()).take() == {"10.0.0.1": 7, "fe80::1%eth0": 2**32 - 1}
    assert kept.take() == {}
    (tmp_path / "bfd.json").write_text("no")
    assert kept.take() == {}
