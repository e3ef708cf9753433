"""What services want announced, and what the router hears of it."""

from __future__ import annotations

import gc
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from random import Random

from twisted.internet.defer import Deferred

from pybal.announce.wishes import replaced
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, Family
from pybal.bgp.messages import Keepalive, Open
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import FAMILY_LEFT_OUT, Route
from pybal.bgp.settings import PeerSettings
from pybal.model import IPAddress
from tests.bgp.peeringcase import CAPABILITIES, OPEN, THEM, US, VIP, VIP6, PeeringCase, updates


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

    def test_what_stops_this_process_is_done_unless_that_ends(self) -> None:
        done: list[str] = []
        self.establish()
        self.successResultOf(
            Deferred.fromCoroutine(self.bgp.stand_still(lambda: done.append("before")))
        )
        self.bgp.stop("bye")
        self.successResultOf(
            Deferred.fromCoroutine(self.bgp.stand_still(lambda: done.append("after")))
        )
        assert done == ["before"]

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

    def test_what_is_being_replaced_is_shown_under_the_name_of_its_service(self) -> None:
        for wish in (replaced("a", VIP), "a", "b"):
            self.bgp.set_announced(wish, (Advertisement(VIP),))
        self.turn()
        [announced] = self.bgp.snapshot().announced
        assert announced.services == ("a", "b")

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

    def test_of_a_peer_that_says_nothing_there_is_nothing_new_to_show(self) -> None:
        # Hundreds of them are asked for at each scrape, several times.
        end = self.establish()
        first = self.bgp.snapshot()
        self.clock.advance(0.5)
        again = self.bgp.snapshot()
        assert again.peers[0] is first.peers[0]
        assert again.clock_s == first.clock_s + 0.5
        end.say(Keepalive())
        self.turn()
        assert self.peer().messages != first.peers[0].messages

    def test_the_snapshot_is_true_after_any_history_of_wishes(self) -> None:
        # With no session nothing but the routes themselves tells that something has changed.
        self.bgp.start()
        random = Random(3)
        wishes: dict[str, set[IPAddress]] = {}
        for _ in range(100):
            for _ in range(random.randint(1, 4)):
                service = random.choice("abc")
                wishes[service] = {a for a in (VIP, VIP6) if random.random() < 0.5}
                self.bgp.set_announced(service, tuple(map(Advertisement, wishes[service])))
                self.turn()
            shown = {p.prefix: set(p.services) for p in self.bgp.snapshot().announced}
            assert shown == {
                str(Prefix.host(a)): {s for s, of_service in wishes.items() if a in of_service}
                for a in set().union(*wishes.values())
            }

    def test_the_snapshot_follows_a_new_session_of_other_families(self) -> None:
        def opened(family: Family) -> Open:
            return replace(OPEN, capabilities=replace(CAPABILITIES, families=(family,)))

        self.bgp.set_announced("a", (Advertisement(VIP), Advertisement(VIP6)))
        end = self.establish(opened(IPV4_UNICAST))
        assert self.sent() == ("192.0.2.1/32",)
        end.transport.loseConnection()
        self.turn(2)
        self.greet(self.router.ends[-1], opened(IPV6_UNICAST))
        assert self.sent() == ("2001:db8::1/128",)

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
        assert "cannot be told of 1 prefix (2001:db8::2/128): ipv6-unicast was not" in errors[1]

    def test_a_family_that_the_operator_has_left_out_is_no_error(self) -> None:
        self.bgp = self.failover(PeerSettings(ip_address(THEM), families=(IPV4_UNICAST,)))
        self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP), Advertisement(VIP6)))
        self.turn()
        assert self.logged("error") == []
        told = "Peer 10.0.0.9 cannot be told of 1 prefix (2001:db8::1/128): " + FAMILY_LEFT_OUT
        assert told in self.logged("info")

    def test_an_address_that_cannot_be_listened_on_is_an_error_not_the_end(self) -> None:
        self.network.listeners[ip_address(US)] = lambda _: None
        self.establish()
        assert "Cannot listen on 10.0.0.1 port 179" in self.logged("error")[0]

    def test_an_address_that_cannot_be_listened_on_yet_is_tried_again(self) -> None:
        listeners = self.network.listeners
        someone = listeners[ip_address(US)] = lambda _: None
        self.establish()
        self.turn(3)
        assert listeners[ip_address(US)] is someone
        del listeners[ip_address(US)]
        self.turn(60)
        assert ip_address(US) in listeners
        assert len(self.logged("error")) == 1

    def test_a_stop_gives_up_an_address_that_cannot_be_listened_on(self) -> None:
        self.network.listeners[ip_address(US)] = lambda _: None
        self.establish()
        done = self.bgp.stop("bye")
        self.turn(10)
        self.successResultOf(done)
        assert self.clock.getDelayedCalls() == []

    def test_an_aggregate_is_announced_while_one_of_its_group_is(self) -> None:
        end = self.establish()
        network = ip_network("192.0.2.0/24")
        one = Advertisement(VIP, aggregate=network)
        two = Advertisement(ip_address("192.0.2.2"), aggregate=network, host=False)
        self.bgp.set_announced("one", (one,))
        self.bgp.set_announced("two", (two,))
        self.turn()
        [update] = updates(end)[2:]
        assert sorted(map(str, update.prefixes)) == ["192.0.2.0/24", "192.0.2.1/32"]
        end.take()
        self.bgp.set_announced("one", None)
        self.turn()
        assert [str(p) for u in updates(end) for p in u.withdrawn] == ["192.0.2.1/32"]
        end.take()
        self.bgp.set_announced("two", None)
        self.turn()
        assert [str(p) for u in updates(end) for p in u.withdrawn] == ["192.0.2.0/24"]

    def test_routes_that_nobody_wants_any_more_are_forgotten(self) -> None:
        def routes() -> int:
            return sum(isinstance(each, Route) for each in gc.get_objects())

        self.establish()
        before = routes()
        for number in range(1, 2000):
            self.bgp.set_announced("a", (Advertisement(VIP, link_bandwidth=1e6 * number),))
            self.bgp.set_announced("b", (Advertisement(VIP + 1, link_bandwidth=1e6),))
        assert routes() - before < 200
        self.turn()
        assert len(self.sent()) == 2

    def test_extended_communities_and_link_bandwidth_are_announced(self) -> None:
        target = bytes.fromhex("0002fc5800000001")
        self.bgp = self.failover(extended_communities=(target,))
        end = self.establish()
        self.bgp.set_announced("a", (Advertisement(VIP, link_bandwidth=1.25e9),))
        self.turn()
        [update] = [u for u in updates(end) if u.prefixes]
        bandwidth = bytes.fromhex("4004fc004e9502f9")
        assert update.attributes.extended_communities == (target, bandwidth)
        [shown] = self.bgp.snapshot().announced
        assert shown.extended_communities == ("rt:64600:1", "link-bandwidth:64512:1250000000")
