"""What a TLS connection has come to, for people. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """The protocol's version, the cipher, and the server's certificate: its names, and its end in
    Unix seconds."""

    version: str
    cipher: str
    names: tuple[str, ...]
    expires_at: float | None


def certificate_names(certificate: Any) -> tuple[str, ...]:
    """Whom a certificate (pyOpenSSL's) is for; what cannot be read of it is left out."""
    if certificate is None:
        return ()
    found: list[str] = []
    with suppress(ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension):
        parsed = certificate.to_cryptography()
        subject = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        found += (str(each.value) for each in subject)
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found += extension.value.get_values_for_type(x509.DNSName)
        found += map(str, extension.value.get_values_for_type(x509.IPAddress))
    return tuple(dict.fromkeys(found))
