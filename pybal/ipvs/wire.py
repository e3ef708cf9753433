"""Netlink framing and attributes as bytes. Pure.

Any bytes given to a reader end in a value or in MalformedMessageError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from typing import Any, NamedTuple

from pybal.errors import PyBalError
from pybal.ipvs.messages import FLAGS_FIELDS, AttributeMap

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
FINAL = (0x2, 0x3)  # NLMSG_ERROR, NLMSG_DONE: the last answer to a request

_NESTED = 0x8000
_ATTRIBUTE_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_NLMSG = Struct("=IHHII")
_GENL = Struct("=BBH")
_NLA = Struct("=HH")
_I32 = Struct("=i")
_HEADER_BYTES = _NLMSG.size + _GENL.size


class MalformedMessageError(PyBalError):
    """These bytes are no message that an IPVS kernel sends."""


class NetlinkMessage(NamedTuple):
    """One message of a datagram; `payload` follows the netlink header."""

    type: int
    sequence: int
    payload: bytes


class Attributes:
    """Packs and unpacks the attributes of one map of pybal.ipvs.messages.

    Names are those of the map from behind `_ATTR_`. Nested attributes are raw bytes, except
    `flags`, a tuple; attributes declared as `hex` are skipped when unpacking.
    """

    def __init__(self, definition: AttributeMap) -> None:
        self._writers: dict[str, tuple[int, Callable[[Any], bytes]]] = {}
        self._readers: dict[int, tuple[str, Callable[[bytes], Any]]] = {}
        for number, (long_name, kind) in enumerate(definition):
            name = long_name.partition("_ATTR_")[2]
            writer, reader = _KINDS[kind]
            self._writers[name] = (number, writer)
            if kind not in ("none", "hex"):
                self._readers[number] = (name, reader)

    def pack(self, **values: Any) -> bytes:
        """The attributes, in the order given."""
        parts = []
        for name, value in values.items():
            number, writer = self._writers[name]
            payload = writer(value)
            size = len(payload)
            parts.append(_NLA.pack(size + 4, number))
            parts.append(payload)
            if size & 3:
                parts.append(bytes(-size & 3))
        return b"".join(parts)

    def nest(self, name: str, attributes: bytes) -> bytes:
        """One attribute around attributes that are packed already."""
        number, _ = self._writers[name]
        return _NLA.pack(len(attributes) + 4, number | _NESTED) + attributes

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The attributes that the definition names; the last of equals wins."""
        values = {}
        offset, end = 0, len(data)
        while offset + 4 <= end:
            size, number = _NLA.unpack_from(data, offset)
            if size < 4 or offset + size > end:
                raise MalformedMessageError(f"an attribute of {size} bytes, not {end - offset}")
            known = self._readers.get(number & _ATTRIBUTE_TYPE_MASK)
            if known is not None:
                name, reader = known
                values[name] = reader(data[offset + 4 : offset + size])
            offset += (size + 3) & ~3
        return values


_Kind = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]


def _number(layout: str) -> _Kind:
    packing = Struct(layout)

    def read(data: bytes) -> Any:
        if len(data) < packing.size:
            raise MalformedMessageError(f"a number of {len(data)} bytes, not {packing.size}")
        return packing.unpack_from(data)[0]

    return packing.pack, read


def _structure(fields: tuple[tuple[str, str], ...]) -> _Kind:
    packing = Struct("=" + "".join(layout for _, layout in fields))

    def read(data: bytes) -> Any:
        if len(data) < packing.size:
            raise MalformedMessageError(f"a structure of {len(data)} bytes, not {packing.size}")
        return packing.unpack_from(data)

    return lambda values: packing.pack(*values), read


def _bytes(data: bytes) -> bytes:
    return data


def _write_text(text: str) -> bytes:
    return text.encode() + b"\0"


def _read_text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace")


_KINDS: Mapping[str, _Kind] = {
    "none": (_bytes, _bytes),
    "hex": (_bytes, _bytes),
    "cdata": (_bytes, _bytes),
    "service": (_bytes, _bytes),
    "destination": (_bytes, _bytes),
    "flags": _structure(FLAGS_FIELDS),
    "uint8": _number("=B"),
    "uint16": _number("=H"),
    "uint32": _number("=I"),
    "be16": _number(">H"),
    "asciiz": (_write_text, _read_text),
}


def request(family: int, flags: int, sequence: int, genl: tuple[int, int], body: bytes) -> bytes:
    """A generic netlink request; `genl` is the command and the family's version."""
    size = _HEADER_BYTES + len(body)
    header = _NLMSG.pack(size, family, flags | NLM_F_REQUEST, sequence, 0)
    return header + _GENL.pack(*genl, 0) + body


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
