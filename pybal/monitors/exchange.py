"""What passes between a check and a server, for an operator to read: step by step, no secrets.
Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pybal.net.tls_facts import TLSFacts
from pybal.net.url_text import HIDDEN, without_secrets
from pybal.runtime.naming import counted, printable, quoted_bytes, shortened

MAX_STEPS = 200
_SHOWN_BYTES = 200
_SHOWN_LINES = 40

_SECRET_WORD = re.compile(r"auth|pass|pwd|secret|token|cookie|login|key|cred", re.IGNORECASE)
_ASKED_HEADERS = frozenset(
    ("host", "user-agent", "connection", "accept", "accept-encoding", "accept-language", "range")
)
"""Of a request: any other may be a password by another name, as pybal.conf has it masked."""


class Step(NamedTuple):
    """Something that happened `at_s` seconds after the check began."""

    at_s: float
    text: str


class Record:
    """The steps of one check; of very many, the first. `seconds()` does not jump."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._began_at = seconds()
        self._steps: list[Step] = []

    def note(self, *texts: str) -> None:
        """These happened now."""
        at_s = max(0.0, self._seconds() - self._began_at)
        room = MAX_STEPS - len(self._steps)
        self._steps += (Step(at_s, text) for text in texts[:room])

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)


def bytes_text(data: bytes) -> str:
    """How much, and how it begins."""
    size = counted(len(data), "byte")
    return f"{size}: {quoted_bytes(data, _SHOWN_BYTES)}" if data else size


def sent_text(data: bytes) -> str:
    """The same of what we send, which may hold a password: then how much it is."""
    if _SECRET_WORD.search(data.decode("latin-1")):
        return f"{len(data)} bytes (not shown: they may hold a secret)"
    return bytes_text(data)


def command_text(argv: Sequence[str]) -> str:
    """A command; its arguments only if none of them may hold a secret."""
    if any(_SECRET_WORD.search(argument) for argument in argv[1:]):
        return f"{argv[0]} (its {len(argv) - 1} arguments not shown: they may hold a secret)"
    return " ".join(argument if argument.isprintable() else repr(argument) for argument in argv)


def request_lines(head: bytes) -> list[str]:
    """An HTTP request's line and headers: no value of the query, no value of a header that may be
    a secret."""
    first, *headers = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    return [f"> {without_secrets(first)}", *(f"> {_asked(each)}" for each in headers)]


def response_lines(start: bytes) -> list[str]:
    """An HTTP answer's status line and headers, and how its body begins."""
    head, _, body = start.partition(b"\r\n\r\n")
    first, *headers = head.decode("latin-1").split("\r\n")
    lines = [f"< {_printable(first)}", *(f"< {_answered(h)}" for h in headers[:_SHOWN_LINES])]
    if len(headers) > _SHOWN_LINES:
        lines.append(f"< {counted(len(headers) - _SHOWN_LINES, 'header')} more")
    if body:
        lines.append(f"< body: {quoted_bytes(body, _SHOWN_BYTES)}")
    return lines


def _asked(line: str) -> str:
    name = line.partition(":")[0]
    return line if name.lower() in _ASKED_HEADERS else f"{name}: {HIDDEN}"


def _answered(line: str) -> str:
    name = line.partition(":")[0]
    if _SECRET_WORD.search(name):
        return f"{_printable(name)}: {HIDDEN}"
    return _printable(without_secrets(line))


def _printable(text: str) -> str:
    return printable(shortened(text, 500))


def tls_text(facts: TLSFacts, iso: Callable[[float], str]) -> str:
    """The version, the cipher, whose certificate it is, and when that ends."""
    names = ", ".join(facts.names[:5]) or "no name"
    ends = "without an end" if facts.expires_at is None else f"until {iso(facts.expires_at)}"
    return f"{facts.version}, {facts.cipher}; certificate of {_printable(names)}, {ends}"
