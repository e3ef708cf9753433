"""Roles of BGP peers (RFC 9234)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from pybal.bgp.capabilities import decode_capabilities, encode_capabilities
from pybal.bgp.constants import IPV4_UNICAST, Role
from pybal.bgp.errors import NotificationError
from pybal.bgp.export import export
from pybal.bgp.messages import Capabilities, Open, PathAttributes
from pybal.bgp.negotiation import check_open, local_open, negotiate
from pybal.bgp.rib import Route
from pybal.bgp.settings import ExportPolicy, PeerSettings, SpeakerSettings
from tests.bgp.peeringcase import CAPABILITIES, OPEN, THEM, PeeringCase, notifications

PEER = ip_address("10.0.0.9")


def opened(asn: int, *roles: int) -> Open:
    return Open(asn, 90, IPv4Address(asn), Capabilities(roles=roles))


def test_a_role_survives_the_wire_and_a_second_one_is_kept_to_be_refused() -> None:
    one = Capabilities(roles=(3,))
    assert encode_capabilities(one) == ((9, b"\3"),)
    assert decode_capabilities(((9, b"\3"), (9, b"\3"))) == one
    assert decode_capabilities(((9, b"\3"), (9, b"\0"))).roles == (3, 0)
    assert decode_capabilities(((9, b"\3\3"),)).roles == ()
    assert one.names() == ("role-customer",)


FITTING = {(0, 3), (3, 0), (1, 2), (2, 1), (4, 4)}


@pytest.mark.parametrize("ours", range(5))
@pytest.mark.parametrize("theirs", range(6))
def test_which_roles_fit(ours: int, theirs: int) -> None:
    if (ours, theirs) in FITTING:
        check_open(opened(2, theirs), opened(1, ours), None)
        return
    with pytest.raises(NotificationError) as caught:
        check_open(opened(2, theirs), opened(1, ours), None)
    assert (caught.value.code, caught.value.subcode) == (2, 11)


def test_a_peer_without_a_role_is_refused_only_strictly_and_two_roles_always() -> None:
    check_open(opened(2), opened(1, 3), None)
    check_open(opened(2), opened(1), None, role_strict=True)
    for theirs, strict in (((), True), ((0, 3), False)):
        with pytest.raises(NotificationError, match="the peer's must be provider"):
            check_open(opened(2, *theirs), opened(1, 3), None, role_strict=strict)


def test_within_an_as_there_are_no_roles() -> None:
    check_open(opened(1, 0), replace(opened(1, 0), bgp_identifier=IPv4Address(9)), None)
    peer = PeerSettings(PEER, asn=64512, role=Role.CUSTOMER)
    speaker = SpeakerSettings(64512, IPv4Address(1), (peer,), ())
    for asn, roles in ((64512, ()), (64600, (3,)), (None, (3,))):
        capabilities = local_open(speaker, replace(peer, asn=asn), restarting=False).capabilities
        assert capabilities is not None
        assert capabilities.roles == roles


@pytest.mark.parametrize(
    ("ours", "mark"), [(0, 1), (1, 1), (4, 1), (2, None), (3, None), (None, None)]
)
def test_what_is_only_for_customers_is_marked(ours: int | None, mark: int | None) -> None:
    session = negotiate(opened(1) if ours is None else opened(1, ours), opened(2))
    route = Route(PathAttributes(as_path=()), PEER)
    found = export(route, IPV4_UNICAST, session, ExportPolicy())
    assert found.attributes.only_to_customer == mark


class RoleTest(PeeringCase):
    def test_a_peer_whose_role_does_not_fit_is_told_so(self) -> None:
        self.bgp = self.failover(PeerSettings(ip_address(THEM), role=Role.CUSTOMER))
        self.router.listen()
        self.bgp.start()
        self.turn()
        end = self.router.ends[-1]
        end.say(replace(OPEN, capabilities=replace(CAPABILITIES, roles=(3,))))
        self.turn()
        assert notifications(end) == [(2, 11)]
        assert "our role is customer, so the peer's must be provider; it is customer" in str(
            self.peer().last_error
        )
