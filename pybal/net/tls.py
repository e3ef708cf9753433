"""TLS client settings, made once and shared: a context costs milliseconds, a connection little.

SNI is sent for host names, never for address literals (RFC 6066 section 3).
"""

from __future__ import annotations

import ipaddress
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from OpenSSL.crypto import Error as CryptoError
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet import ssl
from twisted.logger import Logger

from pybal.errors import PyBalError, SourceError, said_by
from pybal.net.tls_facts import TLSFacts, TLSSetupError
from pybal.net.tls_groups import offer_x25519_alone
from pybal.runtime.file_stamp import FileStamp
from pybal.runtime.files_port import Files

_END_OF_CERTIFICATE = b"-----END CERTIFICATE-----"
_PLATFORM = "/etc/ssl/certs/ca-certificates.crt"
"""What update-ca-certificates writes. OpenSSL itself goes on with what it has read of it."""
_log = Logger(namespace="network")
# strptime takes ten times as long.
_MOMENT = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")

# Of OpenSSL's verify(1).
_EXPIRED = 10
_FAULTS = {9: "is not yet valid", _EXPIRED: "has expired"}
_UNTRUSTED = {
    18: "the certificate is signed by itself alone",
    **dict.fromkeys((2, 19, 20, 21), "the certificate is of an authority that is not trusted"),
}


class CertificateNameError(PyBalError):
    """A server's certificate is for another name."""


class TLSConnections:
    """Makes client connections in memory; keeps the costly contexts. Without `post_quantum` they
    are those of checks, see pybal/net/tls_groups.py. `files` reads trusted certificates, and tells
    for each verified connection whether they are others now."""

    def __init__(self, *, post_quantum: bool = True, files: Files) -> None:
        self._post_quantum = post_quantum
        self._files = files
        self._platform = os.environ.get("SSL_CERT_FILE") or _PLATFORM
        self._unverified = self._made(_unverifying())
        self._verified: dict[str | None, tuple[FileStamp | None, SSL.Context]] = {}
        """By the file of trusted certificates, as it was when it was read."""

    def connection(self, host: str, *, verify: bool, ca_file: str | None) -> SSL.Connection:
        """A connection to `host`, a name or an address without brackets; its owner moves the bytes.

        `verify`: the handshake fails unless the certificate's chain ends in `ca_file` (PEM) or else
        in the platform's trust; after it verify_name() must be called. Without it any certificate
        will do: a real server is checked for life, not for identity. Raises TLSSetupError.
        """
        try:
            context = self._verifying(ca_file) if verify else self._unverified
            connection = SSL.Connection(context, None)
            server_name = _server_name(host)
            if server_name is not None:
                connection.set_tlsext_host_name(server_name)
        except (UnicodeError, SSL.Error) as error:
            raise TLSSetupError(f"TLS to {host!r} cannot be set up: {ssl_text(error)}") from None
        connection.set_connect_state()
        return connection

    def _verifying(self, ca_file: str | None) -> SSL.Context:
        """With what is in the file now. One that has gone or is damaged leaves what was trusted."""
        stamp = self._files.stamp(Path(ca_file or self._platform))
        known = self._verified.get(ca_file)
        if known is not None and stamp in (known[0], None):
            return known[1]
        try:
            if known is not None and ca_file is None:
                self._trusted(self._platform)  # OpenSSL would not say that it is damaged.
            context = self._made(_verifying(self._trusted(ca_file)))
        except TLSSetupError as error:
            if known is None:
                raise
            context = known[1]
            _log.warn("What was trusted before still is: {error}", error=str(error))
        self._verified[ca_file] = stamp, context
        return context

    def _trusted(self, ca_file: str | None) -> Any:
        if ca_file is None:
            return ssl.platformTrust()
        try:
            blocks = self._files.read(Path(ca_file)).split(_END_OF_CERTIFICATE)[:-1]
            found = [ssl.Certificate.loadPEM(block + _END_OF_CERTIFICATE) for block in blocks]
        except (OSError, SourceError, ValueError, CryptoError) as error:
            why = ssl_text(error) if isinstance(error, CryptoError) else said_by(error)
            raise TLSSetupError(f"cannot use the certificates of {ca_file}: {why}") from None
        if not found:
            raise TLSSetupError(f"{ca_file} holds no certificate")
        return cast(Any, ssl.trustRootFromCertificates)(found)  # untyped in Twisted

    def _made(self, context: SSL.Context) -> SSL.Context:
        if not self._post_quantum:
            offer_x25519_alone(context)
        return context


def verify_name(connection: SSL.Connection, host: str) -> None:
    """See that the peer's certificate is for `host`, a name or an address; CertificateNameError."""
    try:
        if _server_name(host) is None:
            verify_ip_address(connection, host)
        else:
            verify_hostname(connection, _without_dot(host))
    except (VerificationError, CertificateError, ValueError):
        # ValueError: a host that no certificate can be for.
        raise CertificateNameError(f"the certificate is not valid for {host}") from None


def certificate_expiry(certificate: Any) -> float | None:
    """When a certificate (pyOpenSSL's) ends, in Unix seconds; None if there is none."""
    not_after = None if certificate is None else certificate.get_notAfter()
    if not_after is None:
        return None
    found = _MOMENT.fullmatch(not_after)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


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


def tls_facts(connection: SSL.Connection) -> TLSFacts:
    """What a connection whose hands are shaken has come to."""
    certificate = connection.get_peer_certificate()
    return TLSFacts(
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "no cipher",
        certificate_names(certificate),
        certificate_expiry(certificate),
    )


def handshake_text(connection: SSL.Connection, error: SSL.Error) -> str:
    """Why a connection failed, with what is wrong with a certificate that was refused."""
    fault = connection.get_app_data()
    return f"{ssl_text(error)}: {fault}" if fault else ssl_text(error)


def ssl_text(error: Exception) -> str:
    """OpenSSL's own words out of its list of (library, function, reason)."""
    if error.args and isinstance(error.args[0], list):
        reasons = [str(entry[-1]) for entry in error.args[0] if entry]
        if reasons:
            return ", ".join(reasons)
    return str(error) or type(error).__name__


@lru_cache(maxsize=1024)
def _server_name(host: str) -> bytes | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _without_dot(host).encode("ascii")
    return None


def _without_dot(name: str) -> str:
    """A DNS name may end in a dot; in TLS it has none (RFC 6066 section 3)."""
    return name.removesuffix(".")


def _unverifying() -> SSL.Context:
    context = ssl.CertificateOptions(verify=False, enableSessionTickets=True).getContext()
    # Without Twisted's callback, which is asked of each certificate and agrees to all.
    context.set_verify(SSL.VERIFY_NONE)
    return context


def _verifying(trusted: Any) -> SSL.Context:
    context = ssl.CertificateOptions(trustRoot=trusted, enableSessionTickets=True).getContext()
    # Whatever this version of Twisted does by default: no certificate is no verified one.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _note_fault)
    return context


def _note_fault(
    connection: SSL.Connection, certificate: Any, fault: int, depth: int, good: int
) -> bool:
    """OpenSSL's verdict stands; its error alone would not say what is wrong."""
    if not good:
        whose = "the certificate" if depth == 0 else "the certificate of an authority"
        said = f"{whose} {_FAULTS[fault]}" if fault in _FAULTS else _UNTRUSTED.get(fault, "")
        ends_at = certificate_expiry(certificate)
        if fault == _EXPIRED and ends_at is not None:
            said += f" on {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M} UTC"
        connection.set_app_data(said)
    return bool(good)
