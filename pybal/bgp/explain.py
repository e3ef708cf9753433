"""A NOTIFICATION in words, its data decoded (RFC 4271 section 4.5 and its successors). Pure."""

from __future__ import annotations

from collections.abc import Callable

from pybal.bgp.attributes import EXTENDED
from pybal.bgp.capabilities import CapabilityError, split_capabilities
from pybal.bgp.constants import (
    HEADER_SIZE,
    AttributeType,
    CapabilityCode,
    CeaseSubcode,
    ErrorCode,
    Family,
    HeaderSubcode,
    MessageType,
    OpenSubcode,
    RefreshErrorSubcode,
    UpdateSubcode,
)
from pybal.bgp.messages import Notification, Open
from pybal.bgp.notification import shutdown_text, unwrapped
from pybal.runtime.naming import named

_SHOWN_BYTES = 32
_SHOWN_CODES = 10
_Explainer = Callable[[bytes], "str | None"]


def describe(message: Notification, ours: Open) -> str:
    """One line for people of what a peer has sent: the name, and what the data says. `ours` is the
    OPEN that it has had of us."""
    inner = unwrapped(message)
    name = str(message) if inner is message else f"{message} with {inner}"
    text = shutdown_text(inner)
    if text is not None:
        return f'{name} ("{text}")'
    words = _refusal(inner, ours)
    if words is None:
        words = _data_in_words(inner)
    return f"{name}: {words}" if words else name


def limit_reached(message: Notification) -> bool:
    """Whether we have announced more than the peer takes (RFC 4486 section 4)."""
    inner = unwrapped(message)
    return inner.code == ErrorCode.CEASE and inner.subcode == CeaseSubcode.MAXIMUM_PREFIXES


def _refusal(message: Notification, ours: Open) -> str | None:
    """What of our OPEN the peer does not like; its data often repeats it, or is left out."""
    data = message.data
    if message.code != ErrorCode.OPEN_MESSAGE:
        return None
    match message.subcode:
        case OpenSubcode.BAD_PEER_AS:
            asn = int.from_bytes(data, "big") if len(data) in (2, 4) else ours.asn
            return f"peer refuses our AS {asn or ours.asn}"
        case OpenSubcode.BAD_BGP_IDENTIFIER:
            return f"peer refuses our router ID {ours.bgp_identifier}"
        case OpenSubcode.UNACCEPTABLE_HOLD_TIME:
            return f"peer refuses our hold time of {ours.hold_time_s} s"
        case OpenSubcode.ROLE_MISMATCH:
            return "the role that the peer has configured for us does not fit ours (RFC 9234)"
    return None


def _data_in_words(message: Notification) -> str | None:
    explain = _EXPLAINERS.get((message.code, message.subcode))
    if explain is None and message.code == ErrorCode.UPDATE_MESSAGE:
        explain = _attribute
    if explain is None and message.code == ErrorCode.FSM:
        explain = _unexpected
    words = explain(message.data) if explain is not None else None
    return words if words is not None else _hex(message.data)


def _hex(data: bytes) -> str | None:
    if not data:
        return None
    more = "..." if len(data) > _SHOWN_BYTES else ""
    return f"data {data[:_SHOWN_BYTES].hex()}{more}"


def _length(data: bytes) -> str | None:
    return f"a message of {int.from_bytes(data, 'big')} bytes" if len(data) == 2 else None


def _message_name(number: int) -> str:
    try:
        return MessageType(number).name.replace("_", "-")
    except ValueError:
        return f"a message of type {number}"


def _kind(data: bytes) -> str | None:
    return _message_name(data[0]) if len(data) == 1 else None


def _unexpected(data: bytes) -> str | None:
    """RFC 6608 section 3: the type of the message that was not expected."""
    return f"{_message_name(data[0])} was not expected" if len(data) == 1 else None


def _version(data: bytes) -> str | None:
    spoken = int.from_bytes(data, "big")
    return f"the peer speaks BGP version {spoken}" if len(data) == 2 else None


def _parameter(data: bytes) -> str | None:
    return f"parameter {data[0]}" if data else None


def _capabilities(data: bytes) -> str | None:
    """RFC 5492 section 5: those that the peer asks for, or cannot live with."""
    try:
        codes = [code for code, _ in split_capabilities(data)]
    except CapabilityError:
        return None
    if not codes:
        return None
    return f"it is about {named(list(map(_capability_name, codes)), _SHOWN_CODES)}"


def _capability_name(code: int) -> str:
    try:
        return f"capability {CapabilityCode(code).name.lower().replace('_', '-')}"
    except ValueError:
        return f"capability {code}"


