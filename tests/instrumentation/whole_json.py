"""A JSON document in one piece, for tests that look at all of it."""

from __future__ import annotations

from pybal.instrumentation.json_pieces import json_pieces


def json_bytes(value: object, *, pretty: bool = False) -> bytes:
    """The whole document at once."""
    return b"".join(json_pieces(value, pretty=pretty))
