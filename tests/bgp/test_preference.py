"""Whom a router prefers: RFC 4271 section 9.1.2.2, as far as attributes decide it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pybal.bgp.adj_rib_in import HeardRoute
from pybal.bgp.as_path import path_length, sequence
from pybal.bgp.constants import GRACEFUL_SHUTDOWN_COMMUNITY, Origin, SegmentType
from pybal.bgp.messages import ASPath, PathAttributes, Segment
from pybal.bgp.negotiation import Session, negotiate
from pybal.bgp.preference import Preferred, may_be_ours, preferred
from pybal.bgp.rib import Route
from pybal.bgp.settings import Confederation
from tests.bgp.peeringcase import OPEN, THEM
from tests.bgp.prefixes import prefix_of

WE, PEER, ELSE = 64512, OPEN.asn, 64513
EXTERNAL = negotiate(replace(OPEN, asn=WE), OPEN)
INTERNAL = negotiate(OPEN, OPEN)
MEMBER = negotiate(replace(OPEN, asn=WE), OPEN, Confederation(65000, frozenset({PEER})))
HOST, WIDE = prefix_of("192.0.2.1/32"), prefix_of("192.0.2.0/24")
HOP = ip_address(THEM)
LEAVING = (GRACEFUL_SHUTDOWN_COMMUNITY,)
US, OTHERS, ALIKE = Preferred.US, Preferred.OTHERS, Preferred.ALIKE


def ours(*asns: int, **own: Any) -> Route:
    values = {"origin": Origin.IGP, "as_path": sequence(asns), **own}
    return Route(PathAttributes(**values), ip_address("10.0.0.1"))


def heard(*asns: int, **own: Any) -> HeardRoute:
    values = {"origin": Origin.IGP, "path_length": len(asns), **own}
    return HeardRoute(HOP, as_path=asns, **values)


def test_a_router_that_was_told_nothing_prefers_others() -> None:
    assert preferred(None, HOST, heard(PEER), EXTERNAL) is OTHERS


def test_the_more_specific_prefix_wins_whatever_else_is_said() -> None:
    assert preferred((HOST, ours(WE, WE)), WIDE, heard(PEER), EXTERNAL) is US
    assert preferred((WIDE, ours(WE)), HOST, heard(PEER, PEER), EXTERNAL) is OTHERS


@pytest.mark.parametrize(
    ("own", "said", "who"),
    [
        # The peer itself announces it, or passes on what another director in our AS does.
        (ours(WE), heard(PEER), ALIKE),
        (ours(WE), heard(PEER, WE), ALIKE),
        # The shorter path: the peer's own AS, which it puts in front, does not count.
        (ours(WE), heard(PEER, PEER), US),
        (ours(WE, WE), heard(PEER), OTHERS),
        (ours(WE, WE), heard(PEER, WE), OTHERS),
        # A router that passes on a worse route has its reasons.
        (ours(WE), heard(PEER, ELSE, ELSE), OTHERS),
        (ours(WE), heard(PEER, WE, origin=Origin.INCOMPLETE), OTHERS),
        # A route server puts nothing in front.
        (ours(WE), heard(ELSE, WE), US),
        # An AS that leaves comes last (RFC 8326), whatever the path.
        (ours(WE), heard(PEER, communities=LEAVING), US),
        (ours(WE, communities=LEAVING), heard(PEER, PEER), OTHERS),
        # LOCAL_PREF says nothing between ASes.
        (ours(WE, local_pref=50), heard(PEER, local_pref=200), ALIKE),
        # Then the origin; none is none that is known.
        (ours(WE), heard(PEER, origin=Origin.INCOMPLETE), US),
        (ours(WE, origin=None), heard(PEER, origin=Origin.EGP), OTHERS),
        (ours(WE, origin=None), heard(PEER, origin=Origin.INCOMPLETE), ALIKE),
        # MEDs are compared within one neighbouring AS, and none is the lowest.
        (ours(WE, med=100), heard(PEER, WE, med=100), ALIKE),
        (ours(WE, med=100), heard(PEER, WE, med=99), OTHERS),
        (ours(WE, med=1), heard(PEER, WE), OTHERS),
        (ours(WE, med=100), heard(PEER, ELSE, med=0), ALIKE),
        (ours(WE, med=100), heard(PEER, med=0), ALIKE),
        # Of a set, which counts once, no less is left than nothing.
        (ours(), heard(PEER, PEER, ELSE, path_length=1), ALIKE),
    ],
)
def test_between_two_ases(own: Route, said: HeardRoute, who: Preferred) -> None:
    assert preferred((HOST, own), HOST, said, EXTERNAL) is who


@pytest.mark.parametrize(
    ("own", "said", "who"),
    [
        (ours(), heard(), ALIKE),
        # LOCAL_PREF first, which is 100 where it is not said.
        (ours(local_pref=100), heard(), ALIKE),
        (ours(), heard(local_pref=100), ALIKE),
        (ours(local_pref=101), heard(), US),
        (ours(), heard(local_pref=101), OTHERS),
        (ours(local_pref=101), heard(origin=Origin.IGP, med=0), US),
        (ours(local_pref=101), heard(PEER), OTHERS),
        # What has come from another AS or by reflection, the router passes on: it prefers it.
        (ours(), heard(ELSE), OTHERS),
        (ours(local_pref=101), heard(reflected=True), OTHERS),
        # Of two that begin in this AS the MED counts.
        (ours(), heard(med=1), US),
        (ours(med=1), heard(), OTHERS),
        (ours(med=1), heard(med=1), ALIKE),
    ],
)
def test_within_one_as(own: Route, said: HeardRoute, who: Preferred) -> None:
    assert preferred((HOST, own), HOST, said, INTERNAL) is who


def confederate(*asns: int) -> Segment:
    return Segment(SegmentType.AS_CONFED_SEQUENCE, asns)


@pytest.mark.parametrize(
    ("path", "theirs", "who"),
    [
        # Members do not count (RFC 5065 section 5.3), so none is taken off either.
        ((confederate(WE),), (confederate(PEER, PEER),), ALIKE),
        ((confederate(WE), *sequence((ELSE,))), (confederate(PEER), *sequence((ELSE,))), ALIKE),
        ((confederate(WE), *sequence((ELSE,))), (confederate(PEER),), OTHERS),
    ],
)
def test_within_a_confederation(path: ASPath, theirs: ASPath, who: Preferred) -> None:
    asns = [asn for segment in theirs for asn in segment.asns]
    said = heard(*asns, path_length=path_length(theirs))
    assert preferred((HOST, ours(as_path=path)), HOST, said, MEMBER) is who


SENT = ours(WE, med=100, communities=(1,))
BACK = heard(PEER, WE, med=100, communities=(1,))


@pytest.mark.parametrize(
    ("said", "session", "may_be"),
    [
        (BACK, EXTERNAL, True),
        (replace(BACK, marked=True), EXTERNAL, False),  # by another director
        (replace(BACK, next_hop=ip_address("10.0.0.77")), EXTERNAL, False),
        (replace(BACK, next_hop=None), EXTERNAL, True),
        (replace(BACK, next_hop=ip_address("2001:db8::77")), EXTERNAL, True),  # its other address
        (replace(BACK, med=None), EXTERNAL, True),  # it need not pass on a MED, or communities
        (replace(BACK, med=99), EXTERNAL, False),
        (replace(BACK, communities=()), EXTERNAL, True),
        (replace(BACK, communities=(2,)), EXTERNAL, False),
        (replace(BACK, as_path=(PEER, PEER, WE)), EXTERNAL, True),  # prepended
        (replace(BACK, as_path=(PEER, ELSE)), EXTERNAL, False),
        (replace(BACK, as_path=(WE,)), EXTERNAL, False),  # nobody has passed it on
        (replace(BACK, as_path=(WE,)), INTERNAL, False),
    ],
)
def test_what_a_router_may_just_have_sent_back(
    said: HeardRoute, session: Session, may_be: bool
) -> None:
    assert may_be_ours(SENT, said, session, HOP) is may_be


def test_what_has_no_path_of_ours_was_not_sent_back() -> None:
    bare = Route(PathAttributes(), HOP)
    assert not may_be_ours(bare, heard(PEER), EXTERNAL, HOP)
    assert preferred((HOST, bare), HOST, heard(PEER), EXTERNAL) is US
