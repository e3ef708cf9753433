"""A reload: what did not change goes on."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.internet.defer import Deferred

from pybal.bgp.advertisement import Advertisement
from pybal.bgp.messages import Keepalive, Open
from pybal.bgp.settings import ExportPolicy, PeerSettings
from tests.bgp.memory import Router
from tests.bgp.peeringcase import (
    CAPABILITIES,
    THEM,
    US,
    VIP,
    VIP6,
    PeeringCase,
    notifications,
    updates,
)


class ReconfigureTest(PeeringCase):
    """A reload: what did not change goes on."""

    other = "10.0.0.8"

    def peer_settings(self, address: str = THEM, **changes: Any) -> PeerSettings:
        return replace(PeerSettings(ip_address(address), hold_time_s=90), **changes)

    def test_a_new_peer_comes_and_the_old_session_stays(self) -> None:
        end = self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.turn()
        end.take()
        newcomer = Router(self.network, self.other)
        newcomer.listen()
        self.reconfigure(self.settings(self.peer_settings(), self.peer_settings(self.other)))
        assert end.take() == []
        opened = Open(64600, 30, IPv4Address(self.other), CAPABILITIES)
        newcomer.ends[0].say(opened, Keepalive())
        self.turn()
        assert updates(newcomer.ends[0])[0].prefixes
        assert self.peer().sessions_lost == 0

    def test_a_peer_that_is_gone_is_told_so(self) -> None:
        end = self.establish()
        self.reconfigure(self.settings(self.peer_settings(self.other)))
        assert notifications(end) == [(6, 3)]
        assert [str(p.peer.address) for p in self.bgp.peerings] == [self.other]

    def test_a_peer_with_changed_settings_begins_anew(self) -> None:
        end = self.establish()
        self.reconfigure(self.settings(self.peer_settings(hold_time_s=9)))
        assert notifications(end) == [(6, 6)]
        assert len(self.router.ends) == 2
        self.greet(self.router.ends[1])
        assert self.peer().hold_time_s == 9

    def test_what_a_peer_is_told_otherwise_changes_over_the_session_that_stands(self) -> None:
        end = self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        end.take()
        policy = ExportPolicy(med=50, next_hop_ipv6=IPv6Address("2001:db8::99"))
        self.reconfigure(self.settings(self.peer_settings(export=policy, description="spine")))
        assert [update.attributes.med for update in updates(end)] == [50, 50]
        assert self.peer().description == "spine"
        end.take()
        self.reconfigure(self.settings(self.peer_settings(description="leaf")))
        assert [update.attributes.med for update in updates(end)] == [0, 0]
        assert (self.peer().sessions_lost, self.peer().description) == (0, "leaf")

    def test_changed_attributes_are_announced_over_the_session_that_stands(self) -> None:
        end = self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.turn()
        end.take()
        self.reconfigure(self.settings(self.peer_settings(), med=100))
        assert [update.attributes.med for update in updates(end)] == [100]
        assert self.peer().sessions_lost == 0

    def test_a_new_password_reopens_the_listener_and_spares_the_others(self) -> None:
        end = self.establish()
        secured = self.peer_settings(self.other, password=b"s3cret")
        accept = self.network.listeners[ip_address(US)]
        self.reconfigure(self.settings(self.peer_settings(), secured))
        assert self.network.listeners[ip_address(US)] is not accept
        assert notifications(end) == []

    def test_a_stop_in_the_middle_of_a_reconfiguration_starts_nothing(self) -> None:
        end = self.establish()
        end.transport.stuck = True
        secured = self.peer_settings(self.other, password=b"s3cret")
        Deferred.fromCoroutine(self.bgp.reconfigure(self.settings(secured)))
        done = self.bgp.stop("bye")
        self.turn(10)
        self.successResultOf(done)
        assert ip_address(US) not in self.network.listeners
        assert self.clock.getDelayedCalls() == []

    def test_reconfigurations_that_overlap_end_in_the_last(self) -> None:
        self.establish().transport.stuck = True
        for hold_time_s in (9, 12, 15):
            peer = self.peer_settings(hold_time_s=hold_time_s, password=b"%d" % hold_time_s)
            Deferred.fromCoroutine(self.bgp.reconfigure(self.settings(peer)))
        self.turn(10)
        assert [p.peer.hold_time_s for p in self.bgp.peerings] == [15]
        assert ip_address(US) in self.network.listeners
