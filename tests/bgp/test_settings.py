"""What the speaker's settings say without being told, and what they never say."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from pybal.announce.settings import failover_settings
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.settings import (
    MAX_PASSWORD_BYTES,
    BFDAuthSettings,
    BFDSettings,
    FailoverSettings,
    InterfacePeer,
    PeerGroup,
    PeerSettings,
    SpeakerSettings,
)
from pybal.config.settings import BGPPeer, BGPPeerOptions, BGPSettings

PEER = PeerSettings(IPv4Address("192.0.2.9"))
HEARD = PeerSettings(IPv4Address("192.0.2.8"), imports=True)
LOCAL = IPv4Address("192.0.2.1")


def test_secrets_are_not_shown() -> None:
    peer = PeerSettings(
        LOCAL, password=b"secret", bfd=BFDSettings(auth=BFDAuthSettings("SIMPLE", 1, b"hidden"))
    )
    assert "secret" not in repr(peer)
    assert "hidden" not in repr(peer)


def test_the_kernel_takes_passwords_of_80_bytes() -> None:
    # linux/tcp.h: TCP_MD5SIG_MAXKEYLEN.
    assert MAX_PASSWORD_BYTES == 80


def test_what_is_left_out_is_what_pybal_conf_says_of_it() -> None:
    said = BGPPeerOptions()
    # RFC 5881 section 5: a neighbour's packets have not crossed a router.
    assert BFDSettings() == BFDSettings(
        said.bfd_interval_ms, said.bfd_multiplier, multihop=said.bfd_multihop, min_ttl=255
    )
    assert PeerGroup(IPv4Network("192.0.2.0/24"), PEER).limit == said.limit
    assert (PEER.hold_time_s, PEER.port) == (said.hold_time_s, said.port)
    assert (PEER.fsm.connect_retry_s, PEER.fsm.passive) == (said.connect_retry_s, said.passive)


def test_a_section_that_says_nothing_of_it_is_a_speaker_without_options() -> None:
    given = BGPSettings(64600, (BGPPeer(PEER.address),), (64600,), None, None, 0, (), 179, ())
    found = failover_settings(given, lambda _: None)
    speaker = found.speaker
    assert found == FailoverSettings(speaker, (64600,), local_pref=given.local_pref)
    assert speaker.peers == (PEER,)
    assert speaker == SpeakerSettings(
        64600, speaker.router_id, speaker.peers, speaker.listen_addresses
    )


def test_an_address_is_announced_by_itself_unless_it_is_said_otherwise() -> None:
    assert Advertisement(LOCAL).host


def test_a_peer_is_called_by_its_name_or_else_its_address() -> None:
    assert PEER.label == "192.0.2.9"
    assert PeerSettings(LOCAL, name="eth1").label == "eth1"


@pytest.mark.parametrize(
    ("peers", "groups", "interfaces", "imports"),
    [
        ((PEER,), (PEER,), (PEER,), False),
        ((PEER, HEARD), (), (), True),
        ((), (HEARD,), (PEER,), True),
        ((PEER,), (), (HEARD,), True),
    ],
)
def test_the_speaker_listens_if_it_does_to_any_peer(
    peers: tuple[PeerSettings, ...],
    groups: tuple[PeerSettings, ...],
    interfaces: tuple[PeerSettings, ...],
    imports: bool,
) -> None:
    speaker = SpeakerSettings(
        64600,
        LOCAL,
        peers,
        (),
        groups=tuple(PeerGroup(IPv4Network("198.51.100.0/24"), peer) for peer in groups),
        interfaces=tuple(InterfacePeer("eth1", peer) for peer in interfaces),
    )
    assert speaker.imports is imports
