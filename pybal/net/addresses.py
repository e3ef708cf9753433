"""Host names and addresses as text. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from pybal.model import IPAddress

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HOST_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([0-9]{1,5}))?")
_MAX_NAME = 253

_Networks = tuple[tuple[IPv4Network | IPv6Network, str], ...]
_UNUSABLE_IPV4: _Networks = (
    (IPv4Network("0.0.0.0/8"), "is no host's address (it is unspecified)"),
    (IPv4Network("224.0.0.0/4"), "is a multicast address"),
    (IPv4Network("255.255.255.255/32"), "is the broadcast address"),
    (IPv4Network("240.0.0.0/4"), "is reserved"),
)
_UNUSABLE_IPV6: _Networks = (
    (IPv6Network("::/128"), "is no host's address (it is unspecified)"),
    (IPv6Network("ff00::/8"), "is a multicast address"),
    (IPv6Network("fe80::/10"), "is link-local and names no interface"),
    (IPv6Network("::ffff:0:0/96"), "is an IPv4 address written as IPv6"),
    (IPv6Network("::ffff:0:0:0/96"), "is an IPv4 address written as IPv6"),
    (IPv6Network("::/96"), "is an IPv4 address written as IPv6"),
    (IPv6Network("100::/64"), "is for what is to be discarded"),
)
_USABLE_THOUGH_RESERVED = (IPv6Network("::1/128"), IPv6Network("64:ff9b::/32"))


def parse_address(text: str) -> IPAddress | None:
    """An IPv4 or IPv6 address without a zone, or None."""
    if _is_surely_none(text):
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    return address


def why_unusable(address: IPAddress) -> str:
    """Why no server can have this address, to follow it in a sentence; empty if one can.

    Loopback is usable: a director may serve itself.
    """
    if any(address in network for network in _USABLE_THOUGH_RESERVED):
        return ""
    for network, why in _UNUSABLE_IPV4 if address.version == 4 else _UNUSABLE_IPV6:
        if address in network:
            return why
    return "is reserved" if address.is_reserved else ""


def host_problem(host: object) -> str:
    """Why this can be no server's name or address, to follow it in a sentence; empty if it can."""
    if not isinstance(host, str):
        return "is no host name or address"
    if is_host_name(host):
        return ""
    if not host.isascii():
        return "is no host name or address: the DNS has a name in other letters as xn--…"
    address = parse_address(host)
    return "is no host name or address" if address is None else why_unusable(address)


def same_host(host: str) -> str:
    """The same text for all spellings of a host."""
    name = host.lower().removesuffix(".")
    return name if _is_surely_none(name) else _same_address(name)


def _is_surely_none(text: str) -> bool:
    """No address: to read it as one takes longer than all the rest, and there are thousands."""
    return ":" not in text and not text[-1:].isdigit()


@lru_cache(maxsize=1 << 15)
def _same_address(name: str) -> str:
    """Kept, since each reading of each list asks again for all of its servers."""
    return str(parse_address(name) or name)


def parse_scoped_address(text: str) -> IPAddress | None:
    """An address, or None; one of a single link names its interface, as in `fe80::1%eth0`."""
    try:
        return ip_address(text)
    except ValueError:
        return None


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


def host_of(where: str) -> str:
    """The way back: `192.0.2.1` of `192.0.2.1:80`, an IPv6 address without its brackets."""
    return where.rpartition(":")[0].strip("[]")


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
