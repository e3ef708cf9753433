"""A directory of etcd's v2 keys API over TLS, by python-etcd."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import etcd
import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from pybal.config.settings import EtcdSource
from pybal.errors import SourceError
from pybal.net.addresses import bracketed, endpoint
from pybal.sources.etcdvalues import Values

# Importing etcd makes all urllib3 of the process use pyOpenSSL, in a module that is to vanish.
with suppress(ImportError):
    from urllib3.contrib import pyopenssl

    pyopenssl.extract_from_urllib3()

TIMEOUT_S = 5.0
"""For connecting, and for each piece of an answer."""

WATCH_S = 60.0
"""A watch that has been silent for so long is begun anew, since its connection may be dead. etcd
itself ends watches after some minutes."""


class PythonEtcdClient:
    """The DirectoryClient of a settings' directory. It keeps one connection, which is made by
    the first read(); the server's certificate is verified against `ca_file`, or else the
    platform's authorities."""

    def __init__(self, settings: EtcdSource, ca_file: str | None) -> None:
        self._key = settings.key.rstrip("/")
        self._where = endpoint(settings.host, settings.port)
        self._index = 0
        self._socket: socket.socket | None = None
        self._closed = False
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
        pools.pool_classes_by_scheme = {"https": _pool_that_tells(self._opened)}

    def read(self) -> Values:
        """See DirectoryClient."""
        try:
            result = self._client.read(self._key, recursive=True)
        except etcd.EtcdKeyNotFound:
            raise SourceError(f"{self._where} has no directory {self._key}") from None
        except etcd.EtcdException as error:
            raise SourceError(f"{self._where} cannot be read: {_why(error)}") from None
        if not result.dir:
            raise SourceError(f"{self._key} is no directory")
        self._index = result.etcd_index
        values: dict[str, str | None] = {}
        for node in result.leaves:
            name, below, _ = node.key[len(self._key) + 1 :].partition("/")
            if name:
                values[name] = None if below or node.dir else node.value
        return values

    def wait(self) -> bool:
        """See DirectoryClient."""
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
            _shut_down(opened)
        self._client.http.clear()

    def _opened(self, opened: socket.socket) -> None:
        self._socket = opened
        if self._closed:
            _shut_down(opened)


def _pool_that_tells(opened: Callable[[socket.socket], None]) -> type[HTTPSConnectionPool]:
    """A connection pool that tells of each socket it has opened."""

    class TellingConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    class TellingPool(HTTPSConnectionPool):
        ConnectionCls: Any = TellingConnection

    return TellingPool


def _shut_down(opened: socket.socket) -> None:
    """Make what another thread does with the socket end. Not SSLSocket's own shutdown, which
    would take the TLS state away from under that thread."""
    with suppress(OSError):  # it may be closed already
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    """What lies beneath the wrappings of python-etcd and urllib3, without object addresses."""
    beneath = getattr(error, "cause", None) or error
    beneath = getattr(beneath, "reason", None) or beneath
    if len(beneath.args) > 1 and isinstance(beneath, urllib3.exceptions.HTTPError):
        beneath = urllib3.exceptions.HTTPError(beneath.args[-1])  # the first is the connection
    return (
        re.sub(r"^(<.*? at 0x\w+>|\w+\(host=[^)]*\)): ", "", str(beneath)) or type(beneath).__name__
    )
