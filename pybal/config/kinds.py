"""Kinds of value: what is wanted, in words, and how its text is read. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Generic, TypeVar

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.literals import parse_literal
from pybal.config.settings import SourceSettings
from pybal.config.source_url import SOURCE_FORMS, parse_source
from pybal.linear_regex import Pattern, PatternError
from pybal.model import IPAddress
from pybal.net.addresses import is_host_name, parse_address

T_co = TypeVar("T_co", covariant=True)
_Family = TypeVar("_Family", IPv4Address, IPv6Address)

MAX_SECONDS = 365 * 86400
MAX_U32 = 2**32 - 1
MAX_PAYLOAD = 1400
MAX_SOCKET_PATH = 107
"""Bytes; sockaddr_un has room for these and a NUL."""
MAX_INTERFACE_NAME = 15
"""The same, of IFNAMSIZ."""
WORDS_FOR_YES = frozenset(("t", "true", "y", "yes", "on", "1"))
WORDS_FOR_NO = frozenset(("f", "false", "n", "no", "off", "0"))
_DIGITS = re.compile("[0-9]{1,10}")
_DECIMAL = re.compile(r"(?=.{1,32}$)(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_WITH_EXPONENT = re.compile(_DECIMAL.pattern + r"(?:[eE][+-]?[0-9]{1,2})?")
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m|min|h|d)")
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_WANTED_UNITS_S = {"seconds": 1, "milliseconds": 0.001}
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%")
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_ESCAPE_NAMES = tuple(name.decode() for name in _ESCAPES)
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?")
_PLACEHOLDERS = ("", "(unspecified)")


def show_value(value: object) -> str:
    """A value as a person writes it; of bytes, which may hold a secret, only how many."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, tuple):
        return f"[{' '.join(map(str, value))}]"
    return str(value)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A kind of value. `wanted` completes "must be ..."; `parse` raises BadValueError; `show`
    is for reports and shows no secrets."""

    wanted: str
    parse: Callable[[str], T_co]
    show: Callable[[Any], str] = show_value


def is_blank(text: str) -> bool:
    """Whether a value, or an element of a list, counts as not set."""
    return text in _PLACEHOLDERS


def text_kind(wanted: str, is_one: Callable[[str], object]) -> Kind[str]:
    """Text that is its own value, if `is_one` is true of it."""

    def parse(text: str) -> str:
        if not is_one(text):
            raise BadValueError
        return text

    return Kind(wanted, parse)


def integer(low: int, high: int, what: str = "a whole number") -> Kind[int]:
    """Decimal digits within bounds, both included; `what` says the unit to people."""

    def fits(text: str) -> bool:
        return bool(_DIGITS.fullmatch(text)) and low <= int(text) <= high

    def parse(text: str) -> int:
        if fits(text):
            return int(text)
        number = _bare_number(text, unit)
        raise BadValueError(_write(number, unit) if fits(number) else "")

    unit = what.split()[-1]

    return Kind(f"{what} from {low} to {high}", parse)


def _decimal(
    text: str, hint: Callable[[str], str], pattern: re.Pattern[str] = _DECIMAL
) -> Fraction:
    if not pattern.fullmatch(text):
        raise BadValueError(hint(text))
    return Fraction(text)


def _bare_number(text: str, unit: str) -> str:
    """What is meant by a time with a unit, where one in this `unit` is wanted, or by AS64512, where
    a number is; nothing if it is neither."""
    if unit == "number" and text[:2].lower() == "as":
        return text[2:]
    time = _TIME.fullmatch(text)
    if time is None or unit not in _WANTED_UNITS_S:
        return ""
    return f"{float(time[1]) * _UNITS_S[time[2]] / _WANTED_UNITS_S[unit]:.12g}"


def _write(number: str, unit: str) -> str:
    return f"write {number}, without a unit" if unit in _WANTED_UNITS_S else f"write {number}"


def _in_seconds(text: str) -> str:
    """What to write in place of a time with a unit."""
    number = _bare_number(text, "seconds")
    return _write(number, "seconds") if number else ""


def as_share(text: str) -> str:
    """What to write in place of a percentage."""
    percent = _PERCENT.fullmatch(text)
    return f"write {float(percent[1]) / 100:g}" if percent else ""


def _seconds(text: str) -> float:
    value = _decimal(text, _in_seconds)
    if value > MAX_SECONDS:
        raise BadValueError(f"the most is {MAX_SECONDS}")
    return float(value)


def _some_seconds(text: str) -> float:
    value = _seconds(text)
    if value <= 0:
        raise BadValueError
    return value


def _threshold(text: str) -> Fraction:
    # PyBal 1.15 took any number of Python's.
    value = _decimal(text, as_share, _WITH_EXPONENT)
    if value > 1:
        raise BadValueError
    return value


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in WORDS_FOR_YES | WORDS_FOR_NO:
        raise BadValueError
    return word in WORDS_FOR_YES


def choice(names: Iterable[str], instead_of: Callable[[str], str] = lambda _: "") -> Kind[str]:
    """One of the names; `instead_of` knows what to use for words of other programs."""
    known = tuple(names)

    def parse(text: str) -> str:
        if text not in known:
            instead = instead_of(text)
            raise BadValueError(f"use {instead}" if instead else did_you_mean(text, known))
        return text

    return Kind(("one of " if len(known) > 2 else "") + _listed(known), parse)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1]


def _address(text: str) -> IPAddress:
    address = parse_address(text)
    if address is None:
        raise BadValueError(without_hint(text))
    return address


def without_hint(text: str) -> str:
    """What to leave out, if that makes an address of it."""
    host, slash, length = text.partition("/")
    if slash and length.isdigit() and parse_address(host) is not None:
        return f"write it without /{length}: it is one address"
    if text[:1] == "[" and parse_address(text.strip("[]")) is not None:
        return "write it without brackets"
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and parse_address(host.strip("[]")) is not None:
        return f"write it without :{port}"
    return ""


def _address_of(family: type[_Family]) -> Callable[[str], _Family]:
    def parse(text: str) -> _Family:
        address = _address(text)
        if not isinstance(address, family):
            raise BadValueError("it is of the other family")
        return address

    return parse


_BROADCAST = IPv4Address(2**32 - 1)


def _host_address(text: str) -> IPAddress:
    address = _address(text)
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        raise BadValueError("not an unspecified, multicast or broadcast one")
    return address


def texts_of(text: str) -> tuple[str, ...]:
    """One bare string, or a literal list of strings."""
    return _literal_strings(text) if text.startswith(("[", "(")) else (text,)


def _literal_strings(text: str) -> tuple[str, ...]:
    value = parse_literal(text)
    if not isinstance(value, (list, tuple)):
        raise BadValueError("it is not a list")
    for number, element in enumerate(value, start=1):
        if not isinstance(element, str):
            raise BadValueError(f"element {number} is not a string")
    return tuple(value)


def _addresses(text: str) -> tuple[IPAddress, ...]:
    """Blank elements do not count; repeated ones count once."""
    found: dict[IPAddress, None] = {}
    for number, element in enumerate(texts_of(text), start=1):
        address = parse_address(element)
        if address is not None:
            found[address] = None
        elif not is_blank(element):
            hint = without_hint(element)
            raise BadValueError(f"element {number} is not an address" + (hint and f": {hint}"))
    return tuple(found)


def _some_addresses(text: str) -> tuple[IPAddress, ...]:
    addresses = _addresses(text)
    if not addresses:
        raise BadValueError("it names none")
    return addresses


def _as_path(text: str) -> tuple[int, ...]:
    return tuple(ASN.parse(word) for word in text.split())


def some_strings(text: str) -> tuple[str, ...]:
    """One bare string, or a literal list of at least one. Raises BadValueError."""
    strings = texts_of(text)
    if not strings:
        raise BadValueError("the list is empty")
    return strings


def _absolute_path(text: str) -> Path:
    if not text.startswith("/") or not text.isprintable():
        raise BadValueError
    return Path(text)


def _socket_path(text: str) -> Path:
    path = _absolute_path(text)
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise BadValueError(f"the kernel takes no more than {MAX_SOCKET_PATH} bytes")
    if text.endswith("/"):
        raise BadValueError("this is a directory's")
    return path


def is_interface_name(text: str) -> bool:
    """Whether the kernel takes it for one (dev_valid_name() in net/core/dev.c)."""
    return (
        text.isprintable()
        and 0 < len(text.encode()) <= MAX_INTERFACE_NAME
        and text not in (".", "..")
        and not any(character in "/ :" for character in text)
    )


def _payload(text: str) -> bytes:
    payload = _ESCAPE.sub(_escaped, text.encode("utf-8"))
    if len(payload) > MAX_PAYLOAD:
        raise BadValueError(f"it is longer than {MAX_PAYLOAD} bytes")
    return payload


def _escaped(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return bytes((int(escape[1], 16),))
    if escape[2] not in _ESCAPES:
        raise BadValueError(f"a backslash comes before one of {' '.join(_ESCAPE_NAMES)} or xHH")
    return _ESCAPES[escape[2]]


def _pattern(text: str) -> Pattern:
    try:
        return Pattern(text)
    except PatternError as error:
        raise BadValueError(str(error)) from error


BOOLEAN = Kind("yes or no", _boolean)
PORT = integer(1, 65535, "a port")
ASN = integer(1, MAX_U32, "an AS number")
MED = integer(0, MAX_U32)
AS_PATH = Kind(f"AS numbers from 1 to {MAX_U32}, separated by spaces", _as_path)
THRESHOLD = Kind("a number from 0 to 1", _threshold)
SECONDS = Kind("a number of seconds above 0", _some_seconds)
SECONDS_OR_ZERO = Kind("a number of seconds, 0 or more", _seconds)
SECONDS_OR_NEVER: Kind[float | None] = Kind(
    "a number of seconds above 0, or never",
    lambda text: None if text == "never" else _some_seconds(text),
)
HOST_ADDRESS = Kind("an IPv4 or IPv6 address", _host_address)
IPV6 = Kind("an IPv6 address", _address_of(IPv6Address))
ADDRESSES: Kind[tuple[IPAddress, ...]] = Kind(
    "an address or a list of addresses such as ['192.0.2.1', '2001:db8::1']", _addresses
)
SOME_ADDRESSES = Kind(ADDRESSES.wanted, _some_addresses)
LITERAL_STRINGS = Kind("a list of strings such as ['a', 'b']", _literal_strings)
ABSOLUTE_PATH = Kind("an absolute path", _absolute_path)
SOCKET_PATH = Kind("an absolute path", _socket_path)
GROUP = text_kind("the name of a group", _GROUP.fullmatch)
INTERFACE = text_kind(
    f"the name of a network interface, of up to {MAX_INTERFACE_NAME} bytes", is_interface_name
)
HOST_NAME = text_kind("a host name", is_host_name)
PAYLOAD = Kind(r"text, with \r \n \t \\ and \xHH for other bytes", _payload)
PATTERN = Kind("a regular expression", _pattern)
SOURCE: Kind[SourceSettings] = Kind(SOURCE_FORMS, parse_source)
