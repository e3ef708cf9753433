"""Netlink framing and attributes as bytes. Pure.

Any bytes given to a reader end in a value or in MalformedMessageError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple, cast

from pybal.errors import PyBalError
from pybal.ipvs.messages import AttributeMap

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
FINAL = (0x2, 0x3)  # NLMSG_ERROR, NLMSG_DONE: the last answer to a request

_NESTED = 0x8000
_NUMBER_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_NLMSG = Struct("=IHHII")
_GENL = Struct("=BBH")
_HEADER = Struct("=IHHIIBBH")  # both
_NLA = Struct("=HH")
_I32 = Struct("=i")
_MAX_SHAPES = 64

# struct's code for a value of each kind; "" is raw bytes of any size.
_CODES = {
    "none": "",
    "hex": "",
    "cdata": "",
    "asciiz": "",
    "service": "",
    "destination": "",
    "daemon": "",
    "flags": "",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "be16": "2s",
}
_NESTED_KINDS = ("service", "destination", "daemon")


class MalformedMessageError(PyBalError):
    """These bytes are no message that an IPVS kernel sends."""


class NetlinkMessage(NamedTuple):
    """One message of a datagram; `payload` follows the netlink header."""

    type: int
    sequence: int
    payload: bytes


def _attributes(definition: AttributeMap) -> dict[str, tuple[int, str]]:
    """Number (with the nested flag) and code by name: the part of the long name behind `_ATTR_`."""
    return {
        name.partition("_ATTR_")[2]: (
            number | (_NESTED if kind in _NESTED_KINDS else 0),
            _CODES[kind],
        )
        for number, (name, kind) in enumerate(definition)
    }


class Writer:
    """Packs the named attributes of a map, in this order.

    Values are integers, or bytes for what is text, a structure, nested, or big-endian. One
    `struct` packs all of them: it is compiled for each combination of sizes that comes up.
    """

    def __init__(self, definition: AttributeMap, *names: str) -> None:
        attributes = _attributes(definition)
        self._attributes = [attributes[name] for name in names]
        self._raw = [index for index, (_, code) in enumerate(self._attributes) if not code]
        self._shapes: dict[tuple[int, ...], tuple[Struct, list[Any]]] = {}

    def __call__(self, *values: Any) -> bytes:
        sizes = tuple([len(values[index]) for index in self._raw])
        shape = self._shapes.get(sizes)
        if shape is None:
            layout, arguments = self._lay_out(sizes)
            shape = self._shapes[sizes] = Struct(layout), arguments
        packing, arguments = shape
        arguments[2::3] = values
        return packing.pack(*arguments)

    def _lay_out(self, sizes: tuple[int, ...]) -> tuple[str, list[Any]]:
        """A struct's layout for raw values of these sizes, and its arguments: size, number and
        value of each attribute in turn."""
        layout, arguments, rest = "=", [], iter(sizes)
        for number, fixed in self._attributes:
            code = fixed or f"{next(rest)}s"
            size = Struct(f"={code}").size
            layout += f"HH{code}{-size & 3}x"
            arguments += [_NLA.size + size, number, None]
        return layout, arguments


class Nesting:
    """Packs one attribute of a map whose content are packed attributes."""

    def __init__(self, definition: AttributeMap, name: str) -> None:
        self._number, _ = _attributes(definition)[name]

    def __call__(self, content: bytes) -> bytes:
        return _NLA.pack(_NLA.size + len(content), self._number) + content


class _Shape(NamedTuple):
    """The order and sizes of the attributes of one message, as a struct that reads another."""

    packing: Struct
    headers: Callable[[tuple[Any, ...]], Any]
    expected: Any
    values: Callable[[tuple[Any, ...]], Any]


class Reader:
    """Reads two or more named attributes of a map, wherever they stand; None for missing ones.

    The messages of a dump are alike: the order and sizes found in one of them are compiled
    into a `struct`, which reads all others that have the same.
    """

    def __init__(self, definition: AttributeMap, *names: str) -> None:
        attributes = _attributes(definition)
        self._wanted = {
            attributes[name][0] & _NUMBER_MASK: (index, attributes[name][1])
            for index, name in enumerate(names)
        }
        self._shapes: dict[int, _Shape] = {}

    def __call__(self, data: bytes) -> tuple[Any, ...]:
        """A value for each name: an integer, or bytes for what is text, a structure, nested, or
        big-endian. The last of equal attributes counts."""
        shape = self._shapes.get(len(data))
        if shape is not None:
            fields = shape.packing.unpack_from(data)
            if shape.headers(fields) == shape.expected:
                return cast(tuple[Any, ...], shape.values((*fields, None)))
        shape = self._learn(data)
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
        self._shapes[len(data)] = shape
        return cast(tuple[Any, ...], shape.values((*shape.packing.unpack_from(data), None)))

    def _learn(self, data: bytes) -> _Shape:
        layout = "="
        count = 0
        headers: list[int] = []
        values = [-1] * len(self._wanted)  # where the None is
        for number, size, padded in _walk(data):
            headers.append(count)
            layout += "I"
            count += 1
            if number in self._wanted:
                index, fixed = self._wanted[number]
                code = fixed or f"{size}s"
                known = Struct(f"={code}").size
                if size < known:
                    raise MalformedMessageError(f"a number of {size} bytes, not {known}")
                values[index] = count
                layout += f"{code}{padded - known}x"
                count += 1
            else:
                layout += f"{padded}x"
        packing = Struct(layout)
        get_headers = itemgetter(*headers) if headers else tuple
        return _Shape(
            packing, get_headers, get_headers(packing.unpack_from(data)), itemgetter(*values)
        )


def _walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, size, and size with padding, of each attribute, headers not counted."""
    offset, end = 0, len(data)
    while offset + _NLA.size <= end:
        size, number = _NLA.unpack_from(data, offset)
        if size < _NLA.size or offset + size > end:
            raise MalformedMessageError(f"an attribute of {size} bytes, not {end - offset}")
        after = min((offset + size + 3) & ~3, end)
        yield number & _NUMBER_MASK, size - _NLA.size, after - offset - _NLA.size
        offset = after


def request(
    family: int, flags: int, sequence: int, command: int, version: int, body: bytes
) -> bytes:
    """A generic netlink request; `version` is the family's."""
    size = _HEADER.size + len(body)
    flags |= NLM_F_REQUEST
    return _HEADER.pack(size, family, flags, sequence, 0, command, version, 0) + body


def split(data: bytes) -> Iterator[NetlinkMessage]:
    """The messages of one datagram."""
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _NLMSG.size:
            raise MalformedMessageError(f"{end - offset} bytes where a netlink header should be")
        size, kind, _, sequence, _ = _NLMSG.unpack_from(data, offset)
        if size < _NLMSG.size or offset + size > end:
            raise MalformedMessageError(f"a message of {size} bytes with {end - offset} left")
        yield NetlinkMessage(kind, sequence, data[offset + _NLMSG.size : offset + size])
        offset += (size + 3) & ~3


def status(message: NetlinkMessage) -> int:
    """The errno in a final message; 0 is success."""
    if len(message.payload) < _I32.size:
        raise MalformedMessageError(f"a status of {len(message.payload)} bytes")
    (code,) = _I32.unpack_from(message.payload)
    return -int(code)


def body(message: NetlinkMessage) -> bytes:
    """The attributes of a generic netlink message."""
    return message.payload[_GENL.size :]
