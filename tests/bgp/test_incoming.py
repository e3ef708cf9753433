"""Connections that the peer opens, and both sides opening at once."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from twisted.logger import Logger

from pybal.announce.failover import BGPFailover
from pybal.bgp.constants import MARKER
from pybal.bgp.messages import Keepalive
from pybal.bgp.settings import FailoverSettings, PeerSettings, SpeakerSettings
from tests.bgp.memory import Router, RouterEnd, memory_ports
from tests.bgp.peeringcase import CAPABILITIES, OPEN, RESTART, THEM, US, PeeringCase, notifications


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

    def test_a_second_connection_has_the_session_asked_for_life(self) -> None:
        # Else a router that died unseen would be refused until the hold time is over, or for ever:
        # its reset is the answer.
        for hold_time_s in (0, 30):
            self.setUp()
            end = self.establish(replace(OPEN, hold_time_s=hold_time_s))
            end.take()
            second = self.router.connect(US)
            self.turn()
            assert second.lost is not None
            assert end.heard == [Keepalive()]

    def test_however_many_connect_the_session_is_asked_once_a_second(self) -> None:
        end = self.establish(replace(OPEN, hold_time_s=0))
        end.take()
        for _ in range(10):
            self.router.connect(US)
            self.turn()
        assert end.heard == [Keepalive()]
        self.turn(1)
        self.router.connect(US)
        self.turn()
        assert end.heard == [Keepalive()] * 2

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

    def test_a_connection_that_never_speaks_does_not_change_since_when_the_session_stands(
        self,
    ) -> None:
        self.bgp.start()
        self.router.connect(US)
        self.router.listen()
        self.turn(10)
        end = self.greet(self.router.ends[-1])
        since = self.peer().since
        for _ in range(26):
            end.say(Keepalive())
            self.turn(10)
        assert len(self.peer().connections) == 1, "the silent one has been given up"
        assert self.peer().since == since


class StuckTest(PeeringCase):
    """Connections that the peer has opened and forgotten."""

    def setUp(self) -> None:
        super().setUp()
        self.bgp.start()
        self.turn()

    def test_a_newer_connection_replaces_one_that_never_speaks(self) -> None:
        silent = self.router.connect(US)
        self.turn()
        newer = self.router.connect(US)
        self.turn()
        assert silent.lost is not None
        self.greet(newer)

    def test_a_newer_connection_replaces_one_that_stopped_within_a_message(self) -> None:
        half = self.router.connect(US)
        half.say(MARKER + b"\0")
        self.turn()
        self.greet(self.router.connect(US))
        assert half.lost is not None

    def test_a_newer_connection_replaces_one_that_was_never_confirmed(self) -> None:
        for hold_time_s in (30, 0):
            self.setUp()
            half = self.router.connect(US)
            half.say(replace(OPEN, hold_time_s=hold_time_s))
            self.turn()
            assert self.peer().state == "OpenConfirm"
            self.greet(self.router.connect(US))
            assert half.lost is not None

    def test_a_silent_connection_of_ours_is_closed_when_theirs_becomes_the_session(self) -> None:
        self.router.listen()
        self.turn(5)
        [ours] = self.router.ends
        self.greet(self.router.connect(US))
        assert notifications(ours) == [(6, 7)]
        assert self.peer().last_error is None or "Collision" not in str(self.peer().last_error)

    def test_a_storm_of_connections_is_let_in_drop_by_drop(self) -> None:
        for _ in range(1000):
            self.router.connect(US)
        self.turn()
        answered = [end for end in self.router.ends if end.heard]
        assert len(answered) == 10
        assert self.peer().connections_refused == 990
        self.turn(5)
        self.greet(self.router.connect(US))


class FlappingTest(PeeringCase):
    """DampPeerOscillations where it is the peer that connects."""

    def flap(self) -> bool:
        """Whether a session came of a connection."""
        end = self.router.connect(US)
        end.say(OPEN, Keepalive())
        self.turn()
        came = self.peer().established
        if came:
            end.transport.loseConnection()
        self.turn()
        return came

    def test_a_peer_that_flaps_gets_ever_fewer_sessions(self) -> None:
        self.bgp.start()
        self.turn()
        sessions = sum(self.flap() for _ in range(1500))
        assert self.clock.seconds() > 60
        assert 5 <= sessions <= 8, "after 1 (forgiven), 2, 4, 8, 16 and 32 seconds"
        assert len(self.logged("info") + self.logged("warn")) < 60

    def test_a_peer_that_comes_back_once_is_welcome_at_once(self) -> None:
        self.bgp.start()
        self.turn()
        assert self.flap()
        assert self.flap()

    def test_a_long_session_makes_up_for_it(self) -> None:
        self.bgp.start()
        self.turn()
        for _ in range(400):
            self.flap()
        self.turn(30)
        end = self.greet(self.router.connect(US))
        for _ in range(10):
            end.say(Keepalive())
            self.turn(7)
        end.transport.loseConnection()
        self.turn()
        assert self.flap()

    def test_it_is_no_way_around_the_damping_to_let_us_connect(self) -> None:
        self.router.listen()
        self.bgp.start()
        for _ in range(100):
            self.turn(0.5)
            for end in self.router.ends:
                if end.lost is None:
                    end.say(OPEN, Keepalive())
                    self.turn()
                    end.transport.loseConnection()
            self.flap()
        assert self.peer().sessions_lost <= 8


class CollisionTest(PeeringCase):
    """RFC 4271 section 6.8: both sides have opened a connection."""

    def connect_both_ways(self) -> tuple[RouterEnd, RouterEnd]:
        self.router.listen()
        self.bgp.start()
        theirs = self.router.connect(US)
        self.turn()
        [ours] = [end for end in self.router.ends if end is not theirs]
        return ours, theirs

    def collide(self, first_open_on_theirs: bool) -> tuple[RouterEnd, RouterEnd]:
        ours, theirs = self.connect_both_ways()
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

    def test_what_is_about_to_lose_is_not_confirmed_so_that_no_session_is_lost(self) -> None:
        # A router that has confirmed ours drops its own, while we drop ours for its: both gone,
        # and at the router a session that stood for milliseconds.
        ours, theirs = self.connect_both_ways()
        ours.say(OPEN, Keepalive())
        self.turn()
        assert not any(isinstance(message, Keepalive) for message in ours.heard)
        theirs.say(OPEN)
        self.turn()
        assert notifications(ours) == [(6, 7)]
        theirs.say(Keepalive())
        self.turn()
        peer = self.peer()
        assert (peer.established, peer.sessions_lost) == (True, 0)
        assert self.logged("warn") == []
        self.turn(2)
        assert self.peer().established

    def test_who_gives_way_goes_on_once_the_other_connection_has_gone(self) -> None:
        ours, theirs = self.connect_both_ways()
        ours.say(OPEN, Keepalive())
        self.turn()
        assert not self.peer().established
        theirs.transport.abortConnection()
        self.turn()
        assert self.peer().established

    def test_who_gives_way_may_go_itself_meanwhile(self) -> None:
        ours, theirs = self.connect_both_ways()
        ours.say(OPEN)
        self.turn()
        ours.transport.abortConnection()
        self.turn(0.5)
        theirs.say(OPEN, Keepalive())
        self.turn(2)
        assert self.peer().established

    def test_an_established_session_is_never_given_up_for_another_connection(self) -> None:
        # CollisionDetectEstablishedState is off, although the peer's identifier is higher.
        ours, theirs = self.connect_both_ways()
        self.greet(ours)
        theirs.say(OPEN)
        self.turn()
        assert notifications(theirs) == [(6, 7)]
        assert notifications(ours) == []
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
                memory_ports(
                    self.clock, self.network.at(THEM), Logger(observer=self.observer), seed=2
                ),
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
            assert '"bye"' in str(self.logged("warn"))
