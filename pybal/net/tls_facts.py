"""What a TLS connection has come to, for people, or why there is none. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pybal.errors import PyBalError


class TLSFacts(NamedTuple):
    """The protocol's version, the cipher, and the server's certificate: its names, and its end in
    Unix seconds."""

    version: str
    cipher: str
    names: tuple[str, ...]
    expires_at: float | None


class TLSSetupError(PyBalError):
    """A file of trusted certificates cannot be used, or a host cannot be named in TLS."""
