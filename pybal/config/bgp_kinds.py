"""Kinds of value that only options of BGP have. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_network

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.kinds import (
    ADDRESSES,
    BOOLEAN,
    HOST_ADDRESS,
    IPV6,
    LITERAL_STRINGS,
    SECONDS_OR_ZERO,
    Kind,
    as_share,
    choice,
    integer,
    is_blank,
    text_kind,
    texts_of,
    without_hint,
)
from pybal.config.settings import TCPAO, BFDAuth, IPNetwork, LargeCommunity, LinkBandwidth
from pybal.model import IPAddress
from pybal.net.addresses import parse_address, parse_scoped_address

MAX_PASSWORD_BYTES = 80  # Linux' TCP_MD5SIG_MAXKEYLEN
MAX_SHUTDOWN_DELAY_S = 60  # systemd kills what has not stopped within 90 s
_FRACTION = re.compile(r"0?\.[0-9]{1,30}")
_NUMBER = re.compile("[0-9]{1,10}")
_RAW_COMMUNITY = re.compile("0x[0-9a-fA-F]{16}")
_SUBTYPES = {"rt": 2, "soo": 3}
_BITS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kKmMgGtT]?)")
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


# The IANA registry of well-known communities (RFC 1997, 3765, 7611, 7999, 8326, 9494).
_WELL_KNOWN = {
    "graceful-shutdown": 0x0000,
    "accept-own": 0x0001,
    "route-filter-translated-v4": 0x0002,
    "route-filter-v4": 0x0003,
    "route-filter-translated-v6": 0x0004,
    "route-filter-v6": 0x0005,
    "llgr-stale": 0x0006,
    "no-llgr": 0x0007,
    "accept-own-nexthop": 0x0008,
    "standby-pe": 0x0009,
    "blackhole": 0x029A,
    "no-export": 0xFF01,
    "no-advertise": 0xFF02,
    "no-export-subconfed": 0xFF03,
    "local-as": 0xFF03,
    "no-peer": 0xFF04,
}
_NO_NAMES: Mapping[str, int] = {}


def _hold_time(text: str) -> int:
    value = _U16_SECONDS.parse(text)
    if value in (1, 2):
        raise BadValueError
    return value


def _hops(text: str) -> int | None:
    if _NUMBER.fullmatch(text) and text != "0":
        return _HOPS.parse(text)
    return 1 if BOOLEAN.parse(text) else None


def ip_without_use(address: IPAddress) -> str:
    """Why no host has this address; empty if one may."""
    if address.is_unspecified:
        return "it is unspecified"
    if address.is_multicast:
        return "it is multicast"
    return "it is broadcast" if int(address) == 2**32 - 1 and address.version == 4 else ""


def _next_hop_ipv6(text: str) -> IPv6Address:
    address = IPV6.parse(text)
    if why := ip_without_use(address):
        raise BadValueError(why)
    return address


def _router_id(text: str) -> IPv4Address:
    address = HOST_ADDRESS.parse(text)
    if not isinstance(address, IPv4Address):
        raise BadValueError
    return address


def _communities(
    sizes_bits: tuple[int, ...], names: Mapping[str, int] = _NO_NAMES
) -> Callable[[str], tuple[tuple[int, ...], ...]]:
    """Words of as many numbers as there are sizes, with colons between them, or `names` of the
    low halves of those that begin with 65535."""

    def parse(text: str) -> tuple[tuple[int, ...], ...]:
        # Without brackets they stand one after another, as in bgp-as-path.
        written = LITERAL_STRINGS.parse(text) if text.startswith(("[", "(")) else text.split()
        return tuple(dict.fromkeys(community(word) for word in written if not is_blank(word)))

    def community(word: str) -> tuple[int, ...]:
        name = word.lower().replace("_", "-")
        if name in names:
            return 0xFFFF, names[name]
        parts = word.split(":")
        if len(parts) != len(sizes_bits) or not all(map(_NUMBER.fullmatch, parts)):
            hint = did_you_mean(word.lower(), tuple(names)) if names and ":" not in word else ""
            raise BadValueError(f"{word!r} is none" + (f"; {hint}" if hint else ""))
        numbers = tuple(map(int, parts))
        for number, size_bits in zip(numbers, sizes_bits, strict=True):
            if number >= 2**size_bits:
                raise BadValueError(f"in {word!r} {number} is above {2**size_bits - 1}")
        return numbers

    return parse


def _classic(text: str) -> tuple[int, ...]:
    return tuple(high << 16 | low for high, low in _communities((16, 16), _WELL_KNOWN)(text))


def _large(text: str) -> tuple[LargeCommunity, ...]:
    return tuple((asn, first, second) for asn, first, second in _communities((32, 32, 32))(text))


def _extended(text: str) -> tuple[bytes, ...]:
    written = LITERAL_STRINGS.parse(text) if text.startswith(("[", "(")) else text.split()
    return tuple(dict.fromkeys(_extended_community(word) for word in written if not is_blank(word)))


def _extended_community(word: str) -> bytes:
    """RFC 4360 and RFC 5668: two-octet AS, IPv4 address, four-octet AS; or all eight bytes."""
    if _RAW_COMMUNITY.fullmatch(word):
        return bytes.fromhex(word[2:])
    name, _, rest = word.partition(":")
    first, _, second = rest.partition(":")
    subtype = _SUBTYPES.get(name.lower())
    if subtype is None or not _NUMBER.fullmatch(second):
        raise BadValueError(f"{word!r} is none")
    number, address = int(second), parse_address(first)
    if isinstance(address, IPv4Address):
        kind, head, most = 1, address.packed, 0xFFFF
    elif _NUMBER.fullmatch(first) and int(first) <= 0xFFFF:
        kind, head, most = 0, int(first).to_bytes(2, "big"), 0xFFFFFFFF
    elif _NUMBER.fullmatch(first) and int(first) <= 0xFFFFFFFF:
        kind, head, most = 2, int(first).to_bytes(4, "big"), 0xFFFF
    else:
        raise BadValueError(f"{word!r} is none")
    if number > most:
        raise BadValueError(f"in {word!r} {number} is above {most}")
    return bytes((kind, subtype)) + head + number.to_bytes(6 - len(head), "big")


def _link_bandwidth(text: str) -> LinkBandwidth | None:
    if text.lower() in _NEVER:
        return None
    if text.lower() == "auto":
        return LinkBandwidth()
    match = _BITS.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise BadValueError
    return LinkBandwidth(float(match[1]) * _UNITS[match[2].lower()])


def _prefix(text: str) -> IPNetwork:
    try:
        return ip_network(text)
    except ValueError as error:
        raise BadValueError(str(error) if "host bits" in str(error) else "") from None


def _tcp_ao(text: str) -> TCPAO | None:
    if text.lower() in _NEVER:
        return None
    words = text.split()
    if len(words) != 3 or words[0].lower() not in _AO_ALGORITHMS:
        raise BadValueError
    send_id, receive_id = (_OCTET.parse(word) for word in words[1:])
    return TCPAO(_AO_ALGORITHMS[words[0].lower()], send_id, receive_id)


def _bfd_auth(text: str) -> BFDAuth | None:
    if text.lower() in _NEVER:
        return None
    kind, *rest = text.lower().split() or [""]
    if kind not in BFD_KEY_SIZES or len(rest) != 1:
        raise BadValueError
    return BFDAuth(kind, _OCTET.parse(rest[0]))


def _withdraw_on_down(text: str) -> Fraction | None:
    """Down to which share of servers that are up the address stays announced."""
    if _FRACTION.fullmatch(text) and Fraction(text) > 0:
        return Fraction(text)
    if hint := as_share(text):
        raise BadValueError(hint)
    return Fraction(0) if BOOLEAN.parse(text) else None


def _password(text: str) -> str:
    size_bytes = len(text.encode("utf-8"))
    if not 1 <= size_bytes <= MAX_PASSWORD_BYTES:
        raise BadValueError(f"it has {size_bytes}")
    return text


def _withdraw_after(text: str) -> float | None:
    return None if text.lower() in _NEVER else SECONDS_OR_ZERO.parse(text)


def _shutdown_delay(text: str) -> float:
    value_s = SECONDS_OR_ZERO.parse(text)
    if value_s > MAX_SHUTDOWN_DELAY_S:
        raise BadValueError
    return value_s


def _peer_addresses(text: str) -> tuple[IPAddress, ...]:
    """Blank elements do not count; repeated ones are kept, to be told of."""
    found = []
    for number, element in enumerate(texts_of(text), start=1):
        address = parse_scoped_address(element)
        if address is not None:
            found.append(address)
        elif not is_blank(element):
            hint = without_hint(element)
            raise BadValueError(f"element {number} is not an address" + (hint and f": {hint}"))
    return tuple(found)


def _families(text: str) -> tuple[int, ...]:
    words = LITERAL_STRINGS.parse(text) if text.startswith(("[", "(")) else text.split()
    found = tuple(dict.fromkeys(_FAMILIES.get(word.lower(), 0) for word in words))
    if not found or 0 in found:
        raise BadValueError
    return tuple(sorted(found))


def _import(text: str) -> str:
    if text.lower() == "shared":
        return "shared"
    return "yes" if BOOLEAN.parse(text) else "no"


MAX_DESCRIPTION = 100
_NEVER = ("no", "never", "false", "off", "n", "f")
_FAMILIES = {"ipv4": 4, "ipv6": 6}
LINK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,14}")
"""How an interface is called where an address might stand, too."""
# RFC 5926's, and the kernel's names of them.
_AO_ALGORITHMS = {"hmac-sha-1-96": "hmac(sha1)", "aes-128-cmac-96": "cmac(aes128)"}
BFD_KEY_SIZES = {
    "simple": 16,
    "keyed-md5": 16,
    "meticulous-keyed-md5": 16,
    "keyed-sha1": 20,
    "meticulous-keyed-sha1": 20,
}
"""RFC 5880 section 6.7: the types of authentication, and how many bytes a key may have."""
_OCTET = integer(0, 255)
_U16_SECONDS = integer(0, 65535, "seconds")
_HOPS = integer(1, 254)

PASSWORD = Kind(f"1 to {MAX_PASSWORD_BYTES} bytes of UTF-8", _password)
HOLD_TIME = Kind("0 or a whole number of seconds from 3 to 65535", _hold_time)
TTL_SECURITY = Kind("no, yes (a neighbour) or a number of hops from 1 to 254", _hops)
PEER_ADDRESSES: Kind[tuple[IPAddress, ...]] = Kind(ADDRESSES.wanted, _peer_addresses)
FAMILIES = Kind("ipv4, ipv6, or both", _families)
ROLE = choice(("customer", "provider", "peer", "rs-client", "rs"))
IMPORT = Kind("no, yes or shared", _import)
PEER_LIMIT = integer(1, 10_000)
PREPEND = integer(0, 20, "a number of times")
MULTIHOP = integer(1, 255, "a number of hops")
DESCRIPTION = text_kind(
    f"printable text of up to {MAX_DESCRIPTION} characters",
    lambda text: len(text) <= MAX_DESCRIPTION and text.isprintable(),
)
NEXT_HOP_IPV6 = Kind(IPV6.wanted, _next_hop_ipv6)
ROUTER_ID = Kind("an IPv4 address", _router_id)
RESTART_TIME = integer(1, 4095, "a whole number of seconds")
TCP_AO = Kind(
    f"no, or {', '.join(_AO_ALGORITHMS)} with two numbers from 0 to 255, of the key in what we send"
    " and receive",
    _tcp_ao,
)
STALE_TIME = integer(0, 2**24 - 1, "a whole number of seconds")
BFD_INTERVAL = integer(10, 60_000, "a whole number of milliseconds")
BFD_MULTIPLIER = integer(1, 255)
BFD_AUTH = Kind(
    f"no, or {', '.join(BFD_KEY_SIZES)} with a number from 0 to 255, the key's ID", _bfd_auth
)
COMMUNITIES = Kind(
    "communities such as 64600:100 or no-export, separated by spaces or in a list", _classic
)
EXTENDED_COMMUNITIES = Kind(
    "extended communities such as rt:64600:100, soo:192.0.2.1:7 or 0x0002fc5800000064, separated by"
    " spaces or in a list",
    _extended,
)
LINK_BANDWIDTH = Kind("no, auto, or bits a second such as 10G", _link_bandwidth)
PREFIX: Kind[IPNetwork] = Kind("a prefix such as 198.51.100.0/24", _prefix)
LARGE_COMMUNITIES = Kind(
    "large communities such as 64600:1:2, separated by spaces or in a list", _large
)
WITHDRAW_AFTER = Kind("no, or a number of seconds, 0 or more", _withdraw_after)
SHUTDOWN_DELAY = Kind(f"a number of seconds from 0 to {MAX_SHUTDOWN_DELAY_S}", _shutdown_delay)
WITHDRAW_ON_DOWN = Kind(
    "no, yes (none is up), or a share of the servers above 0 and below 1", _withdraw_on_down
)
