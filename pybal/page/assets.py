"""The style sheet, the script and the icon, as they were installed."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

_TYPES = {
    "status.css": "text/css; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
    "status.svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """A file that a page needs; `tag` is another one whenever its content is."""

    content: bytes
    content_type: str
    tag: str


def read_assets() -> dict[str, Asset]:
    """By name."""
    folder = files("pybal.page") / "static"
    return {name: _asset((folder / name).read_bytes(), type_) for name, type_ in _TYPES.items()}


def _asset(content: bytes, content_type: str) -> Asset:
    return Asset(content, content_type, sha256(content).hexdigest()[:16])
