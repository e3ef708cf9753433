"""Bytes and values: what is written reads back, agrees with pyroute2, and junk is an error."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.ipvs import codec, messages, wire
from pybal.ipvs.connection import IPVSMessage
from pybal.ipvs.messages import VERSION, Command
from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Persistence,
    Service,
    ServiceKey,
)
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.wire import MalformedMessageError
from tests.ipvs.examples import KEYS, WEB, WEB6, destination
from tests.ipvs.strategies import destinations, services

FAMILY = 21

keys = st.sampled_from(KEYS)
any_service = keys.flatmap(services)
any_destination = keys.flatmap(lambda key: st.tuples(st.just(key), destinations(key)))


@given(any_service)
def test_a_service_reads_back_as_it_was_written(service: Service) -> None:
    for operation in (AddService(service), EditService(service)):
        assert codec.read_service(codec.request(operation)[1]) == service


@given(any_destination)
def test_a_destination_reads_back_as_it_was_written(pair: tuple[ServiceKey, Destination]) -> None:
    key, written = pair
    for operation in (AddDestination(key, written), EditDestination(key, written)):
        assert codec.read_destination(codec.request(operation)[1], key) == written


def test_each_operation_has_its_command() -> None:
    operations: dict[Command, Operation] = {
        Command.NEW_SERVICE: AddService(Service(WEB, "rr")),
        Command.SET_SERVICE: EditService(Service(WEB, "rr")),
        Command.DEL_SERVICE: RemoveService(WEB),
        Command.NEW_DEST: AddDestination(WEB, destination(1)),
        Command.SET_DEST: EditDestination(WEB, destination(1)),
        Command.DEL_DEST: RemoveDestination(WEB, destination(1).key),
    }
    for expected, operation in operations.items():
        assert codec.request(operation)[0] == expected


def pyroute2_view(operation: Operation) -> Any:
    """The whole request as pyroute2 decodes it."""
    command, attributes = codec.request(operation)
    data = wire.request(FAMILY, wire.NLM_F_ACK, 7, command, VERSION, attributes)
    message = IPVSMessage(data)
    message.decode()
    return message


def test_pyroute2_understands_a_service_request() -> None:
    service = Service(WEB6, "mh", True, 3, Persistence(300, 64), "sip")
    message = pyroute2_view(AddService(service))
    assert message["header"]["type"] == FAMILY
    assert message["header"]["flags"] == wire.NLM_F_REQUEST | wire.NLM_F_ACK
    assert message["header"]["sequence_number"] == 7
    assert (message["cmd"], message["version"]) == (Command.NEW_SERVICE, VERSION)
    attributes = message.get_attr("IPVS_CMD_ATTR_SERVICE")
    assert attributes.get_attr("IPVS_SVC_ATTR_AF") == 10
    assert attributes.get_attr("IPVS_SVC_ATTR_PROTOCOL") == 6
    assert attributes.get_attr("IPVS_SVC_ATTR_ADDR") == WEB6.address.packed
    assert attributes.get_attr("IPVS_SVC_ATTR_PORT") == 80
    assert attributes.get_attr("IPVS_SVC_ATTR_SCHED_NAME") == "mh"
    assert attributes.get_attr("IPVS_SVC_ATTR_PE_NAME") == "sip"
    flags = attributes.get_attr("IPVS_SVC_ATTR_FLAGS")
    assert (flags["flags"], flags["mask"]) == (0x1 | 0x4 | 3 << 3, 0xFFFFFFFD)
    assert attributes.get_attr("IPVS_SVC_ATTR_TIMEOUT") == 300
    assert attributes.get_attr("IPVS_SVC_ATTR_NETMASK") == (64).to_bytes(4, "little")


def test_pyroute2_understands_a_destination_request() -> None:
    written = Destination(destination(1).key, 0, Forwarding.TUNNEL, 9, 5)
    message = pyroute2_view(EditDestination(WEB, written))
    assert message["cmd"] == Command.SET_DEST
    attributes = message.get_attr("IPVS_CMD_ATTR_DEST")
    assert attributes.get_attr("IPVS_DEST_ATTR_ADDR_FAMILY") == 2
    assert attributes.get_attr("IPVS_DEST_ATTR_ADDR") == written.key.address.packed
    assert attributes.get_attr("IPVS_DEST_ATTR_PORT") == 80
    assert attributes.get_attr("IPVS_DEST_ATTR_FWD_METHOD") == 2
    assert attributes.get_attr("IPVS_DEST_ATTR_WEIGHT") == 0
    assert attributes.get_attr("IPVS_DEST_ATTR_U_THRESH") == 9
    assert attributes.get_attr("IPVS_DEST_ATTR_L_THRESH") == 5


def test_what_pyroute2_builds_reads_as_a_service() -> None:
    message = IPVSMessage()
    message["cmd"], message["version"] = Command.NEW_SERVICE, VERSION
    attributes = [
        ("IPVS_SVC_ATTR_AF", 2),
        ("IPVS_SVC_ATTR_PROTOCOL", 17),
        ("IPVS_SVC_ATTR_ADDR", ip_address("192.0.2.9").packed),
        ("IPVS_SVC_ATTR_PORT", 53),
        ("IPVS_SVC_ATTR_SCHED_NAME", "wrr"),
        ("IPVS_SVC_ATTR_FLAGS", {"flags": 0x4 | 0x2, "mask": 0xFFFFFFFF}),
    ]
    message["attrs"] = [("IPVS_CMD_ATTR_SERVICE", {"attrs": attributes})]
    message.encode()
    (answer,) = wire.split(bytes(message.data))
    key = ServiceKey(WEB.protocol.UDP, ip_address("192.0.2.9"), 53)
    assert codec.read_service(wire.body(answer)) == Service(key, "wrr", one_packet=True)


def service_message(**attributes: Any) -> bytes:
    inner = wire.Writer(messages.SERVICE, *attributes)(*attributes.values())
    return wire.Writer(messages.MESSAGE, "SERVICE")(inner)


def destination_message(**attributes: Any) -> bytes:
    inner = wire.Writer(messages.DESTINATION, *attributes)(*attributes.values())
    return wire.Writer(messages.MESSAGE, "DEST")(inner)


VIP = WEB.address.packed
PORT = (80).to_bytes(2, "big")
HASHED = (2).to_bytes(4, "little") + bytes(4)
PERSISTENT = (1).to_bytes(4, "little") + bytes(4)


def test_services_beyond_a_service_key_are_named() -> None:
    esp = service_message(AF=2, PROTOCOL=50, ADDR=VIP, PORT=PORT, SCHED_NAME=b"rr\0", FLAGS=HASHED)
    assert codec.read_service(esp) == "IP protocol 50 192.0.2.1:80 (rr)"


def test_the_kernels_own_flag_is_not_ours() -> None:
    hashed = service_message(
        AF=2, PROTOCOL=6, ADDR=VIP, PORT=PORT, SCHED_NAME=b"rr\0", FLAGS=HASHED
    )
    assert codec.read_service(hashed) == Service(WEB, "rr")


def test_a_netmask_with_holes_is_read_as_none() -> None:
    service = service_message(
        AF=2,
        PROTOCOL=6,
        ADDR=VIP,
        PORT=PORT,
        SCHED_NAME=b"rr\0",
        FLAGS=PERSISTENT,
        TIMEOUT=60,
        NETMASK=ip_address("255.0.255.0").packed,
    )
    assert codec.read_service(service) == Service(WEB, "rr", persistence=Persistence(60, None))


def test_what_no_kernel_documents_is_read_as_unknown_forwarding() -> None:
    for method, tunnel_type in ((5, 0), (7, 0), (2, 9)):
        written = destination_message(
            ADDR=VIP, PORT=PORT, FWD_METHOD=method, WEIGHT=1, TUN_TYPE=tunnel_type
        )
        assert codec.read_destination(written, WEB).forwarding is Forwarding.UNKNOWN


def test_a_destination_without_a_family_has_its_services() -> None:
    for key in (WEB, WEB6):
        written = destination_message(ADDR=key.address.packed, PORT=PORT, FWD_METHOD=3, WEIGHT=1)
        assert codec.read_destination(written, key).key.address == key.address


def test_attributes_count_wherever_they_stand_and_whatever_stands_between() -> None:
    names = ["WEIGHT", "STATS", "PORT", "FWD_METHOD", "ACTIVE_CONNS", "ADDR", "STATS64"]
    values = {"STATS": bytes(7), "STATS64": bytes(300), "ADDR": VIP + bytes(12), "PORT": PORT}
    for shift in range(len(names)):
        turned = names[shift:] + names[:shift]
        for weight in (1, 2):  # The second message is read by what the first has taught.
            numbers = {"WEIGHT": weight, "FWD_METHOD": 3, "ACTIVE_CONNS": 77}
            written = destination_message(**{name: {**values, **numbers}[name] for name in turned})
            found = codec.read_destination(written, WEB)
            assert found == Destination(DestinationKey(WEB.address, 80), weight, Forwarding.DIRECT)


def test_messages_of_one_length_with_different_attributes_are_told_apart() -> None:
    one = destination_message(ADDR=VIP, PORT=PORT, FWD_METHOD=3, WEIGHT=1, U_THRESH=9)
    other = destination_message(ADDR=VIP, PORT=PORT, FWD_METHOD=3, WEIGHT=1, L_THRESH=9)
    for _ in range(2):
        assert codec.read_destination(one, WEB).upper_threshold == 9
        assert codec.read_destination(other, WEB).lower_threshold == 9


@given(any_service, st.data())
def test_a_damaged_service_ends_in_a_value_or_the_declared_error(
    service: Service, data: st.DataObject
) -> None:
    damaged = damage(codec.request(AddService(service))[1], data)
    with contextlib.suppress(MalformedMessageError):
        assert isinstance(codec.read_service(damaged), Service | str)


@given(any_destination, st.data())
def test_a_damaged_destination_ends_in_a_value_or_the_declared_error(
    pair: tuple[ServiceKey, Destination], data: st.DataObject
) -> None:
    key, written = pair
    damaged = damage(codec.request(AddDestination(key, written))[1], data)
    with contextlib.suppress(MalformedMessageError):
        assert isinstance(codec.read_destination(damaged, key), Destination)


def damage(whole: bytes, data: st.DataObject) -> bytes:
    """The bytes cut off somewhere, with some of them changed."""
    result = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    if result:
        changes = st.tuples(st.integers(0, len(result) - 1), st.integers(0, 255))
        for index, value in data.draw(st.lists(changes, max_size=4)):
            result[index] = value
    return bytes(result)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_values_or_the_declared_error(junk: bytes) -> None:
    try:
        for message in wire.split(junk):
            wire.status(message)
            codec.read_service(wire.body(message))
            codec.read_destination(wire.body(message), WEB)
    except MalformedMessageError:
        pass


@pytest.mark.parametrize("length", range(1, 16))
def test_half_a_netlink_header_is_an_error(length: int) -> None:
    with pytest.raises(MalformedMessageError):
        list(wire.split(bytes(length)))


def test_a_message_that_claims_no_length_does_not_loop() -> None:
    with pytest.raises(MalformedMessageError):
        list(wire.split(bytes(64)))


def without(body: bytes, definition: messages.AttributeMap, name: str) -> bytes:
    """A message of one nested value, without the attribute of that name."""
    names = [each.partition("_ATTR_")[2] for each, _ in definition]
    outer, data, kept = struct.unpack_from("=HH", body)[1], body[4:], b""
    while data:
        size, number = struct.unpack_from("=HH", data)
        padded = (size + 3) & ~3
        if number != names.index(name):
            kept += data[:padded]
        data = data[padded:]
    assert len(kept) < len(body) - 4
    return struct.pack("=HH", 4 + len(kept), outer) + kept


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("AF", "a family or a scheduler"),
        ("SCHED_NAME", "a family or a scheduler"),
        ("FLAGS", "flags"),
        ("PROTOCOL", "a protocol, an address or a port"),
        ("ADDR", "a protocol, an address or a port"),
        ("PORT", "a protocol, an address or a port"),
    ],
)
def test_a_service_that_lacks_something_is_an_error_that_names_it(name: str, what: str) -> None:
    body = codec.request(AddService(Service(WEB, "rr")))[1]
    with pytest.raises(MalformedMessageError, match=f"^a service without {what}$"):
        codec.read_service(without(body, messages.SERVICE, name))


@pytest.mark.parametrize("name", ["TIMEOUT", "NETMASK"])
def test_persistence_that_lacks_something_is_an_error_that_names_it(name: str) -> None:
    service = Service(WEB, "rr", persistence=Persistence(300, 24))
    body = codec.request(AddService(service))[1]
    with pytest.raises(MalformedMessageError, match="persistence without a timeout"):
        codec.read_service(without(body, messages.SERVICE, name))


@pytest.mark.parametrize("name", ["ADDR", "PORT", "FWD_METHOD", "WEIGHT"])
def test_a_destination_that_lacks_something_is_an_error_that_names_it(name: str) -> None:
    body = codec.request(AddDestination(WEB, destination(1)))[1]
    end = struct.unpack_from("=H", body)[0] + 3 & ~3  # of the service that it belongs to
    service, body = body[:end], body[end:]
    with pytest.raises(MalformedMessageError, match="a destination without address, port"):
        codec.read_destination(service + without(body, messages.DESTINATION, name), WEB)
