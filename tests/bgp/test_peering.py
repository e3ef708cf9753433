"""The shell on a Clock, against a hand-driven router in memory."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pybal.bgp.codec import encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, MARKER
from pybal.bgp.messages import (
    Capabilities,
    GracefulRestart,
    Keepalive,
    Notification,
    Open,
    RestartFamily,
    RouteRefresh,
    Update,
)
from pybal.bgp.notification import shutdown
from pybal.bgp.settings import (
    Advertisement,
    FailoverSettings,
    Options,
    PeerSettings,
    SpeakerSettings,
)
from pybal.bgp.update import DecodedUpdate
from pybal.bgpfailover import BGPFailover
from pybal.model import PeerSnapshot
from tests.bgp.memory import MemoryNetwork, Router, RouterEnd

US, THEM = "10.0.0.1", "10.0.0.9"
CAPABILITIES = Capabilities(
    families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=64600, route_refresh=True
)
OPEN = Open(64600, 30, IPv4Address(THEM), CAPABILITIES)
VIP, VIP6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
RESTART = GracefulRestart(False, True, 120, (RestartFamily(IPV4_UNICAST, True),))


@implementer(ILogObserver)
class Recorder:
    """Keeps log events."""

    def __init__(self, events: list[LogEvent]) -> None:
        self._events = events

    def __call__(self, event: LogEvent) -> None:
        self._events.append(event)


class PeeringCase(SynchronousTestCase):
    """A BGPFailover at US with one configured peer, THEM."""

    router_id = US

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.router = Router(self.network, THEM)
        self.events: list[LogEvent] = []
        self.observer: Any = Recorder(self.events)
        self.bgp = self.failover()

    def settings(self, *peers: PeerSettings, **changes: Any) -> FailoverSettings:
        speaker = SpeakerSettings(
            local_asn=64512,
            router_id=IPv4Address(self.router_id),
            peers=peers or (PeerSettings(ip_address(THEM), hold_time_s=90),),
            listen_addresses=(ip_address(US),),
        )
        settings = FailoverSettings(
            speaker=speaker,
            as_path=(64512,),
            next_hop_ipv4=IPv4Address(US),
            next_hop_ipv6=IPv6Address("2001:db8:f::1"),
        )
        return replace(settings, **changes)

    def failover(self, *peers: PeerSettings, **changes: Any) -> BGPFailover:
        log = Logger(namespace="bgp", observer=self.observer)
        return BGPFailover(
            self.settings(*peers, **changes),
            self.clock,
            Random(1),
            lambda: 1e9 + self.clock.seconds(),
            log,
            self.network.at(US),
        )

    def turn(self, seconds: float = 0.0) -> None:
        """Let `seconds` pass, and all that is due happen."""
        self.clock.pump([0.001] * 20)
        if seconds:
            self.clock.pump([seconds / 50] * 50)
            self.clock.pump([0.001] * 20)

    def peer(self) -> PeerSnapshot:
        return self.bgp.snapshot().peers[0]

    def received(self, kind: str) -> int:
        return sum(n for k, d, n in self.peer().messages if (k, d) == (kind, "received"))

    def establish(self, opened: Open = OPEN) -> RouterEnd:
        """Start, let our connection reach the router, and bring the session up."""
        self.router.listen()
        self.bgp.start()
        self.turn()
        return self.greet(self.router.ends[-1], opened)

    def greet(self, end: RouterEnd, opened: Open = OPEN) -> RouterEnd:
        end.say(opened, Keepalive())
        self.turn()
        assert self.peer().established, self.events
        return end

    def logged(self, level: str) -> list[str]:
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"].name == level
        ]


def notifications(end: RouterEnd) -> list[tuple[int, int]]:
    return [(m.code, m.subcode) for m in end.heard if isinstance(m, Notification)]


def updates(end: RouterEnd) -> list[Update]:
    return [m.update for m in end.heard if isinstance(m, DecodedUpdate)]


class SessionTest(PeeringCase):
    def test_a_session_comes_up_and_goes_down_in_order(self) -> None:
        end = self.establish()
        assert isinstance(end.heard[0], Open)
        assert end.heard[1] == Keepalive()
        assert updates(end) == [Update(), replace(Update(), mp_unreach=updates(end)[1].mp_unreach)]
        end.take()
        self.bgp.set_announced("svc", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        assert len(updates(end)) == 2
        end.take()
        done = self.bgp.stop("bye")
        self.turn()
        kinds = [type(message).__name__ for message in end.heard]
        assert kinds == ["DecodedUpdate", "DecodedUpdate", "Notification"]
        assert [str(p) for u in updates(end) for p in u.withdrawn] == ["192.0.2.1/32"]
        assert end.heard[-1] == shutdown("bye")
        self.successResultOf(done)
        assert end.lost is not None

    def test_the_smaller_hold_time_rules_and_keepalives_keep_the_session(self) -> None:
        end = self.establish()
        assert self.peer().hold_time_s == 30
        end.take()
        for _ in range(20):
            self.turn(9.9)
            end.say(Keepalive())
        assert self.peer().established
        keepalives = [message for message in end.heard if message == Keepalive()]
        assert 19 <= len(keepalives) <= 28, "one every 7.5 to 10 s"

    def test_a_silent_peer_is_dropped_when_its_hold_time_is_over(self) -> None:
        end = self.establish()
        self.turn(29.9)
        assert notifications(end) == []
        self.turn(0.2)
        assert notifications(end) == [(4, 0)]
        assert self.peer().sessions_lost == 1
        self.turn(2)
        assert len(self.router.ends) == 2, "and tried again"

    def test_hold_time_0_means_no_keepalives_and_no_expiry(self) -> None:
        end = self.establish(replace(OPEN, hold_time_s=0))
        end.take()
        self.turn(3600)
        assert end.take() == []
        assert self.peer().established

    def test_a_peer_that_accepts_and_says_nothing_is_dropped_after_four_minutes(self) -> None:
        self.router.listen()
        self.bgp.start()
        self.turn()
        end = self.router.ends[0]
        self.turn(239)
        assert notifications(end) == []
        self.turn(2)
        assert notifications(end) == [(4, 0)]

    def test_with_delay_open_the_peers_open_comes_first(self) -> None:
        self.bgp = self.failover(PeerSettings(ip_address(THEM), fsm=Options(delay_open_s=4)))
        self.router.listen()
        self.bgp.start()
        self.turn(1)
        end = self.router.ends[0]
        assert end.heard == []
        self.greet(end)
        assert isinstance(end.heard[0], Open)

    def test_with_delay_open_our_open_goes_out_in_the_end(self) -> None:
        self.bgp = self.failover(PeerSettings(ip_address(THEM), fsm=Options(delay_open_s=4)))
        self.router.listen()
        self.bgp.start()
        self.turn(4.1)
        assert isinstance(self.router.ends[0].heard[0], Open)

    def test_refusal_is_met_with_back_off(self) -> None:
        self.bgp.start()
        for _ in range(400):
            self.clock.advance(0.5)
        times = [at for at, _ in self.network.dials]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert 5 <= len(gaps) <= 12
        assert gaps[0] < 2
        assert all(30 <= gap <= 61 for gap in gaps[6:])
        assert self.peer().last_error == "connect: Connection was refused by other side."

    def test_a_connect_that_gets_no_answer_is_begun_anew(self) -> None:
        self.network.silent.add(ip_address(THEM))
        self.bgp.start()
        self.turn(10)
        self.turn(10)
        assert len(self.network.dials) == 3

    def test_a_bad_open_is_answered_and_the_session_refused(self) -> None:
        self.bgp = self.failover(PeerSettings(ip_address(THEM), asn=64999))
        self.router.listen()
        self.bgp.start()
        self.turn()
        end = self.router.ends[0]
        end.say(OPEN)
        self.turn()
        assert notifications(end) == [(2, 2)]
        assert "64999" in str(self.peer().last_error)

    def test_junk_is_answered_with_connection_not_synchronized(self) -> None:
        end = self.establish()
        end.say(b"GET / HTTP/1.0\r\n\r\n")
        self.turn()
        assert notifications(end) == [(1, 1)]

    def test_a_peer_without_optional_parameters_still_gets_a_session(self) -> None:
        # RFC 5492 section 3: Unsupported Optional Parameter, then an OPEN without any.
        self.router.listen()
        self.bgp.start()
        self.turn()
        self.router.ends[0].say(Notification(2, 4))
        self.turn(1.1)
        assert len(self.router.ends) == 2
        plain = self.router.ends[1].heard[0]
        assert isinstance(plain, Open)
        assert plain.capabilities is None
        self.greet(self.router.ends[1], Open(64600, 30, IPv4Address(THEM), None))

    def test_a_malformed_update_withdraws_and_is_logged_but_the_session_stays(self) -> None:
        end = self.establish()
        attributes = bytes.fromhex("40010109" + "400200" + "4003040a000001")
        body = b"\0\0" + len(attributes).to_bytes(2, "big") + attributes + b"\x08\x0a"
        end.say(MARKER + (19 + len(body)).to_bytes(2, "big") + b"\2" + body)
        self.turn()
        assert self.peer().established
        assert "treat-as-withdraw" in self.logged("warn")[0]

    def test_a_peers_shutdown_text_is_logged(self) -> None:
        end = self.establish()
        end.say(shutdown("maintenance, ring Ann"))
        self.turn()
        assert "maintenance, ring Ann" in str(self.peer().last_error)
        assert any("maintenance" in text for text in self.logged("info"))

    def test_a_route_refresh_is_answered_with_the_family(self) -> None:
        end = self.establish()
        self.bgp.set_announced("svc", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        end.take()
        end.say(RouteRefresh(IPV4_UNICAST))
        self.turn()
        [update] = updates(end)
        assert [str(prefix) for prefix in update.prefixes] == ["192.0.2.1/32"]

    def test_a_flood_is_taken_in_turns(self) -> None:
        end = self.establish()
        connection = end.transport.other.protocol
        connection.dataReceived(encode(Keepalive()) * 1000)
        assert self.received("keepalive") <= 70
        assert end.transport.other.paused
        self.turn()
        assert self.received("keepalive") == 1001
        assert not end.transport.other.paused

    def test_a_peer_that_does_not_read_is_dropped_by_the_send_hold_timer(self) -> None:
        # RFC 9687.
        end = self.establish()
        end.transport.stuck = True
        for _ in range(470):
            end.say(Keepalive())
            self.clock.advance(1)
        assert self.peer().established
        for _ in range(30):
            end.say(Keepalive())
            self.clock.advance(1)
        assert not self.peer().established
        assert "Send Hold Timer Expired" in str(self.logged("info"))

    def test_a_stop_is_bounded_although_the_peer_does_not_read(self) -> None:
        end = self.establish()
        self.bgp.set_announced("svc", (Advertisement(VIP),))
        self.turn()
        end.transport.stuck = True
        done = self.bgp.stop("bye")
        self.clock.pump([0.1] * 100)
        self.successResultOf(done)

    def test_stopping_twice_and_before_start_is_harmless(self) -> None:
        first, second = self.bgp.stop("a"), self.bgp.stop("b")
        self.turn()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_nothing_is_left_running_after_a_stop(self) -> None:
        self.establish()
        done = self.bgp.stop("bye")
        self.clock.pump([0.1] * 40)
        self.successResultOf(done)
        assert self.clock.getDelayedCalls() == []
        assert self.network.listeners.keys() == {ip_address(THEM)}


class BFDTest(PeeringCase):
    def test_when_bfd_fails_the_session_ends_at_once(self) -> None:
        # RFC 5882 section 10.1; the subcode is RFC 9384's.
        end = self.establish()
        [peering] = self.bgp.peerings
        peering.bfd_changed(up=True)
        assert self.peer().established
        peering.bfd_changed(up=False)
        self.turn()
        assert notifications(end) == [(6, 10)]
        assert self.peer().sessions_lost == 1
        self.turn(2)
        assert len(self.router.ends) == 2, "and tried again"


class IncomingTest(PeeringCase):
    def test_a_configured_peer_may_connect(self) -> None:
        self.bgp.start()
        self.turn()
        self.greet(self.router.connect(US))
        assert [c.side for c in self.peer().connections if c.state == "Established"] == ["passive"]

    def test_beside_an_incoming_session_we_do_not_dial(self) -> None:
        self.bgp.start()
        self.turn()
        end = self.greet(self.router.connect(US))
        dials = len(self.network.dials)
        for _ in range(20):
            self.turn(5)
            end.say(Keepalive())
        assert len(self.network.dials) == dials
        assert self.peer().established

    def test_after_an_incoming_session_we_dial_again(self) -> None:
        self.bgp.start()
        self.turn()
        end = self.greet(self.router.connect(US))
        dials = len(self.network.dials)
        end.transport.loseConnection()
        self.turn(5)
        assert len(self.network.dials) > dials

    def test_an_unknown_peer_is_closed_and_counted(self) -> None:
        self.bgp.start()
        end = Router(self.network, "10.0.0.66").connect(US)
        self.turn()
        assert end.lost is not None
        assert end.heard == []
        assert self.bgp.snapshot().unknown_peers_total == 1

    def test_a_second_connection_beside_a_session_is_refused(self) -> None:
        self.establish()
        second = self.router.connect(US)
        self.turn()
        assert second.lost is not None
        assert self.peer().established
        assert self.peer().connections_refused == 1

    def test_a_restarted_peer_with_graceful_restart_takes_over_its_old_session(self) -> None:
        # RFC 4724 section 5: the old connection is gone, only we do not know yet.
        opened = replace(OPEN, capabilities=replace(CAPABILITIES, graceful_restart=RESTART))
        old = self.establish(opened)
        at_once = self.router.connect(US)
        self.turn(6)
        assert at_once.lost is not None, "that was no restart: both had connected at once"
        new = self.router.connect(US)
        self.turn()
        assert notifications(old) == []
        assert old.lost is not None
        self.greet(new, opened)

    def test_a_connection_lost_before_open_leaves_the_active_side_at_work(self) -> None:
        self.bgp.start()
        self.turn()
        self.router.connect(US).transport.loseConnection()
        self.turn()
        dials = len(self.network.dials)
        self.turn(3)
        assert len(self.network.dials) > dials


class CollisionTest(PeeringCase):
    """RFC 4271 section 6.8: both sides have opened a connection."""

    def collide(self, first_open_on_theirs: bool) -> tuple[RouterEnd, RouterEnd]:
        self.router.listen()
        self.bgp.start()
        theirs = self.router.connect(US)
        self.turn()
        [ours] = [end for end in self.router.ends if end is not theirs]
        order = (theirs, ours) if first_open_on_theirs else (ours, theirs)
        for end in order:
            end.say(OPEN)
            self.turn()
        return ours, theirs

    def test_the_peers_connection_stays_if_its_identifier_is_higher(self) -> None:
        for first in (True, False):
            self.setUp()
            ours, theirs = self.collide(first)
            assert notifications(ours) == [(6, 7)], first
            assert notifications(theirs) == []
            theirs.say(Keepalive())
            self.turn()
            assert self.peer().established

    def test_our_connection_stays_if_our_identifier_is_higher(self) -> None:
        for first in (True, False):
            self.router_id = "10.9.9.9"
            self.setUp()
            ours, theirs = self.collide(first)
            assert notifications(theirs) == [(6, 7)], first
            assert notifications(ours) == []
            ours.say(Keepalive())
            self.turn()
            assert self.peer().established


class TwoCoresTest(PeeringCase):
    """Two of our speakers, joined in memory."""

    def test_two_speakers_agree_on_one_session_and_keep_it(self) -> None:
        for other_id in ("10.0.0.2", "9.9.9.9"):
            self.setUp()
            peer = PeerSettings(ip_address(US), hold_time_s=9)
            speaker = SpeakerSettings(64600, IPv4Address(other_id), (peer,), (ip_address(THEM),))
            other = BGPFailover(
                FailoverSettings(speaker=speaker, as_path=(64600,), next_hop_ipv4=IPv4Address(1)),
                self.clock,
                Random(2),
                self.clock.seconds,
                Logger(observer=self.observer),
                self.network.at(THEM),
            )
            other.start()
            self.bgp.start()
            self.turn(5)
            # A collision may cost a session of some milliseconds: one side may have seen it
            # established before the other resolved it.
            lost = self.peer().sessions_lost + other.snapshot().peers[0].sessions_lost
            assert lost <= 2
            for _ in range(60):
                self.turn(1)
                assert self.peer().established
            snapshot = other.snapshot().peers[0]
            assert snapshot.established
            assert snapshot.sessions_lost + self.peer().sessions_lost == lost
            assert snapshot.hold_time_s == 9
            gone = other.stop("bye")
            self.turn(1)
            self.successResultOf(gone)
            assert '"bye"' in str(self.logged("info"))


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

    def test_a_stop_is_a_hard_reset_to_a_peer_that_survives_notifications(self) -> None:
        # RFC 8538 section 3.
        end = self.establish(self.opened)
        self.bgp.stop("bye")
        self.turn()
        last = end.heard[-1]
        assert last == Notification(6, 9, b"\6\2\3bye")

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


class FailoverTest(PeeringCase):
    def sent(self) -> tuple[str, ...]:
        return tuple(p.prefix for p in self.bgp.snapshot().announced if THEM in p.peers)

    def test_a_prefix_stands_while_any_service_wants_it(self) -> None:
        end = self.establish()
        end.take()
        self.bgp.set_announced("http", (Advertisement(VIP),))
        self.bgp.set_announced("https", (Advertisement(VIP),))
        self.turn()
        self.bgp.set_announced("http", None)
        self.turn()
        assert len(updates(end)) == 1, "nothing changed for the router"
        self.bgp.set_announced("https", None)
        self.turn()
        assert updates(end)[1].withdrawn != ()
        assert self.sent() == ()

    def test_the_wishes_of_one_turn_share_a_message(self) -> None:
        end = self.establish()
        end.take()
        for index in range(50):
            self.bgp.set_announced(f"s{index}", (Advertisement(VIP + index),))
        self.turn()
        assert [len(update.prefixes) for update in updates(end)] == [50]

    def test_med_and_communities_of_a_service_replace_the_global_ones(self) -> None:
        self.bgp = self.failover(med=5, communities=(7,), large_communities=((1, 2, 3),))
        end = self.establish()
        end.take()
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.turn()
        self.bgp.set_announced("b", (Advertisement(VIP + 1, 100, (8,), ()),))
        self.turn()
        first, second = (update.attributes for update in updates(end))
        assert (first.med, first.communities, first.large_communities) == (5, (7,), ((1, 2, 3),))
        assert (second.med, second.communities, second.large_communities) == (100, (8,), ())

    def test_extra_addresses_are_announced_from_the_start(self) -> None:
        self.bgp = self.failover(extra_addresses=(VIP,))
        end = self.establish()
        assert str(updates(end)[0].prefixes[0]) == "192.0.2.1/32"

    def test_without_a_next_hop_a_prefix_is_not_announced_and_that_is_an_error(self) -> None:
        self.bgp = self.failover(next_hop_ipv6=None)
        self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        assert self.sent() == ("192.0.2.1/32",)
        assert "2001:db8::1/128" in self.logged("error")[0]

    def test_a_graceful_shutdown_precedes_the_withdrawal(self) -> None:
        # RFC 8326.
        self.bgp = self.failover(shutdown_delay_s=3.0)
        end = self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.turn()
        end.take()
        done = self.bgp.stop("bye")
        self.turn()
        assert [u.attributes.communities for u in updates(end)] == [(0xFFFF0000,)]
        assert not done.called
        self.turn(3)
        assert updates(end)[1].withdrawn != ()
        self.turn(3)
        self.successResultOf(done)

    def test_a_new_session_gets_all_routes_again(self) -> None:
        end = self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.turn()
        end.transport.loseConnection()
        self.turn(2)
        again = self.greet(self.router.ends[-1])
        assert again is not end
        assert updates(again)[0].prefixes

    def test_the_snapshot_tells_who_wants_a_prefix_and_who_knows_it(self) -> None:
        self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP, communities=(64600 << 16 | 7,)),))
        self.bgp.set_announced("b", (Advertisement(VIP),))
        self.turn()
        [announced] = self.bgp.snapshot().announced
        assert announced.services == ("a", "b")
        assert announced.peers == (THEM,)
        assert announced.communities == ("64600:7",)

    def test_the_snapshot_follows_what_the_peer_was_told(self) -> None:
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.bgp.start()
        self.turn()
        [announced] = self.bgp.snapshot().announced
        assert announced.peers == ()
        end = self.greet(self.router.connect(US))
        [announced] = self.bgp.snapshot().announced
        assert announced.peers == (THEM,)
        assert self.peer().prefixes_told == 1
        assert {name for name, _ in self.peer().timers} >= {"hold_timer", "keepalive_timer"}
        end.transport.loseConnection()
        self.turn()
        assert self.bgp.snapshot().announced[0].peers == ()

    def test_wishes_after_a_stop_change_nothing(self) -> None:
        end = self.establish()
        self.bgp.stop("bye")
        self.bgp.set_announced("a", (Advertisement(VIP),))
        self.turn()
        assert all(not update.prefixes for update in updates(end))

    def test_what_a_peer_cannot_be_told_of_is_logged_once(self) -> None:
        self.establish(Open(64600, 30, IPv4Address(THEM), None))
        self.bgp.set_announced("a", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        self.bgp.set_announced("b", (Advertisement(VIP + 1), Advertisement(VIP6 + 1)))
        self.turn()
        errors = self.logged("error")
        assert len(errors) == 2
        assert "cannot be told of 1 prefixes (2001:db8::2/128): ipv6-unicast was not" in errors[1]

    def test_an_address_that_cannot_be_listened_on_is_an_error_not_the_end(self) -> None:
        self.network.listeners[ip_address(US)] = lambda _: None
        self.establish()
        assert "Cannot listen on 10.0.0.1 port 179" in self.logged("error")[0]


class ReconfigureTest(PeeringCase):
    """A reload: what did not change goes on."""

    other = "10.0.0.8"

    def reconfigure(self, settings: FailoverSettings) -> None:
        done = Deferred.fromCoroutine(self.bgp.reconfigure(settings))
        self.turn(1)
        self.successResultOf(done)

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
