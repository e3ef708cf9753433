"""Secrets in pybal.conf, and in files of their own that only their owner can read. Pure but for
reading these."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pybal.config.bad_value import BadValueError
from pybal.config.ini import Document
from pybal.config.source_url import mask_url
from pybal.errors import said_by
from pybal.net.url_text import without_likely_secrets
from pybal.state.files import read_now

_MAX_BYTES = 4096
_PASSWORD_KEY = re.compile("password$")
_PASSWORD_LINE = re.compile(
    r"^[ \t]*(bgp-(?:bfd-)?password)[ \t]*[=:][ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE
)
_OPEN_QUOTE = re.compile(r"""(["'])(?!\1\1)(?:(?!\1).)*""")
_CUT = re.compile(r"""[^"'#](?:(?!\s;)[^#])*(?<=\S)#.*""")
_SENT_KEY = re.compile(r"\.(headers|send|payload|arguments)$")
_SECRET_WORD = re.compile(r"auth|pass|secret|token|cookie|login|key", re.IGNORECASE)


class Found(NamedTuple):
    """Where a secret stands."""

    line: int
    section: str
    key: str


class Doubt(NamedTuple):
    """A password that is probably another one than was meant."""

    line: int
    key: str
    message: str


def doubtful_passwords(text: str) -> Iterator[Doubt]:
    """Those of pybal.conf as they are written: once it is read nothing shows it, and the router is
    silent."""
    for match in _PASSWORD_LINE.finditer(text):
        value = match[2].rstrip()
        if _OPEN_QUOTE.fullmatch(value):
            message = "its quote is not closed, and counts as part of it"
        elif _CUT.fullmatch(value):
            message = "it ends before the #, which begins a comment: write it in quotes"
        else:
            continue
        yield Doubt(text.count("\n", 0, match.start()) + 1, match[1].lower(), message)


def find_secrets(document: Document) -> list[Found]:
    """The entries that hold a secret, or probably do."""
    sections = [*document.sections]
    if document.defaults is not None:
        sections.append(document.defaults)
    sections += [sub for section in document.sections for sub in section.subsections.values()]
    found = [
        Found(entry.line, section.name, key)
        for section in sections
        for key, entry in section.entries.items()
        if not entry.inherited and _is_secret(key, entry.text)
    ]
    return sorted(found, key=lambda each: each.line)


def _is_secret(key: str, text: str) -> bool:
    if not text:
        return False
    if key == "config":
        # A scheme that is unknown is masked as a whole, though it is but misspelt: an error.
        return mask_url(text) not in (text, "***")
    if key.endswith(".url"):
        return without_likely_secrets(text) != text
    sent = _SENT_KEY.search(key) is not None and _SECRET_WORD.search(text) is not None
    return sent or _PASSWORD_KEY.search(key) is not None


def read_secret(path: Path) -> str:
    """The file's only line. BadValueError says what is wrong, and nothing of the content."""
    try:
        # Opening a FIFO must not wait, and opening a device must not do anything.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            _check(os.fstat(file.fileno()))
            content = read_now(file, _MAX_BYTES + 1)
    except OSError as error:
        raise BadValueError(f"cannot be read: {said_by(error)}") from error
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise BadValueError("is not UTF-8 text") from error
    if len(content) > _MAX_BYTES or not text.isprintable():
        raise BadValueError("must hold one line of printable text")
    return text


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadValueError("is not a regular file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise BadValueError(f"others than its owner may use it (mode {mode:04o}); chmod 600 it")
    if status.st_uid not in (0, os.geteuid()):
        raise BadValueError("belongs neither to root nor to the user that runs this")
