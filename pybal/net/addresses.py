"""Host names and addresses as text. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

from pybal.model import IPAddress

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HOST_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([0-9]{1,5}))?")
_MAX_NAME = 253


def parse_address(text: str) -> IPAddress | None:
    """An IPv4 or IPv6 address without a zone, or None."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    return address


def is_host_name(text: str) -> bool:
    """Whether the text is a plausible DNS name; underscores and a final dot are fine."""
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= _MAX_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        # 10.0.0.300 and 10.0.1 are addresses that went wrong, not names.
        and not labels[-1].isdigit()
    )


def is_host(text: str) -> bool:
    """Whether the text is a plausible DNS name or an address."""
    return is_host_name(text) or parse_address(text) is not None


def bracketed(host: IPAddress | str) -> str:
    """A host as it stands before a port: an IPv6 address in brackets."""
    text = str(host)
    return f"[{text}]" if ":" in text else text


def endpoint(host: IPAddress | str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def split_host_port(text: str, default_port: int) -> tuple[str, int] | None:
    """`host`, `host:port`, `[v6]` or `[v6]:port` of a URL, or None if it is none of these."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        return None
    literal, name, digits = match.groups()
    port = default_port if digits is None else int(digits)
    if not 1 <= port <= 65535:
        return None
    if literal is not None:
        return (literal, port) if isinstance(parse_address(literal), IPv6Address) else None
    return (name, port) if is_host(name) else None
