"""NOTIFICATION texts and ROUTE-REFRESH (RFC 9003, RFC 2918, RFC 7313)."""

from __future__ import annotations

import pytest

from pybal.bgp.constants import IPV4_UNICAST
from pybal.bgp.errors import NotificationError, notification_name
from pybal.bgp.messages import Notification, RouteRefresh
from pybal.bgp.notification import (
    decode_notification,
    decode_route_refresh,
    encode_notification,
    encode_route_refresh,
    hard_reset,
    is_collision,
    shutdown,
    shutdown_text,
    unwrapped,
)


def test_the_shutdown_text_is_preceded_by_its_length() -> None:
    assert encode_notification(shutdown("bye")) == b"\6\2\3bye"
    assert shutdown_text(shutdown("bye")) == "bye"


def test_a_long_text_is_cut_at_a_character_not_within_one() -> None:
    message = shutdown("x" + "é" * 200)
    assert message.data[0] == len(message.data) - 1 == 255
    assert shutdown_text(message) == "x" + "é" * 127
    assert shutdown("x" * 300).data == b"\xff" + b"x" * 255


def test_no_text_means_no_data() -> None:
    assert shutdown("").data == b""
    assert shutdown_text(shutdown("")) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xff", None),
        (b"\5ab", "ab"),
        (b"\2\xff\xfe", "\ufffd\ufffd"),
        (b"\0", None),
        (b"\7a\n\x1b[2Jb", r"a\n\x1b[2Jb"),
    ],
)
def test_a_broken_text_of_a_peer_is_shown_as_far_as_it_goes(data: bytes, text: str | None) -> None:
    assert shutdown_text(Notification(6, 2, data)) == text


def test_a_text_has_what_its_length_says_and_comes_with_two_reasons_alone() -> None:
    assert shutdown_text(Notification(6, 2, b"\2abc")) == "ab"
    assert shutdown_text(Notification(6, 4, b"\2abc")) == "ab"
    assert shutdown_text(Notification(6, 3, b"\2abc")) is None
    assert shutdown_text(Notification(5, 2, b"\2abc")) is None


def test_what_a_hard_reset_carries_is_what_the_peer_means() -> None:
    inside = Notification(6, 4, b"\3bye")
    wrapped = hard_reset(inside)
    assert wrapped == Notification(6, 9, b"\6\4\3bye")
    assert unwrapped(wrapped) == inside
    assert unwrapped(hard_reset(Notification(6, 2))) == Notification(6, 2)
    # It should carry one; from who sends none or half of one it is taken as it is.
    for bare in (Notification(6, 9), Notification(6, 9, b"\6")):
        assert unwrapped(bare) == bare
    for other in (Notification(6, 2, b"\6\4"), Notification(3, 9, b"\6\4")):
        assert unwrapped(other) == other


def test_a_collision_is_known_by_its_code_and_its_subcode() -> None:
    assert is_collision(decode_notification(b"\6\7"))
    assert not is_collision(decode_notification(b"\6\2"))
    assert not is_collision(decode_notification(b"\3\7"))


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
    long = decode_route_refresh(b"\0\1\0\1" + b"\1\x40\x01\x02" + bytes(258))
    assert long == RouteRefresh(IPV4_UNICAST, 0)
    for wrong in (FILTERS[:-1], FILTERS + b"\0", b"\3" + FILTERS[1:], b"\1"):
        with pytest.raises(NotificationError):
            decode_route_refresh(b"\0\1\0\1" + wrong)
    with pytest.raises(NotificationError):
        decode_route_refresh(b"\0\1\1\1" + FILTERS)


def test_filters_may_come_at_once_or_later_and_one_may_be_empty() -> None:
    for when in (b"\1", b"\2"):
        asked = decode_route_refresh(b"\0\1\0\1" + when + b"\x40\0\0")
        assert asked == RouteRefresh(IPV4_UNICAST, 0)
    for wrong in (b"\0\x40\0\0", b"\1\x40\0", b"\1\x40\0\1", b"\1\x40\0\0\0\0"):
        with pytest.raises(NotificationError):
            decode_route_refresh(b"\0\1\0\1" + wrong)


def test_of_a_long_refresh_the_answer_carries_what_fits_an_ordinary_message() -> None:
    body = b"\0\1\3\1" + bytes(range(256)) * 20
    message = b"\xff" * 16 + (19 + len(body)).to_bytes(2, "big") + b"\5" + body
    with pytest.raises(NotificationError) as caught:
        decode_route_refresh(body)
    assert caught.value.data == message[: 4096 - 19 - 2]
