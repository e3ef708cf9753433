"""TLS sessions that checks of one server resume: without certificate and signature a handshake
costs both ends a third.

A resumed handshake shows no certificate, so each tenth one is a full one, and so is each after a
check that failed: a server whose certificate has become a bad one is found out by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Monitors know this file, whether or not they speak TLS.
    from OpenSSL import SSL

MOST_RESUMED = 9
"""Handshakes in a row between two full ones."""

FULL_AFTER_REFUSAL = 100
"""Checks without a session once one did more harm than to be declined."""

FAREWELLS = 0x1 | 0x2
"""SSL_SENT_SHUTDOWN and SSL_RECEIVED_SHUTDOWN."""


class TLSResumption:
    """The session of the last good check of one server, in one place and with one way to verify it.

    Each handshake takes it out with offer(); it is there again once keep() has been told that all
    went well.
    """

    def __init__(self) -> None:
        self._session: SSL.Session | None = None
        self._context: SSL.Context | None = None
        self._resumed = 0
        self._full_left = 0

    def offer(self, connection: SSL.Connection) -> bool:
        """Have the handshake of this new connection resume the session; whether there is one."""
        session, self._session = self._session, None
        if self._full_left:
            self._full_left -= 1
            session = None
        # OpenSSL takes a session of another context for a broken handshake.
        in_place = session is not None and self._context is connection.get_context()
        if session is None or not in_place or self._resumed >= MOST_RESUMED:
            self._resumed = 0
            return False
        connection.set_session(session)
        self._resumed += 1
        return True

    def keep(self, connection: SSL.Connection) -> None:
        """All went well with it, and it has heard the last: in TLS 1.3 a session comes with what
        the server says after the handshake."""
        # OpenSSL resumes no session of a connection that was let go without a farewell.
        connection.set_shutdown(FAREWELLS)
        self._session = connection.get_session()
        self._context = connection.get_context()

    def forget(self) -> None:
        """The next handshake is a full one."""
        self._session = None

    def refused(self) -> None:
        """A server that need not take the session has ended the handshake instead."""
        self._session = None
        self._full_left = FULL_AFTER_REFUSAL
