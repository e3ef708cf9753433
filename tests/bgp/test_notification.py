"""NOTIFICATION texts and ROUTE-REFRESH (RFC 9003, RFC 2918, RFC 7313)."""

from __future__ import annotations

import pytest

from pybal.bgp.constants import IPV4_UNICAST
from pybal.bgp.errors import NotificationError, notification_name
from pybal.bgp.messages import Notification, RouteRefresh
from pybal.bgp.notification import (
    decode_route_refresh,
    encode_notification,
    encode_route_refresh,
    shutdown,
    shutdown_text,
)


def test_the_shutdown_text_is_preceded_by_its_length() -> None:
    assert encode_notification(shutdown("bye")) == b"\6\2\3bye"
    assert shutdown_text(shutdown("bye")) == "bye"


def test_a_long_text_is_cut_at_a_character_not_within_one() -> None:
    message = shutdown("x" + "é" * 200)
    assert message.data[0] == len(message.data) - 1 == 255
    assert shutdown_text(message) == "x" + "é" * 127


def test_no_text_means_no_data() -> None:
    assert shutdown("").data == b""
    assert shutdown_text(shutdown("")) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xff", None), (b"\5ab", "ab"), (b"\2\xff\xfe", "\ufffd\ufffd"), (b"\0", None)],
)
def test_a_broken_text_of_a_peer_is_shown_as_far_as_it_goes(data: bytes, text: str | None) -> None:
    assert shutdown_text(Notification(6, 2, data)) == text


def test_names_are_for_people() -> None:
    assert notification_name(6, 2) == "Cease/Administrative Shutdown"
    assert notification_name(2, 2) == "Open Message/Bad Peer AS"
    assert notification_name(4, 0) == "Hold Timer Expired"
    assert notification_name(6, 99) == "Cease/99"
    assert notification_name(8, 1) == "Send Hold Timer Expired/1"
    assert notification_name(77, 1) == "error 77/1"


def test_route_refresh_carries_the_subtype_in_the_reserved_octet() -> None:
    assert encode_route_refresh(RouteRefresh(IPV4_UNICAST, 1)) == b"\0\1\1\1"


def test_a_refresh_of_a_wrong_length_is_answered_with_the_whole_message() -> None:
    with pytest.raises(NotificationError) as caught:
        decode_route_refresh(b"\0\1\1")
    assert (caught.value.code, caught.value.subcode) == (7, 1)
    assert caught.value.data == b"\xff" * 16 + b"\0\x16\5" + b"\0\1\1"


FILTERS = b"\x01" + b"\x80\x00\x0c" + b"\0\0\0\5\0\x18\x20\x18\x0a\0\0\0"
"""Refresh at once, with one address prefix filter of 12 bytes (RFC 5291, RFC 5292)."""


def test_outbound_filters_that_nobody_has_agreed_on_are_passed_over() -> None:
    asked = decode_route_refresh(b"\0\1\0\1" + FILTERS)
    assert asked == RouteRefresh(IPV4_UNICAST, 0)
    two = decode_route_refresh(b"\0\1\0\1" + FILTERS + b"\x40\0\1\x80")
    assert two == RouteRefresh(IPV4_UNICAST, 0)
    for wrong in (FILTERS[:-1], FILTERS + b"\0", b"\3" + FILTERS[1:], b"\1"):
        with pytest.raises(NotificationError):
            decode_route_refresh(b"\0\1\0\1" + wrong)
    with pytest.raises(NotificationError):
        decode_route_refresh(b"\0\1\1\1" + FILTERS)
