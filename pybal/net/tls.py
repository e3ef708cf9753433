"""TLS client settings, made once and shared: a context costs milliseconds, a connection little.

SNI is sent for host names, never for address literals (RFC 6066 section 3).
"""

from __future__ import annotations

import inspect
import ipaddress
import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from OpenSSL import SSL
from OpenSSL.crypto import Error as CryptoError
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from pybal.errors import PyBalError

_END_OF_CERTIFICATE = b"-----END CERTIFICATE-----"
# strptime takes ten times as long.
_MOMENT = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")

# Twisted 22.4 takes no clock; later ones fall back to the global reactor without it.
_TAKES_CLOCK = "clock" in inspect.signature(TLSMemoryBIOFactory).parameters


class TLSSetupError(PyBalError):
    """A file of trusted certificates cannot be used, or a host cannot be named in TLS."""


class TLSCreators:
    """Gives the connection creator for a host; keeps the costly contexts."""

    def __init__(self) -> None:
        self._unverified = _unverifying()
        self._verified = lru_cache(maxsize=256)(_verifying)

    def creator(self, host: str, *, verify: bool, ca_file: str | None) -> Any:
        """A creator for `host`, a name or an address without brackets.

        `verify` checks chain and name, against `ca_file` (PEM) or else the platform's trust.
        Raises TLSSetupError.
        """
        try:
            if verify:
                return self._verified(host, ca_file)
            return _Unverified(self._unverified, _server_name(host))
        except (UnicodeError, SSL.Error) as error:
            raise TLSSetupError(f"TLS to {host!r} cannot be set up: {error}") from None


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """A client endpoint that speaks TLS as `creator` says, on top of `endpoint`.

    Twisted's own, wrapClientTLS, lets nobody name the clock in Debian 13's version.
    """

    def __init__(self, creator: Any, endpoint: Any, clock: Any) -> None:
        self._creator = creator
        self._endpoint = endpoint
        self._clock = {"clock": clock} if _TAKES_CLOCK else {}

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """See IStreamClientEndpoint."""
        factory = TLSMemoryBIOFactory(self._creator, True, protocolFactory, **self._clock)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda tls: tls.wrappedProtocol)


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


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Takes any certificate: a real server is checked for life, not for identity."""

    def __init__(self, context: SSL.Context, server_name: bytes | None) -> None:
        self._context = context
        self._server_name = server_name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: ARG002, N803
        connection = SSL.Connection(self._context, None)
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name)
        return connection


@lru_cache(maxsize=1024)
def _server_name(host: str) -> bytes | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.encode("ascii")
    return None


def _unverifying() -> SSL.Context:
    context = ssl.CertificateOptions(verify=False).getContext()
    # Without Twisted's callback, which is asked of each certificate and agrees to all.
    context.set_verify(SSL.VERIFY_NONE)
    return context


def _verifying(host: str, ca_file: str | None) -> Any:
    trust = None if ca_file is None else _trust_root(ca_file)
    return ssl.optionsForClientTLS(host, trustRoot=trust)


def _trust_root(ca_file: str) -> Any:
    try:
        text = Path(ca_file).read_bytes()
        blocks = text.split(_END_OF_CERTIFICATE)[:-1]
        certificates = [ssl.Certificate.loadPEM(block + _END_OF_CERTIFICATE) for block in blocks]
    except (OSError, ValueError, CryptoError) as error:
        raise TLSSetupError(f"cannot use the certificates of {ca_file}: {error}") from None
    if not certificates:
        raise TLSSetupError(f"{ca_file} holds no certificate")
    return cast(Any, ssl.trustRootFromCertificates)(certificates)  # untyped in Twisted
