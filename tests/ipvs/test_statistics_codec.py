"""What the kernel counts, as its bytes say it."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.ipvs import messages, statistics_codec
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.snapshot import DestinationStatistics, Traffic
from pybal.ipvs.wire import MalformedMessageError, Writer
from tests.ipvs.examples import WEB, WEB6, server

NUMBERS = tuple(n << 33 for n in range(1, 11))
TRAFFIC = Traffic(*NUMBERS)
OF_TRAFFIC = tuple(name.partition("_ATTR_")[2] for name, _ in messages.STATISTICS[1:])

_write_stats = Writer(messages.STATISTICS, *OF_TRAFFIC)
_write_for_service = Writer(messages.MESSAGE, "SERVICE")
_write_for_destination = Writer(messages.MESSAGE, "DEST")


def told(**given: Any) -> bytes:
    """What the kernel tells of a destination with these attributes."""
    return _write_for_destination(Writer(messages.DESTINATION, *given)(*given.values()))


def test_traffic_of_a_service_has_64_bits() -> None:
    attributes = Writer(messages.SERVICE, "AF", "STATS64")(2, _write_stats(*NUMBERS))
    assert statistics_codec.read_service(_write_for_service(attributes)) == TRAFFIC


@pytest.mark.parametrize("key", [WEB, WEB6], ids=str)
def test_a_destination_has_its_connections(key: ServiceKey) -> None:
    where = server(1, key)
    packed, port = where.address.packed, struct.pack(">H", where.port)
    family = 10 if where.address.version == 6 else 2
    body = told(
        ADDR_FAMILY=family,
        ADDR=packed,
        PORT=port,
        ACTIVE_CONNS=1,
        INACT_CONNS=2,
        PERSIST_CONNS=3,
        STATS64=_write_stats(*NUMBERS),
        WEIGHT=7,
    )
    assert statistics_codec.read_destination(body, key) == DestinationStatistics(
        str(where), where.address, 1, 2, 3, TRAFFIC, 7
    )


@pytest.mark.parametrize("key", [WEB, WEB6], ids=str)
def test_a_destination_that_says_no_family_has_that_of_its_service(key: ServiceKey) -> None:
    # Kernels before 3.18 say none. What is not told of is nothing.
    where = server(1, key)
    body = told(ADDR=where.address.packed, PORT=struct.pack(">H", where.port))
    assert statistics_codec.read_destination(body, key) == DestinationStatistics(
        str(where), where.address, 0, 0, 0, Traffic(), 0
    )


def test_a_destination_may_be_of_the_other_family() -> None:
    address = ip_address("2001:db8::7")
    body = told(ADDR_FAMILY=10, ADDR=address.packed, PORT=b"\0\x50")
    assert statistics_codec.read_destination(body, WEB).server == "[2001:db8::7]:80"


def test_a_kernel_without_64_bit_counters_shows_no_traffic() -> None:
    body = _write_for_service(Writer(messages.SERVICE, "AF", "FWMARK")(2, 1))
    assert statistics_codec.read_service(body) == Traffic(*[0] * 10)


def test_a_counter_that_is_not_told_of_is_0() -> None:
    stats = Writer(messages.STATISTICS, "CONNS", "OUTBPS")(5, 6)
    attributes = Writer(messages.SERVICE, "AF", "STATS64")(2, stats)
    expected = Traffic(5, 0, 0, 0, 0, 0, 0, 0, 0, 6)
    assert statistics_codec.read_service(_write_for_service(attributes)) == expected


@pytest.mark.parametrize("given", [{"ADDR": WEB.address.packed}, {"PORT": b"\0\x50"}], ids=str)
def test_a_destination_without_an_address_or_a_port_is_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessageError, match=r"^a destination without an address or a port"):
        statistics_codec.read_destination(told(WEIGHT=1, **given), WEB)


def test_a_message_without_what_was_asked_for_is_an_error() -> None:
    with pytest.raises(MalformedMessageError, match=r"^a message without a service$"):
        statistics_codec.read_service(b"")
    with pytest.raises(MalformedMessageError, match=r"^a message without a destination$"):
        statistics_codec.read_destination(b"", WEB)


@given(st.binary(max_size=120))
def test_any_bytes_end_in_a_value_or_in_malformed_message_error(body: bytes) -> None:
    for read in (
        statistics_codec.read_service,
        lambda data: statistics_codec.read_destination(data, WEB),
    ):
        try:
            read(body)
        except MalformedMessageError as error:
            assert str(error)  # noqa: PT017 - either is right
