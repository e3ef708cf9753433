"""Each capability, byte for byte, as its document draws it."""

from __future__ import annotations

import pytest

from pybal.bgp.capabilities import (
    CapabilityError,
    decode_capabilities,
    encode_capabilities,
    split_capabilities,
)
from pybal.bgp.constants import AFI_IPV6, IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.errors import EncodeError
from pybal.bgp.messages import (
    Capabilities,
    ExtendedNextHop,
    GracefulRestart,
    LongLivedFamily,
    RestartFamily,
)

FOUR = RestartFamily(IPV4_UNICAST, True)
SIX = RestartFamily(IPV6_UNICAST, False)

DRAWN = [
    # RFC 4760 section 8: AFI, a reserved octet, SAFI.
    (Capabilities(families=(IPV4_UNICAST, IPV6_UNICAST)), [(1, "00010001"), (1, "00020001")]),
    # RFC 2918, RFC 7313, RFC 8654: no value.
    (Capabilities(route_refresh=True), [(2, "")]),
    (Capabilities(enhanced_route_refresh=True), [(70, "")]),
    (Capabilities(extended_message=True), [(6, "")]),
    # RFC 8950 section 4: AFI, SAFI and next hop AFI, two octets each.
    (
        Capabilities(extended_next_hop=(ExtendedNextHop(IPV4_UNICAST, AFI_IPV6),)),
        [(5, "000100010002")],
    ),
    # RFC 9234 section 4.1.
    (Capabilities(roles=(3,)), [(9, "03")]),
    # RFC 4724 section 3, RFC 8538 section 2: R is 0x8 of the four flags, N is 0x4.
    (Capabilities(graceful_restart=GracefulRestart(False, False, 120, ())), [(64, "0078")]),
    (Capabilities(graceful_restart=GracefulRestart(True, False, 0, ())), [(64, "8000")]),
    (Capabilities(graceful_restart=GracefulRestart(False, True, 0, ())), [(64, "4000")]),
    (
        Capabilities(graceful_restart=GracefulRestart(True, True, 4095, (FOUR, SIX))),
        [(64, "cfff0001018000020100")],
    ),
    # RFC 6793 section 3.
    (Capabilities(four_octet_asn=4200000001), [(65, "fa56ea01")]),
    # RFC 9494 section 3.1: AFI, SAFI, flags, 24 bits of stale time.
    (
        Capabilities(
            long_lived=(
                LongLivedFamily(IPV4_UNICAST, True, 0x010203),
                LongLivedFamily(IPV6_UNICAST, False, 0xFFFFFF),
            )
        ),
        [(71, "0001018001020300020100ffffff")],
    ),
    (Capabilities(unknown=((73, b"x"),)), [(73, "78")]),
]


@pytest.mark.parametrize(("capabilities", "drawn"), DRAWN)
def test_each_is_written_and_read_as_it_is_drawn(
    capabilities: Capabilities, drawn: list[tuple[int, str]]
) -> None:
    items = tuple((code, bytes.fromhex(value)) for code, value in drawn)
    assert encode_capabilities(capabilities) == items
    assert decode_capabilities(items) == capabilities


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (1, "000100"),
        (1, "0001000101"),
        (2, "00"),
        (5, ""),
        (5, "0001000100"),
        (5, "00010001000200"),
        (6, "00"),
        (9, ""),
        (9, "0102"),
        (64, "40"),
        (64, "400000"),
        (64, "40000001018000"),
        (65, "000001"),
        (70, "00"),
        (71, "000101800102"),
        (71, "0001018001020300"),
    ],
)
def test_a_wrong_length_is_no_capability_and_no_error(code: int, value: str) -> None:
    assert decode_capabilities(((code, bytes.fromhex(value)),)) == Capabilities()


def test_what_is_said_twice_counts_once() -> None:
    family, role = (1, bytes.fromhex("00010001")), (9, b"\x03")
    decoded = decode_capabilities((family, family, role, role, (9, b"\x04")))
    assert decoded == Capabilities(families=(IPV4_UNICAST,), roles=(3, 4))


@pytest.mark.parametrize("data", ["02", "0201", "0200410400"])
def test_a_list_that_is_cut_short_is_refused(data: str) -> None:
    with pytest.raises(CapabilityError, match="cut short"):
        split_capabilities(bytes.fromhex(data))


def test_a_list_is_split_to_its_end() -> None:
    assert split_capabilities(bytes.fromhex("0200090103")) == ((2, b""), (9, b"\x03"))
    assert split_capabilities(b"") == ()


def restart_of(seconds: int) -> Capabilities:
    return Capabilities(graceful_restart=GracefulRestart(False, False, seconds, ()))


def long_lived_of(seconds: int) -> Capabilities:
    return Capabilities(long_lived=(LongLivedFamily(IPV4_UNICAST, False, seconds),))


@pytest.mark.parametrize(
    "capabilities",
    [
        restart_of(-1),
        restart_of(4096),
        long_lived_of(-1),
        long_lived_of(0x1000000),
        Capabilities(unknown=((73, b"x" * 256),)),
    ],
)
def test_what_does_not_fit_is_not_written(capabilities: Capabilities) -> None:
    with pytest.raises(EncodeError):
        encode_capabilities(capabilities)


def test_the_largest_that_fits_is_written() -> None:
    assert encode_capabilities(long_lived_of(0))[0][1].hex() == "00010100000000"
    [(_, value)] = encode_capabilities(Capabilities(unknown=((73, b"x" * 255),)))
    assert len(value) == 255
