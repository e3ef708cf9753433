"""One session, from its first connection to its end."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from pybal.bgp.advertisement import Advertisement
from pybal.bgp.causes import Weight
from pybal.bgp.codec import encode
from pybal.bgp.constants import IPV4_UNICAST, MARKER
from pybal.bgp.messages import Keepalive, Notification, Open, RouteRefresh, Update
from pybal.bgp.notification import shutdown
from pybal.bgp.settings import Options, PeerSettings
from tests.bgp.peeringcase import OPEN, THEM, VIP, VIP6, PeeringCase, notifications, updates


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
        told = "Session with 10.0.0.9 lost: sent Hold Timer Expired: nothing heard for 30 s"
        assert self.logged("warn") == [told], "once"
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

    def test_of_a_long_error_it_is_said_that_it_goes_on(self) -> None:
        self.bgp.start()
        [peering] = self.bgp.peerings
        peering.note_failure(peering.links.active, "no" * 1000, Weight.SAID)
        error = str(self.peer().last_error)
        assert error.startswith("nono")
        assert error.endswith("…")

    def test_a_peer_that_refuses_has_its_routes_within_5_s_of_its_return(self) -> None:
        self.bgp.start()
        for _ in range(4000):
            self.clock.advance(0.05)
        times = [at for at, _ in self.network.dials]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert gaps[0] < 1.1
        assert all(2.9 <= gap <= 4.2 for gap in gaps[2:])
        assert len(set(gaps[2:])) > 10, "with jitter"
        assert self.peer().last_error == "connect: connection refused"
        away_since, since = self.peer().away_since, self.peer().since
        assert away_since is not None
        assert since is not None
        assert since - away_since > 190, "each attempt changes the state alone"
        assert self.logged("warn") == ["No session with 10.0.0.9: connect: connection refused"], (
            "once"
        )

    def test_a_connect_that_gets_no_answer_is_begun_anew(self) -> None:
        self.network.silent.add(ip_address(THEM))
        self.bgp.start()
        self.turn(10)
        self.turn(10)
        assert len(self.network.dials) == 3
        # A wrong password, too, is met with silence.
        assert "expects an MD5 password" in str(self.peer().last_error)
        self.bgp = self.failover(PeerSettings(ip_address(THEM), password=b"s3cret"))
        self.bgp.start()
        self.turn(11)
        assert "has another MD5 password, or none" in str(self.peer().last_error)
        assert "s3cret" not in str(self.peer().last_error)

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
        [warning] = self.logged("warn")
        assert "treat-as-withdraw" in warning
        assert THEM in warning

    def test_a_peers_shutdown_text_is_logged(self) -> None:
        end = self.establish()
        end.say(shutdown("maintenance, ring Ann"))
        self.turn()
        assert "maintenance, ring Ann" in str(self.peer().last_error)
        [lost] = self.logged("warn")
        assert "maintenance" in lost

    def test_why_a_peer_refuses_us_is_not_hidden_by_our_answer(self) -> None:
        # Routers that do not know us say so before they say OPEN.
        self.router.listen()
        self.bgp.start()
        self.turn()
        self.router.ends[0].say(Notification(6, 5))
        self.turn()
        error = self.peer().last_error
        assert error is not None
        assert error.startswith("received Cease/Connection Rejected")

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
        assert "Send Hold Timer Expired" in str(self.logged("warn"))

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
