"""Where a value of the kernel's is just enough, and where one is missing; what is sent exactly."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from pybal.ipvs import codec, messages, wire
from pybal.ipvs.model import (
    IPIP,
    MAX_WEIGHT,
    Destination,
    Forwarding,
    Persistence,
    Service,
    ServiceKey,
    Tunnel,
    TunnelType,
)
from pybal.ipvs.operations import AddDestination, AddService, RemoveDestination, RemoveService
from pybal.ipvs.wire import MalformedMessageError, Reader
from tests.ipvs.examples import MARK, MARK6, WEB, WEB6, server

SERVICE: dict[str, Any] = {
    "AF": 2,
    "PROTOCOL": 6,
    "ADDR": WEB.address.packed,
    "PORT": b"\0\x50",
    "SCHED_NAME": b"rr\0",
    "FLAGS": bytes(8),
}
DESTINATION: dict[str, Any] = {
    "ADDR": WEB.address.packed,
    "PORT": b"\0\x50",
    "FWD_METHOD": 3,
    "WEIGHT": 1,
}


def read_service(**changes: Any) -> Service | str:
    """A service of the kernel's with these attributes changed; None leaves one out."""
    given = {name: value for name, value in (SERVICE | changes).items() if value is not None}
    inner = wire.Writer(messages.SERVICE, *given)(*given.values())
    return codec.read_service(wire.Writer(messages.MESSAGE, "SERVICE")(inner))


def read_destination(key: ServiceKey = WEB, **changes: Any) -> Destination:
    given = {name: value for name, value in (DESTINATION | changes).items() if value is not None}
    inner = wire.Writer(messages.DESTINATION, *given)(*given.values())
    return codec.read_destination(wire.Writer(messages.MESSAGE, "DEST")(inner), key)


def sent(operation: AddDestination | RemoveDestination, *names: str) -> tuple[Any, ...]:
    """These attributes of the destination that a request holds."""
    _, inner = Reader(messages.MESSAGE, "SERVICE", "DEST")(codec.request(operation)[1])
    return Reader(messages.DESTINATION, *names)(inner)


def test_commands_have_the_kernels_numbers() -> None:
    # include/uapi/linux/ip_vs.h, which gives the family version 1.
    assert messages.VERSION == 1
    assert {each.name: each.value for each in messages.Command} == {
        "NEW_SERVICE": 1,
        "SET_SERVICE": 2,
        "DEL_SERVICE": 3,
        "GET_SERVICE": 4,
        "NEW_DEST": 5,
        "SET_DEST": 6,
        "DEL_DEST": 7,
        "GET_DEST": 8,
        "NEW_DAEMON": 9,
        "DEL_DAEMON": 10,
        "GET_DAEMON": 11,
        "SET_CONFIG": 12,
        "GET_CONFIG": 13,
    }


def test_requests_are_to_the_octet_what_the_kernels_header_draws() -> None:
    service = Service(WEB, "rr", persistence=Persistence(300, 24), persistence_engine="sip")
    assert codec.request(AddService(service))[1].hex(" ", 4) == (
        "50000180 06000100 02000000 06000200 06000000 08000300 c0000201 06000400 00500000"
        " 07000600 72720000 0c000700 01000000 fdffffff 08000800 2c010000 08000900 ffffff00"
        " 08000b00 73697000"
    )
    gue = Tunnel(TunnelType.GUE, 5555, 1)
    tunnelled = Destination(server(1), 10, Forwarding.TUNNEL, 9, 5, gue)
    _, inner = Reader(messages.MESSAGE, "SERVICE", "DEST")(
        codec.request(AddDestination(WEB, tunnelled))[1]
    )
    assert inner.hex(" ", 4) == (
        "06000b00 02000000 08000100 c6336401 06000200 00500000 08000300 02000000"
        " 08000400 0a000000 08000500 09000000 08000600 05000000"
        " 05000d00 01000000 06000e00 15b30000 06000f00 01000000"
    )


@pytest.mark.parametrize(
    ("weight", "on_the_wire"),
    [(-1, 2**31), (0, 0), (1, 1), (MAX_WEIGHT, MAX_WEIGHT), (MAX_WEIGHT + 1, 2**31)],
)
def test_a_weight_out_of_range_is_sent_as_one_that_the_kernel_refuses(
    weight: int, on_the_wire: int
) -> None:
    operation = AddDestination(WEB, Destination(server(1), weight, Forwarding.DIRECT))
    assert sent(operation, "WEIGHT", "PORT") == (on_the_wire, b"\0\x50")


def test_only_a_tunnel_that_is_not_ipip_has_the_attributes_of_one() -> None:
    names = ("TUN_TYPE", "TUN_PORT", "TUN_FLAGS")
    gue = Tunnel(TunnelType.GUE, 5555, 1)
    wanted = [
        (Forwarding.DIRECT, gue, (None, None, None)),
        (Forwarding.TUNNEL, IPIP, (None, None, None)),
        (Forwarding.TUNNEL, gue, (1, (5555).to_bytes(2, "big"), 1)),
    ]
    for forwarding, tunnel, attributes in wanted:
        written = Destination(server(1), 1, forwarding, tunnel=tunnel)
        assert sent(AddDestination(WEB, written), *names) == attributes
    assert sent(RemoveDestination(WEB, server(1)), "WEIGHT", "ADDR_FAMILY") == (None, 2)


