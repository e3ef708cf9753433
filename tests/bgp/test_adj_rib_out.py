"""What a session was told, what stands in the way, and what is told when that changes."""

from __future__ import annotations

from ipaddress import IPv4Address

from pybal.bgp.adj_rib_out import AdjRIBOut
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.messages import Update
from pybal.bgp.prefix import Prefix
from pybal.bgp.settings import ExportPolicy
from tests.bgp.prefixes import prefix_of
from tests.bgp.test_rib import V4, V6, hosts4, pull_all, route, session


def updates(rib: AdjRIBOut) -> list[Update]:
    """What is said now, without End-of-RIB."""
    said = [message for message in pull_all(rib) if isinstance(message, Update)]
    return [each for each in said if each.prefixes or each.withdrawn or each.mp_reach]


def test_the_version_counts_the_messages_that_changed_what_the_peer_knows() -> None:
    rib = AdjRIBOut(session())
    assert rib.version == 0
    [prefix] = hosts4(1)
    rib.want({prefix: V4})
    pull_all(rib)
    assert (rib.version, rib.sent) == (1, {prefix: V4})
    rib.refresh(IPV4_UNICAST)
    pull_all(rib)
    assert rib.version == 1
    rib.want({})
    pull_all(rib)
    assert (rib.version, rib.sent) == (2, {})


def test_an_obstacle_is_gone_with_its_prefix_or_with_its_cause() -> None:
    rib = AdjRIBOut(session(families=(IPV4_UNICAST,)))
    first, second = hosts4(2)
    rib.want({first: V6, second: V6})
    assert set(rib.obstacles) == {first, second}
    rib.want({second: V4})
    assert rib.obstacles == {}
    assert [each.prefixes for each in updates(rib)] == [(second,)]
    rib.want({second: V6})
    assert set(rib.obstacles) == {second}
    assert [each.withdrawn for each in updates(rib)] == [(second,)]


def test_another_policy_says_the_same_routes_by_its_own_rules() -> None:
    rib = AdjRIBOut(session())
    first, second = hosts4(2)
    rib.want({first: V4, second: V4})
    pull_all(rib)
    rib.set_policy(ExportPolicy(med=70))
    [said] = updates(rib)
    assert set(said.prefixes) == {first, second}
    assert said.attributes.med == 70
    # What is no longer wanted does not come back with a policy.
    rib.want({first: V4})
    rib.set_policy(ExportPolicy(med=80))
    said, gone = sorted(updates(rib), key=lambda each: bool(each.withdrawn))
    assert (said.prefixes, said.attributes.med) == ((first,), 80)
    assert gone.withdrawn == (second,)


def test_a_refresh_that_is_asked_for_twice_is_answered_once() -> None:
    rib = AdjRIBOut(session())
    rib.want(dict.fromkeys(hosts4(1), V4))
    pull_all(rib)
    rib.refresh(IPV4_UNICAST)
    rib.refresh(IPV4_UNICAST)
    assert not rib.in_sync
    assert len(updates(rib)) == 1
    assert rib.in_sync


def test_a_refresh_of_a_family_that_the_session_does_not_have_is_no_work() -> None:
    rib = AdjRIBOut(session(families=(IPV4_UNICAST,)))
    pull_all(rib)
    rib.refresh(IPV6_UNICAST)
    assert rib.in_sync


def test_a_route_shared_by_both_families_is_judged_for_each() -> None:
    rib = AdjRIBOut(session())
    four, six = Prefix.host(IPv4Address("192.0.2.1")), prefix_of("2001:db8::1/128")
    both = route()
    rib.want({four: both, six: both})
    assert set(rib.obstacles) == {six}


def test_after_a_restart_what_is_not_wanted_goes_and_the_end_is_said_once_all_is_known() -> None:
    """RFC 4724 section 4.1: End-of-RIB when the first full set has been said."""
    rib = AdjRIBOut(session(families=(IPV4_UNICAST,)))
    first, second = hosts4(2)
    rib.end_of_rib_held = True
    rib.resume({first: V4, second: V4}, (), ())
    assert rib.version == 1
    rib.want({first: V4})
    assert pull_all(rib) == []
    rib.release()
    gone, end = pull_all(rib)
    assert (gone, end) == (Update(withdrawn=(second,)), Update())
    assert (rib.version, rib.sent) == (2, {first: V4})
