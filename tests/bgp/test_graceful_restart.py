"""RFC 4724 and RFC 8538, with a router in memory."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from pybal.bgp.advertisement import Advertisement
from pybal.bgp.capabilities import decode_capabilities, encode_capabilities
from pybal.bgp.constants import GRACEFUL_SHUTDOWN_COMMUNITY as GRACEFUL_SHUTDOWN
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.messages import Capabilities, LongLivedFamily, Notification, Open
from pybal.bgp.negotiation import local_open
from pybal.bgp.settings import PeerSettings, SpeakerSettings
from tests.bgp.peeringcase import (
    CAPABILITIES,
    OPEN,
    RESTART,
    THEM,
    VIP,
    PeeringCase,
    notifications,
    updates,
)


class GracefulRestartTest(PeeringCase):
    def setUp(self) -> None:
        super().setUp()
        self.bgp = self.failover(PeerSettings(ip_address(THEM), restart_time_s=60))
        self.opened = replace(OPEN, capabilities=replace(CAPABILITIES, graceful_restart=RESTART))

    def test_a_planned_restart_says_nothing(self) -> None:
        end = self.establish(self.opened)
        self.bgp.set_announced("svc", (Advertisement(VIP),))
        self.turn()
        end.take()
        done = self.bgp.stop_for_restart()
        self.turn()
        assert end.take() == []
        assert end.lost is not None
        self.successResultOf(done)

    def test_a_peer_without_graceful_restart_is_told_of_the_restart(self) -> None:
        end = self.establish(OPEN)
        self.bgp.set_announced("svc", (Advertisement(VIP),))
        self.turn()
        end.take()
        self.bgp.stop_for_restart()
        self.turn()
        assert [u.withdrawn != () for u in updates(end)] == [True]
        assert notifications(end) == [(6, 2)]

    def test_at_a_restart_too_the_shutdown_delay_is_for_peers_that_keep_nothing(self) -> None:
        # RFC 8326 section 4: systemd restarts by stop_for_restart, with or without RFC 4724.
        peer = PeerSettings(ip_address(THEM), restart_time_s=60)
        for opened, told in ((OPEN, 1), (self.opened, 0)):
            self.setUp()
            self.bgp = self.failover(peer, shutdown_delay_s=5.0)
            end = self.establish(opened)
            self.bgp.set_announced("svc", (Advertisement(VIP),))
            self.turn()
            end.take()
            done = self.bgp.stop_for_restart()
            self.turn(4)
            marked = [u for u in updates(end) if GRACEFUL_SHUTDOWN in u.attributes.communities]
            assert len(updates(end)) == len(marked) == told
            assert (end.lost is None) == bool(told)
            self.turn(2)
            assert end.lost is not None
            self.successResultOf(done)

    def test_a_stop_is_a_hard_reset_to_a_peer_that_survives_notifications(self) -> None:
        # RFC 8538 section 3.
        end = self.establish(self.opened)
        self.bgp.stop("bye")
        self.turn()
        last = end.heard[-1]
        assert last == Notification(6, 9, b"\6\2\3bye")

    def test_so_is_the_end_of_a_peer_but_not_a_change_of_its_settings(self) -> None:
        # RFC 8538 section 5.1.
        for peers, told in (
            ((PeerSettings(ip_address("10.0.0.8")),), Notification(6, 9, b"\6\3")),
            ((PeerSettings(ip_address(THEM), hold_time_s=33),), Notification(6, 6)),
        ):
            self.setUp()
            end = self.establish(self.opened)
            self.reconfigure(self.settings(*peers))
            assert end.heard[-1] == told

    def test_after_a_restart_end_of_rib_waits_until_the_routes_are_complete(self) -> None:
        self.router.listen()
        self.bgp.start(restarting=True)
        self.turn()
        end = self.router.ends[0]
        opened = end.heard[0]
        assert isinstance(opened, Open)
        assert opened.capabilities is not None
        restart = opened.capabilities.graceful_restart
        assert restart is not None
        assert restart.restarting
        assert all(family.forwarding for family in restart.families)
        self.greet(end, self.opened)
        assert updates(end) == []
        self.bgp.set_announced("svc", (Advertisement(VIP),))
        self.bgp.first_routes_complete()
        self.turn()
        assert len(updates(end)) == 3
        assert updates(end)[0].prefixes


def test_long_lived_graceful_restart_survives_the_wire() -> None:
    # RFC 9494 section 3.1.
    families = (LongLivedFamily(IPV4_UNICAST, True, 3600), LongLivedFamily(IPV6_UNICAST, False, 0))
    capabilities = Capabilities(long_lived=families)
    [(code, value)] = encode_capabilities(capabilities)
    assert (code, value.hex()) == (71, "00010180000e10" + "00020100000000")
    assert decode_capabilities(((code, value),)) == capabilities
    assert decode_capabilities(((code, value[:-1]),)) == Capabilities()


@pytest.mark.parametrize(
    ("restart_time_s", "stale_time_s", "said"), [(120, 3600, 2), (None, 3600, 0), (120, 0, 0)]
)
def test_it_is_announced_beside_graceful_restart_only(
    restart_time_s: int | None, stale_time_s: int, said: int
) -> None:
    peer = PeerSettings(ip_address(THEM), restart_time_s=restart_time_s, stale_time_s=stale_time_s)
    speaker = SpeakerSettings(64512, IPv4Address(1), (peer,), ())
    capabilities = local_open(speaker, peer, restarting=False).capabilities
    assert capabilities is not None
    assert len(capabilities.long_lived) == said
