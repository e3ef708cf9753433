"""Errors of the speaker: the peer broke the protocol, or we were asked the impossible."""

from __future__ import annotations

from pybal.bgp.constants import SUBCODES, ErrorCode
from pybal.errors import PyBalError


class BGPError(PyBalError):
    """Base of the speaker's expected failures."""


class EncodeError(BGPError):
    """A value of ours cannot be said on the wire; nothing was sent."""


class NotificationError(BGPError):
    """The peer broke the protocol; `code`, `subcode` and `data` are the NOTIFICATION to send."""

    def __init__(self, code: int, subcode: int, data: bytes, detail: str) -> None:
        self.code = code
        self.subcode = subcode
        self.data = data
        self.detail = detail
        name = notification_name(code, subcode)
        super().__init__(f"{name}: {detail}" if detail else name)


def notification_name(code: int, subcode: int) -> str:
    """`Cease/Administrative Shutdown`; numbers where a name is not known."""
    try:
        name = _words(ErrorCode(code).name)
    except ValueError:
        return f"error {code}/{subcode}"
    if subcode == 0:
        return name
    try:
        return f"{name}/{_words(SUBCODES[code](subcode).name)}"
    except (KeyError, ValueError):
        return f"{name}/{subcode}"


def _words(name: str) -> str:
    return " ".join(w if w in {"FSM", "AS", "BGP", "BFD"} else w.title() for w in name.split("_"))