def test_a_mark_has_no_protocol_address_or_port() -> None:
    read = Reader(messages.SERVICE, "AF", "FWMARK", "PROTOCOL", "ADDR", "PORT")
    for key, family in ((MARK, 2), (MARK6, 10)):
        _, body = codec.request(RemoveService(key))
        inner, _ = Reader(messages.MESSAGE, "SERVICE", "DEST")(body)
        assert read(inner) == (family, 5, None, None, None)
    assert read_service(FWMARK=5, PROTOCOL=None, ADDR=None, PORT=None) == Service(MARK, "rr")
    marked6 = read_service(AF=10, FWMARK=5, PROTOCOL=None, ADDR=None, PORT=None)
    assert marked6 == Service(MARK6, "rr")
    assert read_service(FWMARK=0) == Service(WEB, "rr")


def test_a_service_always_has_a_netmask_and_a_timeout() -> None:
    wanted = [
        (Service(WEB, "rr"), (0, b"\xff\xff\xff\xff")),
        (Service(WEB6, "rr"), (0, (128).to_bytes(4, "little"))),
        (Service(WEB, "rr", persistence=Persistence(60, 20)), (60, b"\xff\xff\xf0\0")),
        (Service(WEB, "rr", persistence=Persistence(60, None)), (60, b"\xff\xff\xff\xff")),
    ]
    for service, attributes in wanted:
        inner, _ = Reader(messages.MESSAGE, "SERVICE", "DEST")(
            codec.request(AddService(service))[1]
        )
        read = Reader(messages.SERVICE, "TIMEOUT", "NETMASK", "PE_NAME")
        assert read(inner) == (*attributes, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"FLAGS": bytes(7)}, "a service without flags"),
        ({"ADDR": bytes(3)}, "an address of 3 bytes in family 2"),
        ({"AF": 10, "ADDR": bytes(15)}, "an address of 15 bytes in family 10"),
        ({"AF": 3, "ADDR": bytes(16)}, "an address of 16 bytes in family 3"),
        ({"FLAGS": b"\1" + bytes(7)}, "persistence without a timeout or a netmask"),
        (
            {"FLAGS": b"\1" + bytes(7), "TIMEOUT": 9},
            "persistence without a timeout or a netmask",
        ),
        (
            {"FLAGS": b"\1" + bytes(7), "NETMASK": bytes(4)},
            "persistence without a timeout or a netmask",
        ),
        (
            {"FLAGS": b"\1" + bytes(7), "TIMEOUT": 9, "NETMASK": bytes(3)},
            "persistence without a timeout or a netmask",
        ),
    ],
)
def test_a_service_with_something_too_short_or_missing_is_an_error(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(MalformedMessageError, match=f"^{reason}$"):
        read_service(**changes)


def test_a_message_without_what_was_asked_for_is_an_error() -> None:
    with pytest.raises(MalformedMessageError, match=r"^a message without a service$"):
        codec.read_service(b"")
    with pytest.raises(MalformedMessageError, match=r"^a message without a destination$"):
        codec.read_destination(b"", WEB)


def test_the_flags_of_a_service_are_told_apart() -> None:
    base = {"TIMEOUT": 9, "NETMASK": b"\xff\xff\xff\0"}
    wanted: list[tuple[int, dict[str, Any]]] = [
        (0x1, {"persistence": Persistence(9, 24)}),
        (0x2, {}),
        (0x4, {"one_packet": True}),
        (0x8, {"scheduler_flags": 1}),
        (0x10, {"scheduler_flags": 2}),
        (0x20, {"scheduler_flags": 4}),
        (0x40, {}),
    ]
    for bits, settings in wanted:
        read = read_service(FLAGS=bits.to_bytes(4, "little") + bytes(4), **base)
        assert read == Service(WEB, "rr", **settings)


def test_a_netmask_of_an_ipv6_service_is_a_length() -> None:
    read = read_service(
        AF=10,
        ADDR=WEB6.address.packed,
        FLAGS=b"\1" + bytes(7),
        TIMEOUT=9,
        NETMASK=(64).to_bytes(4, "little"),
    )
    assert read == Service(WEB6, "rr", persistence=Persistence(9, 64))


def test_a_text_ends_at_its_first_0_and_need_not_be_utf_8() -> None:
    read = read_service(SCHED_NAME=b"wrr\0junk", PE_NAME=b"s\xffp\0")
    assert read == Service(WEB, "wrr", persistence_engine="s\\xffp")


def test_a_destination_may_be_of_the_other_family_and_of_thresholds_and_tunnels_say_nothing() -> (
    None
):
    address6 = ip_address("2001:db8::7")
    other = read_destination(WEB, ADDR_FAMILY=10, ADDR=address6.packed)
    assert (other.key.address, other.upper_threshold, other.lower_threshold) == (address6, 0, 0)
    assert other.tunnel == IPIP
    gre = read_destination(FWD_METHOD=2, TUN_TYPE=2, U_THRESH=5, L_THRESH=4)
    assert gre.tunnel == Tunnel(TunnelType.GRE, 0, 0)
    assert (gre.upper_threshold, gre.lower_threshold) == (5, 4)
    gue = read_destination(FWD_METHOD=2, TUN_TYPE=1, TUN_PORT=b"\x15\xb3", TUN_FLAGS=2)
    assert gue.tunnel == Tunnel(TunnelType.GUE, 5555, 2)


def test_of_the_forwarding_flags_the_lowest_three_bits_are_the_method() -> None:
    # The others are the kernel's own (IP_VS_CONN_F_*).
    assert read_destination(FWD_METHOD=0x100 | 2).forwarding is Forwarding.TUNNEL
    assert read_destination(FWD_METHOD=0x8 | 4).forwarding is Forwarding.BYPASS
    assert read_destination(FWD_METHOD=3, TUN_TYPE=1).tunnel == IPIP
