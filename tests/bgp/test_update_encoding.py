"""UPDATEs octet by octet, as they are sent: RFC 4271 section 4.3, RFC 4760, RFC 6793."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from pybal.bgp.attributes import Scope
from pybal.bgp.constants import IPV6_UNICAST, Origin
from pybal.bgp.messages import Aggregator, MPReach, MPUnreach, PathAttributes, Update
from pybal.bgp.update_encoding import encode_mp_reach, encode_mp_unreach, encode_update
from tests.bgp.prefixes import prefix_of

HOST6 = prefix_of("2001:db8::1/128")
TWO_OCTETS = Scope(four_octet_asn=False)


def attributes_of(attributes: PathAttributes, scope: Scope) -> str:
    """In hexadecimal, without the lengths around them."""
    return encode_update(Update(attributes=attributes), scope)[4:].hex()


def test_ipv6_prefixes_are_reached_and_withdrawn_by_family() -> None:
    reach = MPReach(IPV6_UNICAST, (IPv6Address("2001:db8::9"),), (HOST6,))
    assert encode_mp_reach(reach).hex() == (
        "800e26" "0002" "01" "10" "20010db8000000000000000000000009" "00"
        "80" "20010db8000000000000000000000001"
    )  # fmt: skip
    unreach = MPUnreach(IPV6_UNICAST, (HOST6, prefix_of("2001:db8::/32")))
    assert encode_mp_unreach(unreach).hex() == (
        "800f19" "0002" "01" "80" "20010db8000000000000000000000001" "20" "20010db8"
    )  # fmt: skip


def test_attributes_are_in_the_order_of_their_codes_whatever_their_flags() -> None:
    """RFC 4271 section 5."""
    attributes = PathAttributes(
        origin=Origin.IGP, as_path=(), med=1, local_pref=2, atomic_aggregate=True, communities=(3,)
    )
    assert attributes_of(attributes, Scope()) == (
        "40010100" "400200" "80040400000001" "40050400000002" "400600" "c0080400000003"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asn", "scope", "octets"),
    [
        (65535, Scope(), "c007080000ffffc0000201"),
        (65536, Scope(), "c0070800010000c0000201"),
        (65535, TWO_OCTETS, "c00706ffffc0000201"),
        # RFC 6793 section 4.2.2: AS_TRANS, and the true one in AS4_AGGREGATOR.
        (65536, TWO_OCTETS, "c007065ba0c0000201c0120800010000c0000201"),
    ],
)
def test_an_aggregators_asn_that_does_not_fit_is_said_apart(
    asn: int, scope: Scope, octets: str
) -> None:
    aggregator = Aggregator(asn, IPv4Address("192.0.2.1"))
    assert attributes_of(PathAttributes(aggregator=aggregator), scope) == octets
