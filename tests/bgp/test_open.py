"""OPEN and capabilities, byte for byte (RFC 4271 sections 4.2 and 6.2, RFC 5492, RFC 9072)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pybal.bgp.codec import Decoder, encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.errors import EncodeError, NotificationError
from pybal.bgp.messages import Capabilities, GracefulRestart, Keepalive, Open, RestartFamily
from pybal.bgp.open import decode_open, encode_open

HEAD = bytes.fromhex("04 fbff 00b4 0a000001".replace(" ", ""))


def body(parameters: bytes = b"", *, size: int | None = None, head: bytes = HEAD) -> bytes:
    return head + bytes((len(parameters) if size is None else size,)) + parameters


def test_open_is_encoded_as_the_rfc_draws_it() -> None:
    capabilities = Capabilities(
        families=(IPV4_UNICAST, IPV6_UNICAST), four_octet_asn=4200000001, route_refresh=True
    )
    message = Open(4200000001, 30, IPv4Address("10.0.0.1"), capabilities)
    assert encode(message).hex() == (
        "ff" * 16 + "003301" + "045ba0001e0a000001" + "16" + "0214"
        "010400010001" + "010400020001" + "0200" + "4104fa56ea01"
    )


@pytest.mark.parametrize(("asn", "on_the_wire"), [(65535, b"\xff\xff"), (65536, b"\x5b\xa0")])
def test_only_an_asn_that_two_octets_cannot_hold_is_as_trans(asn: int, on_the_wire: bytes) -> None:
    assert encode_open(Open(asn, 30, IPv4Address(1), None))[1:3] == on_the_wire


def test_no_capabilities_means_no_optional_parameters() -> None:
    assert encode_open(Open(64512, 30, IPv4Address(1), None))[-1:] == b"\0"


def test_restart_state_and_forwarding_bits_are_where_rfc_4724_puts_them() -> None:
    restart = GracefulRestart(True, True, 120, (RestartFamily(IPV4_UNICAST, True),))
    encoded = encode_open(Open(64512, 30, IPv4Address(1), Capabilities(graceful_restart=restart)))
    assert encoded.endswith(bytes.fromhex("4006c07800010180"))


def test_capabilities_may_come_in_one_parameter_each() -> None:
    decoded = decode_open(body(bytes.fromhex("0202020002064104000186a0")))
    assert decoded.asn == 100000
    assert decoded.capabilities == Capabilities(route_refresh=True, four_octet_asn=100000)


@pytest.mark.parametrize("size", [255, 11, 1])
def test_extended_optional_parameters_are_understood(size: int) -> None:
    # RFC 9072: a length that should be 255, type 255, then two-octet lengths throughout.
    parameters = bytes.fromhex("ff 0008 02 0005 4603".replace(" ", "")) + b"abc"
    decoded = decode_open(body(parameters, size=size))
    assert decoded.capabilities == Capabilities()


def test_extended_parameters_may_be_longer_than_255_octets() -> None:
    unknown = b"\x46\xc8" + bytes(200)
    parameters = (b"\2" + len(unknown).to_bytes(2, "big") + unknown) * 2
    data = b"\xff" + len(parameters).to_bytes(2, "big") + parameters
    assert decode_open(body(data, size=255)).capabilities == Capabilities()


def test_no_extended_parameters_are_none() -> None:
    assert decode_open(body(b"\xff\0\0", size=255)).capabilities is None


def test_a_length_of_0_is_never_the_extended_one() -> None:
    # RFC 9072 section 2.
    with pytest.raises(NotificationError, match="of a wrong length"):
        decode_open(body(b"\xff\0\0", size=0))


def test_a_known_capability_of_a_wrong_length_counts_as_absent() -> None:
    decoded = decode_open(body(bytes.fromhex("0208" + "0103000101" + "410164")))
    assert decoded.capabilities == Capabilities()


BAD_OPENS = [
    ("cut short", HEAD, (2, 0, b"")),
    ("version 3", b"\x03" + body()[1:], (2, 1, b"\0\4")),
    ("ASN 0", body(head=HEAD[:1] + b"\0\0" + HEAD[3:]), (2, 2, b"")),
    ("4-octet ASN 0", body(bytes.fromhex("0206410400000000")), (2, 2, b"")),
    (
        "ASN 0 in two octets alone",
        body(bytes.fromhex("0206410400010001"), head=HEAD[:1] + b"\0\0" + HEAD[3:]),
        (2, 2, b""),
    ),
    ("hold time 1", body(head=HEAD[:3] + b"\0\1" + HEAD[5:]), (2, 6, b"\0\1")),
    ("hold time 2", body(head=HEAD[:3] + b"\0\2" + HEAD[5:]), (2, 6, b"\0\2")),
    ("identifier 0.0.0.0", body(head=HEAD[:5] + bytes(4)), (2, 3, b"")),
    ("authentication parameter", body(b"\1\1x"), (2, 4, b"")),
    ("parameter length beyond the message", body(b"\2\0", size=9), (2, 0, b"")),
    ("parameters shorter than the message", body(b"\2\0", size=0), (2, 0, b"")),
    ("parameter cut short", body(b"\2\5ab"), (2, 0, b"")),
    ("parameter cut short behind a whole capability", body(b"\2\4\2\0"), (2, 0, b"")),
    ("capability cut short", body(b"\2\3\1\4a"), (2, 0, b"")),
    ("capability without length", body(b"\2\1\1"), (2, 0, b"")),
    ("extended length cut short", body(b"\xff\0", size=255), (2, 0, b"")),
    ("extended length beyond the message", body(b"\xff\1\2\2\0\0", size=255), (2, 0, b"")),
    ("extended parameter cut short", body(b"\xff\0\4\2\1\0x", size=255), (2, 0, b"")),
    ("all capabilities but the last parameter", body(b"\2\2\2\0\1\0"), (2, 4, b"")),
]


@pytest.mark.parametrize(("data", "wanted"), [case[1:] for case in BAD_OPENS])
def test_a_bad_open_is_answered_with_its_subcode(
    data: bytes, wanted: tuple[int, int, bytes]
) -> None:
    with pytest.raises(NotificationError) as caught:
        decode_open(data)
    assert (caught.value.code, caught.value.subcode, caught.value.data) == wanted


def test_the_lowest_asn_is_1() -> None:
    assert decode_open(body(head=HEAD[:1] + b"\0\1" + HEAD[3:])).asn == 1
    capability = bytes.fromhex("0206410400000001")
    assert decode_open(body(capability, head=HEAD[:1] + b"\0\1" + HEAD[3:])).asn == 1


def test_hold_time_0_and_3_are_acceptable() -> None:
    assert decode_open(body(head=HEAD[:3] + b"\0\0" + HEAD[5:])).hold_time_s == 0
    assert decode_open(body(head=HEAD[:3] + b"\0\3" + HEAD[5:])).hold_time_s == 3


def test_more_capabilities_than_fit_are_refused_here() -> None:
    # A parameter's header has 2 octets, and a length of 255 is the longer form's (RFC 9072).
    encoded = encode_open(Open(1, 30, IPv4Address(1), Capabilities(unknown=((200, bytes(250)),))))
    assert encoded[9:14] == bytes((254, 2, 252, 200, 250))
    with pytest.raises(EncodeError, match="capabilities of 253 bytes"):
        encode_open(Open(1, 30, IPv4Address(1), Capabilities(unknown=((200, bytes(251)),))))


MARKER = b"\xff" * 16
BAD_HEADERS = [
    ("marker", b"\xff" * 15 + b"\0" + b"\0\x13\4", (1, 1, b"")),
    ("marker, first byte", b"GET / HTTP/1.1", (1, 1, b"")),
    ("length 18", MARKER + b"\0\x12\4", (1, 2, b"\0\x12")),
    ("length 4097", MARKER + b"\x10\x01\2", (1, 2, b"\x10\x01")),
    ("OPEN of 28", MARKER + b"\0\x1c\1", (1, 2, b"\0\x1c")),
    ("UPDATE of 22", MARKER + b"\0\x16\2", (1, 2, b"\0\x16")),
    ("NOTIFICATION of 20", MARKER + b"\0\x14\3", (1, 2, b"\0\x14")),
    ("KEEPALIVE of 20", MARKER + b"\0\x14\4", (1, 2, b"\0\x14")),
    ("type 0", MARKER + b"\0\x13\0", (1, 3, b"\0")),
    ("type 6", MARKER + b"\0\x13\6", (1, 3, b"\6")),
]


@pytest.mark.parametrize(("data", "wanted"), [case[1:] for case in BAD_HEADERS])
def test_a_bad_header_is_answered_with_its_subcode_and_data(
    data: bytes, wanted: tuple[int, int, bytes]
) -> None:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(NotificationError) as caught:
        decoder.next_message()
    assert (caught.value.code, caught.value.subcode, caught.value.data) == wanted


def test_what_has_not_made_a_message_yet_waits() -> None:
    # A next program goes on with it.
    decoder = Decoder()
    decoder.feed(MARKER + b"\0\x13\4" + MARKER[:5])
    assert decoder.next_message() == Keepalive()
    assert decoder.next_message() is None
    assert decoder.waiting == MARKER[:5]


def test_extended_messages_spare_open_and_keepalive() -> None:
    # RFC 8654 section 4.
    for kind, acceptable in ((1, False), (2, True), (3, True), (4, False)):
        decoder = Decoder()
        decoder.max_size = 65535
        decoder.feed(MARKER + (5000).to_bytes(2, "big") + bytes((kind,)))
        if acceptable:
            assert decoder.next_message() is None
        else:
            with pytest.raises(NotificationError, match="Bad Message Length"):
                decoder.next_message()
