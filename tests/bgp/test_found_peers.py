"""Peers that the configuration does not name: out of a prefix, and at the other end of a link."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from pybal.bgp.advertisement import Advertisement
from pybal.bgp.constants import AFI_IPV6, IPV4_UNICAST
from pybal.bgp.discovery import advertiser_of
from pybal.bgp.messages import ExtendedNextHop, Keepalive
from pybal.bgp.settings import FailoverSettings, InterfacePeer, PeerGroup, PeerSettings
from tests.bgp.memory import Router
from tests.bgp.peeringcase import (
    CAPABILITIES,
    OPEN,
    THEM,
    US,
    VIP,
    VIP6,
    PeeringCase,
    notifications,
    updates,
)

NETWORK = ip_network("10.0.0.0/24")
GROUP = PeerGroup(NETWORK, PeerSettings(NETWORK.network_address, hold_time_s=90), limit=2)


class FoundCase(PeeringCase):
    def speaking_to(
        self,
        *,
        groups: tuple[PeerGroup, ...] = (),
        interfaces: tuple[InterfacePeer, ...] = (),
    ) -> FailoverSettings:
        settings = self.settings()
        speaker = replace(settings.speaker, peers=(), groups=groups, interfaces=interfaces)
        return replace(settings, speaker=speaker)

    def start_with(self, settings: FailoverSettings) -> None:
        self.bgp = type(self.bgp)(settings, self.ports())
        self.bgp.start()
        self.turn()

    def peers(self) -> dict[str, str]:
        return {peer.address: peer.state for peer in self.bgp.snapshot().peers}


class GroupTest(FoundCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_with(self.speaking_to(groups=(GROUP,)))

    def test_who_connects_out_of_the_prefix_is_told_the_routes(self) -> None:
        self.bgp.set_announced("web", (Advertisement(VIP),))
        end = self.router.connect(US)
        end.say(OPEN, Keepalive())
        self.turn()
        assert self.peers() == {THEM: "Established"}
        assert [str(p) for u in updates(end) for p in u.prefixes] == ["192.0.2.1/32"]

    def test_others_are_closed_and_counted(self) -> None:
        end = Router(self.network, "10.0.1.1").connect(US)
        self.turn()
        assert end.lost is not None
        assert self.bgp.snapshot().unknown_peers_total == 1

    def test_there_are_no_more_than_the_limit(self) -> None:
        ends = [Router(self.network, f"10.0.0.{n}").connect(US) for n in (5, 6, 7)]
        self.turn()
        assert [end.lost is None for end in ends] == [True, True, False]
        assert "No room for 10.0.0.7: 10.0.0.0/24 has its 2 peers" in self.logged("warn")

    def test_who_says_nothing_makes_room(self) -> None:
        silent = [Router(self.network, f"10.0.0.{n}").connect(US) for n in (5, 6)]
        self.turn(3)
        end = self.router.connect(US)
        end.say(OPEN, Keepalive())
        self.turn()
        assert self.peers() == {"10.0.0.6": "OpenSent", THEM: "Established"}
        assert [one.lost is None for one in silent] == [False, True]
        assert notifications(silent[0]) == [(6, 8)]
        speaking = Router(self.network, "10.0.0.7").connect(US)
        speaking.say(replace(OPEN, bgp_identifier=IPv4Address("10.0.0.7")), Keepalive())
        self.turn(3)
        late = Router(self.network, "10.0.0.8").connect(US)
        self.turn()
        assert self.peers() == {THEM: "Established", "10.0.0.7": "Established"}
        assert late.lost is not None

    def test_who_has_just_gone_makes_room(self) -> None:
        for number in (5, 6):
            Router(self.network, f"10.0.0.{number}").connect(US).transport.loseConnection()
        self.turn(2)
        end = self.router.connect(US)
        end.say(OPEN, Keepalive())
        self.turn()
        assert self.peers()[THEM] == "Established"

    def test_who_has_gone_makes_room_and_is_not_connected_to(self) -> None:
        for number in (5, 6):
            Router(self.network, f"10.0.0.{number}").connect(US).transport.loseConnection()
        self.turn(130)
        assert self.peers() == {}
        assert self.network.dials == []
        end = self.router.connect(US)
        end.say(OPEN, Keepalive())
        self.turn()
        assert self.peers() == {THEM: "Established"}

    def test_a_reload_keeps_the_sessions_of_a_prefix_that_stays(self) -> None:
        end = self.router.connect(US)
        end.say(OPEN, Keepalive())
        self.turn()
        other = PeerGroup(ip_network("10.9.0.0/16"), GROUP.peer)
        self.reconfigure(self.speaking_to(groups=(other, GROUP)))
        assert self.peers() == {THEM: "Established"}
        self.reconfigure(self.speaking_to(groups=(other,)))
        assert notifications(end) == [(6, 3)]
        assert self.peers() == {}

    def test_a_stop_leaves_no_timer(self) -> None:
        self.router.connect(US).say(OPEN, Keepalive())
        self.turn()
        done = self.bgp.stop("bye")
        self.clock.pump([0.1] * 40)
        self.successResultOf(done)
        assert self.clock.getDelayedCalls() == []


LINK = InterfacePeer("eth0", PeerSettings(IPv6Address("fe80::"), hold_time_s=90))
NEIGHBOUR = "fe80::9%eth0"


class LinkTest(FoundCase):
    our_address = "fe80::1%eth0"

    def setUp(self) -> None:
        super().setUp()
        self.network.links["eth0"] = None
        self.router = Router(self.network, NEIGHBOUR)
        self.router.listen()

    def found(self, address: str = NEIGHBOUR) -> None:
        tell = self.network.links["eth0"]
        assert tell is not None
        tell(IPv6Address(address))
        self.turn()

    def test_the_router_on_a_link_is_found_and_told_next_hops_on_that_link(self) -> None:
        self.start_with(self.speaking_to(interfaces=(LINK,)))
        assert self.peers() == {"eth0": "Idle"}
        assert "no router has advertised itself" in str(self.peer().last_error)
        self.found()
        self.found()
        [end] = self.router.ends
        next_hops = (ExtendedNextHop(IPV4_UNICAST, AFI_IPV6),)
        end.say(
            replace(OPEN, capabilities=replace(CAPABILITIES, extended_next_hop=next_hops)),
            Keepalive(),
        )
        self.turn()
        assert self.peers() == {"eth0": "Established"}
        self.bgp.set_announced("web", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        hops = [u.mp_reach.next_hops for u in updates(end) if u.mp_reach is not None]
        assert hops == [(IPv6Address("fe80::1"),)] * 2
        [first, _] = self.bgp.snapshot().announced
        assert first.peers == ("eth0",)

    def test_another_router_takes_the_place_of_the_one_before(self) -> None:
        self.start_with(self.speaking_to(interfaces=(LINK,)))
        self.found()
        self.found("fe80::8%eth0")
        assert [str(peering.peer.address) for peering in self.bgp.peerings] == ["fe80::8%eth0"]
        assert list(self.peers()) == ["eth0"]

    def test_an_interface_that_does_not_exist_yet_is_tried_again(self) -> None:
        del self.network.links["eth0"]
        self.start_with(self.speaking_to(interfaces=(LINK,)))
        assert "No such device" in str(self.peer().last_error)
        self.network.links["eth0"] = None
        self.turn(40)
        self.found()
        assert len(self.router.ends) == 1
        assert len(self.logged("error")) == 1

    def test_a_reload_keeps_or_ends_the_session_with_its_interface(self) -> None:
        self.start_with(self.speaking_to(interfaces=(LINK,)))
        self.found()
        self.router.ends[0].say(OPEN, Keepalive())
        self.turn()
        self.reconfigure(self.speaking_to(interfaces=(LINK,), groups=(GROUP,)))
        assert self.peers() == {"eth0": "Established"}
        self.reconfigure(self.speaking_to())
        assert self.peers() == {}
        assert self.network.links == {"eth0": None}


ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "source", "hop_limit", "found"),
    [
        (ADVERTISEMENT, "fe80::1%eth0", 255, True),
        (ADVERTISEMENT + b"options", "fe80::1%eth0", 255, True),
        (ADVERTISEMENT, "fe80::1%eth0", 254, False),
        (ADVERTISEMENT, "2001:db8::1", 255, False),
        (ADVERTISEMENT[:15], "fe80::1%eth0", 255, False),
        (b"\x85" + ADVERTISEMENT[1:], "fe80::1%eth0", 255, False),
        (b"", "fe80::1%eth0", 255, False),
    ],
)
def test_only_router_advertisements_of_this_link_count(
    data: bytes, source: str, hop_limit: int, found: bool
) -> None:
    assert advertiser_of(data, source, hop_limit) == (ip_address(source) if found else None)
