"""Reads the headers of the commonest kind of answer to a GET. Pure.

Thousands of checks get answers of that kind: all visible ASCII, whole lines, one length. For them
this takes a tenth of h11's time. Whatever is only a little out of the ordinary is left to h11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Each byte can only be matched in one way: the time is linear.
_PLAIN = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: [ -~]*)?\r\n(?:[ -~]+\r\n)*\r\n")
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_WITHOUT_BODY = (204, 304)
_MOST_DIGITS = 15


@dataclass(frozen=True, slots=True)
class PlainHead:
    """Header names are lower-case, the last of equal names wins; the body has `length` bytes."""

    status: int
    headers: dict[str, str]
    length: int


def read_plain_head(head: bytes) -> PlainHead | None:
    """`head` ends with its empty line. None says nothing of it but that it is not plain."""
    match = _PLAIN.fullmatch(head)
    if match is None:
        return None
    headers: dict[str, str] = {}
    for line in head.decode("ascii").split("\r\n")[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            return None
        key = name.lower()
        if key == "transfer-encoding" or (key == "content-length" and key in headers):
            return None
        headers[key] = value.strip(" ")
    status, digits = int(match[1]), headers.get("content-length", "")
    if status in _WITHOUT_BODY or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        return None
    return PlainHead(status, headers, int(digits))
