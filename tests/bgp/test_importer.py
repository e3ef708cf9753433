"""What one peer says of our own addresses, from session to session."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from pybal.bgp.as_path import sequence
from pybal.bgp.constants import IPV4_UNICAST, RefreshSubtype
from pybal.bgp.importer import Importer, ToldRoutes
from pybal.bgp.messages import PathAttributes, RouteRefresh
from pybal.bgp.negotiation import negotiate
from pybal.bgp.own_addresses import OwnAddresses
from pybal.bgp.preference import Preferred
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from tests.bgp.peeringcase import OPEN, THEM, VIP
from tests.bgp.prefixes import prefix_of
from tests.bgp.test_import import HOST, said
from tests.bgp.test_rib import V4

SESSION = negotiate(replace(OPEN, asn=64512), OPEN)
OURS = frozenset({ip_address("10.0.0.1")})
OWN = OwnAddresses([VIP])
WIDE, WIDER = prefix_of("192.0.2.0/24"), prefix_of("192.0.0.0/16")


def importer(*, wanted: bool = True) -> Importer:
    made = Importer(ip_address(THEM), wanted=wanted)
    made.set_own(OWN)
    return made


def test_what_is_heard_in_a_session_ends_with_it() -> None:
    peer = importer()
    peer.take(said())
    assert (dict(peer.routes), peer.listens) == ({}, False)
    peer.begin(SESSION, OURS)
    before = peer.version
    peer.take(said())
    assert (list(peer.routes), peer.listens) == ([HOST], True)
    assert peer.version != before
    peer.end()
    assert (dict(peer.routes), peer.not_kept, peer.listens) == ({}, 0, False)


def test_each_session_and_its_end_are_versions_of_their_own() -> None:
    peer = importer()
    versions = [peer.version]
    for change in (peer.end, lambda: peer.set_wanted(False)):
        peer.set_wanted(True)
        peer.begin(SESSION, OURS)
        peer.take(said())
        versions.append(peer.version)
        change()
        versions.append(peer.version)
        peer.set_wanted(True)
    assert len(set(versions)) == len(versions) == 5


def test_a_session_that_goes_on_is_asked_to_say_all_again_if_there_is_something_to_hear() -> None:
    assert importer().begin_again(SESSION, OURS) == SESSION.families
    assert importer(wanted=False).begin_again(SESSION, OURS) == ()
    nothing_own = Importer(ip_address(THEM), wanted=True)
    assert nothing_own.begin_again(SESSION, OURS) == ()
    again = importer()
    again.begin_again(SESSION, OURS)
    again.take(said())
    assert (list(again.routes), again.listens) == ([HOST], True)


def test_switched_on_and_off_in_a_session() -> None:
    peer = importer(wanted=False)
    assert peer.set_wanted(True) == ()
    assert peer.set_wanted(False) == ()
    peer.begin(SESSION, OURS)
    assert peer.listens is False
    assert peer.set_wanted(True) == SESSION.families
    assert peer.set_wanted(True) == ()
    peer.take(said())
    assert list(peer.routes) == [HOST]
    assert peer.set_wanted(False) == ()
    assert dict(peer.routes) == {}


def test_what_is_not_said_again_between_the_markers_is_no_more() -> None:
    peer = importer()
    peer.begin(SESSION, OURS)
    peer.take(said())
    peer.take(said(WIDE))
    peer.marker(RouteRefresh(IPV4_UNICAST, RefreshSubtype.BEGIN))
    peer.take(said())
    peer.marker(RouteRefresh(IPV4_UNICAST, RefreshSubtype.END))
    assert list(peer.routes) == [HOST]


def test_an_address_that_is_ours_no_longer_is_forgotten_with_what_is_around_it() -> None:
    peer = importer()
    peer.begin(SESSION, OURS)
    peer.take(said())
    peer.take(said(WIDE))
    other = OwnAddresses([ip_address("198.51.100.1")])
    assert peer.set_own(other) == (IPV4_UNICAST,)
    assert list(peer.about(VIP, ToldRoutes({}))) == []
    assert dict(peer.routes) == {}


def test_what_may_be_our_own_word_sent_back_is_not_told() -> None:
    peer = importer()
    peer.begin(SESSION, OURS)
    ours = Route(PathAttributes(as_path=sequence((64512,))), ip_address("10.0.0.1"))
    wanted = [
        (ToldRoutes({HOST: ours}), THEM, []),
        (ToldRoutes({HOST: ours}), "10.0.0.77", [HOST]),  # the next hop is neither ours nor its own
        (ToldRoutes({WIDE: ours}), THEM, [HOST]),  # of this one it was told nothing
        (ToldRoutes({}), THEM, [HOST]),
    ]
    for told, hop, prefixes in wanted:
        peer.take(said(HOST, 64600, 64512, hop=IPv4Address(hop)))
        assert [prefix for prefix, _, _ in peer.about(VIP, told)] == prefixes


def test_whom_the_peer_prefers_is_told_by_what_it_was_told() -> None:
    peer = importer()
    peer.begin(SESSION, OURS)
    peer.take(said(HOST, 64600, 64600, 64600))
    peer.take(said(WIDE, 64600))
    ours = Route(PathAttributes(as_path=sequence((64512,))), ip_address("10.0.0.1"))
    for told, who in (
        ({}, [Preferred.OTHERS, Preferred.OTHERS]),
        ({HOST: ours}, [Preferred.US, Preferred.US]),
        ({WIDER: ours}, [Preferred.OTHERS, Preferred.OTHERS]),
    ):
        assert [each for _, _, each in peer.about(VIP, ToldRoutes(told))] == who


def test_the_most_specific_is_told_first() -> None:
    peer = importer()
    peer.begin(SESSION, OURS)
    for prefix in (WIDER, HOST, WIDE):
        peer.take(said(prefix))
    assert [prefix for prefix, _, _ in peer.about(VIP, ToldRoutes({}))] == [HOST, WIDE, WIDER]
    assert list(peer.about(ip_address("198.51.100.1"), ToldRoutes({}))) == []


def test_what_a_peer_knows_of_an_address_is_the_most_specific() -> None:
    routes: dict[Prefix, Route] = {WIDER: V4, WIDE: V4}
    told = ToldRoutes(routes)
    assert told.best(HOST) == (WIDE, V4)
    assert (told.get(WIDE), told.get(HOST)) == (V4, None)
    assert ToldRoutes({**routes, HOST: V4}).best(HOST) == (HOST, V4)
    assert ToldRoutes({}).best(HOST) is None
