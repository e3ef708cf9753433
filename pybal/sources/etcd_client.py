"""A directory of etcd's v2 keys API over TLS, by python-etcd."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

import etcd
import urllib3

from pybal.config.settings import EtcdSource
from pybal.errors import SourceError
from pybal.model import IPAddress
from pybal.net.addresses import bracketed, endpoint
from pybal.runtime.naming import quoted, shortened
from pybal.sources.etcd_connection import Budget, pool_class, shut_down
from pybal.sources.etcd_values import Values

# Importing etcd makes all urllib3 of the process use pyOpenSSL, in a module that is to vanish.
with suppress(ImportError):
    from urllib3.contrib import pyopenssl

    pyopenssl.extract_from_urllib3()

TIMEOUT_S = 5.0
"""For connecting, and for each piece of an answer."""

READ_S = 10.0
"""For a whole answer, from the question on; for a watch's, from the body's first byte on."""

_NO_PAGE = "404 page not found"
"""What etcd 3.4 and newer say of the v2 API, unless it is asked for."""
_NOISE = re.compile(
    r"^(<.*? at 0x\w+>|\w+\(host=[^)]*\)): |\[Errno -?\d+\] | \(_ssl\.c:\d+\)"
    r"| \(read timeout=[\d.]+\)"
)
_OF_TLS = re.compile(r"\[SSL(: \w+)?\] ")
_SHOWN = 200
"""So much of an error: its text may have a whole answer in it."""

WATCH_S = 60.0
"""A watch that has been silent for so long is begun anew, since its connection may be dead. etcd
itself ends watches after some minutes."""


class PythonEtcdClient:
    """The DirectoryClient of a settings' directory, whose host has these addresses. It keeps one
    connection, which is made by the first read(); the server's certificate is verified against
    `ca_file`, or else the platform's authorities."""

    def __init__(
        self,
        settings: EtcdSource,
        addresses: Sequence[IPAddress],
        ca_file: str | None,
        *,
        read_s: float = READ_S,
    ) -> None:
        self._key = settings.key.rstrip("/")
        self._where = endpoint(settings.host, settings.port)
        self._index = 0
        self._socket: socket.socket | None = None
        self._closed = False
        self._budget = Budget()
        self._read_s = read_s
        self._client = etcd.Client(
            host=bracketed(settings.host),
            port=settings.port,
            protocol="https",
            read_timeout=TIMEOUT_S,
            allow_redirect=False,
            per_host_pool_size=1,
            ca_cert=ca_file,
        )
        pools = self._client.http
        pools.connection_pool_kw.update(cert_reqs=ssl.CERT_REQUIRED, retries=urllib3.Retry(0))
        # python-etcd has no way to end a call from another thread.
        pools.pool_classes_by_scheme = {"https": pool_class(addresses, self._opened, self._budget)}

    def read(self) -> Values:
        """See DirectoryClient."""
        self._budget.renew(self._read_s, self._read_s)
        try:
            result = self._client.read(self._key, recursive=True)
            values = self._values(result)
        except etcd.EtcdKeyNotFound:
            raise SourceError(f"{self._where} has no directory {self._key}") from None
        except etcd.EtcdException as error:
            why = shortened(_why(error), _SHOWN)
            raise SourceError(f"{self._where} cannot be read: {why}") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            what = f"{type(error).__name__}: {shortened(str(error), 100)}"
            raise SourceError(f"{self._where} gave no directory's listing ({what})") from None
        self._index = result.etcd_index
        return values

    def _values(self, result: etcd.EtcdResult) -> Values:
        if result.action != "get":
            raise SourceError(f"{self._where} gave no listing, but {quoted(result.action, 40)}")
        if not result.dir:
            raise SourceError(f"{self._key} is no directory")
        if (result.key or "").rstrip("/") != self._key:
            raise SourceError(f"{self._where} gave {quoted(result.key, 100)} for {self._key}")
        values: dict[str, str | None] = {}
        for node in result.leaves:
            if not f"{node.key}/".startswith(f"{self._key}/"):
                raise SourceError(f"{self._where} gave {quoted(node.key, 100)} for {self._key}")
            name, below, _ = node.key[len(self._key) + 1 :].partition("/")
            if name in values and not below:
                raise SourceError(f"{self._where} gave {quoted(node.key, 100)} twice")
            if name:
                values[name] = None if below or node.dir else node.value
        return values

    def wait(self) -> bool:
        """See DirectoryClient."""
        self._budget.renew(WATCH_S + self._read_s, self._read_s)
        try:
            self._client.watch(self._key, index=self._index + 1, timeout=WATCH_S, recursive=True)
        except (etcd.EtcdWatchTimedOut, etcd.EtcdEventIndexCleared):
            return True
        except etcd.EtcdException:
            return False
        return True

    def close(self) -> None:
        """See DirectoryClient."""
        self._closed = True
        opened = self._socket
        if opened is not None:
            shut_down(opened)
        self._client.http.clear()

    def _opened(self, opened: socket.socket) -> None:
        self._socket = opened
        if self._closed:
            shut_down(opened)


def _why(error: Exception) -> str:
    """What lies beneath the wrappings of python-etcd and urllib3, without what only a programmer
    reads: object addresses, numbers of errors, lines of C."""
    beneath = getattr(error, "cause", None) or error
    beneath = getattr(beneath, "reason", None) or beneath
    if len(beneath.args) > 1 and isinstance(beneath, urllib3.exceptions.HTTPError):
        beneath = urllib3.exceptions.HTTPError(beneath.args[-1])  # the first is the connection
    said = _OF_TLS.sub("TLS: ", _NOISE.sub("", str(beneath))).strip() or type(beneath).__name__
    return f"{said}: is its v2 API on (etcd --enable-v2)?" if said.endswith(_NO_PAGE) else said
