"""Round trips, and: any bytes end in a value or a declared error."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pybal.bgp.attributes import Scope, Severity
from pybal.bgp.codec import Decoder, Received, encode
from pybal.bgp.constants import MARKER, MAX_EXTENDED_MESSAGE_SIZE, MAX_MESSAGE_SIZE
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import Message, Notification, Open, Update
from pybal.bgp.update import DecodedUpdate, decode_update
from tests.bgp.strategies import opens, others, updates
from tests.examples import examples

four_octet = Scope(four_octet_asn=True, internal=True)
two_octet = Scope(four_octet_asn=False, internal=True)
scopes = st.builds(Scope, st.booleans(), st.booleans())


def decode_all(data: bytes, scope: Scope, max_size: int = MAX_MESSAGE_SIZE) -> list[Received]:
    decoder = Decoder()
    decoder.scope = scope
    decoder.max_size = max_size
    decoder.feed(data)
    messages = []
    while (message := decoder.next_message()) is not None:
        messages.append(message)
    return messages


def through_the_wire(message: Message, scope: Scope) -> Received:
    [received] = decode_all(encode(message, scope), scope)
    return received


@given(opens | others)
def test_a_message_survives_the_wire(message: Open) -> None:
    assert through_the_wire(message, four_octet) == message


@given(updates)
def test_an_update_survives_the_wire_to_a_4_octet_peer(update: Update) -> None:
    assert through_the_wire(update, four_octet) == DecodedUpdate(update)


@given(updates)
def test_an_update_survives_the_wire_to_a_2_octet_peer(update: Update) -> None:
    received = through_the_wire(update, two_octet)
    assert isinstance(received, DecodedUpdate)
    assert received.faults == ()
    path, sent = received.update.attributes.as_path, update.attributes.as_path
    assert asn_list(path) == asn_list(sent)
    without_path = replace(received.update.attributes, as_path=sent)
    assert replace(received.update, attributes=without_path) == update


def asn_list(path: object) -> list[int]:
    """The ASNs in order; a merge may cut one segment into two of a kind."""
    if not isinstance(path, tuple):
        return []
    return [asn for segment in path if segment.kind < 3 for asn in segment.asns]


@given(st.binary(max_size=200), scopes)
def test_any_stream_ends_in_messages_or_a_notification(data: bytes, scope: Scope) -> None:
    never_crashes(data, scope)


@given(st.integers(0, 7), st.binary(max_size=200), scopes)
def test_any_body_ends_in_a_message_or_a_notification(kind: int, body: bytes, scope: Scope) -> None:
    data = MARKER + (19 + len(body)).to_bytes(2, "big") + bytes((kind,)) + body
    never_crashes(data, scope)


@settings(max_examples=examples(1.2))
@given(updates | opens, st.data(), scopes)
def test_a_damaged_message_ends_in_a_message_or_a_notification(
    message: Update, data: st.DataObject, scope: Scope
) -> None:
    wire = bytearray(encode(message, scope))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(19, len(wire) - 1)) if len(wire) > 19 else 18
        wire[position] = data.draw(st.integers(0, 255))
    never_crashes(bytes(wire), scope)


def never_crashes(data: bytes, scope: Scope) -> None:
    try:
        decode_all(data, scope, MAX_EXTENDED_MESSAGE_SIZE)
    except NotificationError as error:
        # It can be sent, whatever it carries.
        encode(Notification(error.code, error.subcode, error.data))


@given(st.binary(max_size=120), scopes)
def test_treat_as_withdraw_leaves_nothing_announced(attributes: bytes, scope: Scope) -> None:
    body = b"\0\0" + len(attributes).to_bytes(2, "big") + attributes + b"\x20\x0a\0\0\1"
    try:
        decoded = decode_update(body, scope)
    except NotificationError:
        return
    if decoded.severity is Severity.TREAT_AS_WITHDRAW:
        assert decoded.update.prefixes == ()
        assert decoded.update.mp_reach is None
        assert [str(prefix) for prefix in decoded.update.withdrawn] == ["10.0.0.1/32"]


@given(st.lists(opens | others, max_size=4), st.integers(1, 30))
def test_the_stream_may_come_in_pieces_of_any_size(messages: list[Open], size: int) -> None:
    wire = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    received = []
    for start in range(0, len(wire), size):
        decoder.feed(wire[start : start + size])
        while (message := decoder.next_message()) is not None:
            received.append(message)
    assert received == messages