def _attribute_name(code: int) -> str:
    try:
        return AttributeType(code).name
    except ValueError:
        return f"attribute {code}"


def _attribute(data: bytes) -> str | None:
    """RFC 4271 section 6.3: the attribute as it came."""
    if len(data) < 2:
        return None
    flags, code = data[0], data[1]
    value = data[4 if flags & EXTENDED else 3 :]
    name = _attribute_name(code)
    shown = value[:_SHOWN_BYTES].hex() + ("..." if len(value) > _SHOWN_BYTES else "")
    return f"{name} with flags {flags:#04x}, value {shown or 'empty'}"


def _missing(data: bytes) -> str | None:
    """RFC 4271 section 6.3: the type of the attribute alone."""
    return f"{_attribute_name(data[0])} is missing" if len(data) == 1 else _attribute(data)


def _whole_attribute(data: bytes) -> str | None:
    """What some send where nothing is foreseen."""
    extended = len(data) > 3 and bool(data[0] & EXTENDED)
    head = 4 if extended else 3
    whole = len(data) >= head and len(data) == head + int.from_bytes(data[2:head], "big")
    return _attribute(data) if whole else _hex(data)


def _refresh(data: bytes) -> str | None:
    """RFC 7313 section 5: the whole message, or what some send of it."""
    whole = len(data) > HEADER_SIZE and data[HEADER_SIZE - 1] == MessageType.ROUTE_REFRESH
    body = data[HEADER_SIZE:] if whole else data
    if not 4 <= len(body) < HEADER_SIZE:
        return None
    family = Family(int.from_bytes(body[:2], "big"), body[3])
    return f"a ROUTE-REFRESH of {family}, subtype {body[2]}, of {len(body)} bytes"


def _limit(data: bytes) -> str | None:
    """RFC 4486 section 4: AFI, SAFI and the upper bound."""
    if len(data) != 7:
        return None
    family = Family(int.from_bytes(data[:2], "big"), data[2])
    return f"the peer takes {int.from_bytes(data[3:], 'big')} prefixes of {family} at most"


def _said(text: str) -> _Explainer:
    """For those whose name needs a word more; data is not foreseen, but shown."""

    def explain(data: bytes) -> str:
        return f"{text}, {_hex(data)}" if data else text

    return explain


_EXPLAINERS: dict[tuple[int, int], _Explainer] = {
    (ErrorCode.MESSAGE_HEADER, HeaderSubcode.CONNECTION_NOT_SYNCHRONIZED): _said(
        "the bytes do not begin a BGP message"
    ),
    (ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_MESSAGE_LENGTH): _length,
    (ErrorCode.MESSAGE_HEADER, HeaderSubcode.BAD_MESSAGE_TYPE): _kind,
    (ErrorCode.OPEN_MESSAGE, OpenSubcode.UNSUPPORTED_VERSION): _version,
    (ErrorCode.OPEN_MESSAGE, OpenSubcode.UNSUPPORTED_OPTIONAL_PARAMETER): _parameter,
    (ErrorCode.OPEN_MESSAGE, OpenSubcode.UNSUPPORTED_CAPABILITY): _capabilities,
    (ErrorCode.UPDATE_MESSAGE, UpdateSubcode.MALFORMED_ATTRIBUTE_LIST): _whole_attribute,
    (ErrorCode.UPDATE_MESSAGE, UpdateSubcode.MISSING_WELL_KNOWN_ATTRIBUTE): _missing,
    (ErrorCode.UPDATE_MESSAGE, UpdateSubcode.INVALID_NETWORK_FIELD): _hex,
    (ErrorCode.UPDATE_MESSAGE, UpdateSubcode.MALFORMED_AS_PATH): _whole_attribute,
    (ErrorCode.ROUTE_REFRESH_MESSAGE, RefreshErrorSubcode.INVALID_MESSAGE_LENGTH): _refresh,
    (ErrorCode.HOLD_TIMER_EXPIRED, 0): _said("the peer heard nothing for its hold time"),
    (ErrorCode.CEASE, CeaseSubcode.MAXIMUM_PREFIXES): _limit,
    (ErrorCode.CEASE, CeaseSubcode.PEER_DECONFIGURED): _said("we are no peer of it any more"),
    (ErrorCode.CEASE, CeaseSubcode.CONNECTION_REJECTED): _said(
        "the peer takes no connection of ours now"
    ),
    (ErrorCode.CEASE, CeaseSubcode.CONNECTION_COLLISION): _said("another connection stays"),
    (ErrorCode.CEASE, CeaseSubcode.BFD_DOWN): _said("BFD says that the path is dead"),
    (ErrorCode.SEND_HOLD_TIMER_EXPIRED, 0): _said("we did not read"),
}
