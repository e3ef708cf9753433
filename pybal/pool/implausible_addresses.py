"""Addresses that a server can hardly have been meant to have. Pure."""

from __future__ import annotations

from collections.abc import Callable

from pybal.model import IPAddress

IsOwnAddress = Callable[[IPAddress], bool]
"""Whether an address is one of this director's."""


def why_implausible(
    address: IPAddress, former: IPAddress | None, vip: IPAddress, is_own: IsOwnAddress
) -> str:
    """Why a server is hardly at `address`, to follow it in a sentence; empty if it may well be.
    `former` is where it was before; None: it is new.

    A director may serve itself, so its own addresses are refused only to servers that were
    elsewhere before.
    """
    if address == vip:
        return "is the service's own address"
    if former is None or former.is_loopback or is_own(former):
        return ""
    if address.is_loopback:
        return "is a loopback address"
    return "is an address of this director" if is_own(address) else ""
