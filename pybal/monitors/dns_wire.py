"""As much of the DNS message format (RFC 1035 section 4) as a health check needs. Pure.

A query is built whole; of an answer the header and the question are read and compared with it.
The records are not: whether there are any is not the check's business.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

TYPE_A = 1
TYPE_AAAA = 28

_RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_TYPES = {TYPE_A: "A", TYPE_AAAA: "AAAA"}

_HEADER = struct.Struct("!6H")
_CLASS_IN = 1
_RESPONSE = 0x8000
_OPCODE = 0x7800
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_RCODE = 0x000F


@dataclass(frozen=True, slots=True)
class Query:
    """A query for one name and type; `question` is its question section."""

    id: int
    name: str
    type: int
    question: bytes

    @property
    def wire(self) -> bytes:
        """The message, with recursion desired."""
        return _HEADER.pack(self.id, _RECURSION_DESIRED, 1, 0, 0, 0) + self.question

    def __str__(self) -> str:
        return f"{_TYPES.get(self.type, self.type)} {self.name}"


class Answer(NamedTuple):
    """What the server said: the response code's name, how many records, whether cut short."""

    rcode: str
    records: int
    truncated: bool


def make_query(identifier: int, name: str, record_type: int) -> Query:
    """A query; `name` with or without its last dot. ValueError if no query can hold the name."""
    question = encode_name(name) + struct.pack("!2H", record_type, _CLASS_IN)
    return Query(identifier, name, record_type, question)


def encode_name(name: str) -> bytes:
    """The name as length-prefixed labels. ValueError for what is no name."""
    labels = name.removesuffix(".").split(".") if name != "." else []
    # "idna" rejects empty and overlong labels, too; UnicodeError is a ValueError.
    encoded = [label.encode("ascii" if label.isascii() else "idna") for label in labels]
    if not all(1 <= len(label) <= 63 for label in encoded):
        raise ValueError(f"{name!r} is not a host name: a label is empty or too long")
    wire = b"".join(bytes([len(label)]) + label for label in encoded) + b"\0"
    if len(wire) > 255:
        raise ValueError(f"{name!r} is not a host name: it is too long")
    return wire


def read_answer(query: Query, data: bytes) -> Answer | None:
    """The answer to this very query, or None if the bytes are none."""
    if len(data) < _HEADER.size:
        return None
    identifier, flags, questions, records, _, _ = _HEADER.unpack_from(data)
    if identifier != query.id or not flags & _RESPONSE or flags & _OPCODE:
        return None
    code = flags & _RCODE
    rcode = _RCODES.get(code, f"response code {code}")
    question = data[_HEADER.size : _HEADER.size + len(query.question)]
    # Name servers may change the case, and one that understood nothing repeats nothing.
    repeated = questions == 1 and question.lower() == query.question.lower()
    silent = questions == 0 and rcode not in ("NOERROR", "NXDOMAIN")
    if not repeated and not silent:
        return None
    return Answer(rcode, records, bool(flags & _TRUNCATED))
