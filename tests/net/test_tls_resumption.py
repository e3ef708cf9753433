"""Which handshakes of checks resume a session, and which are full ones."""

from __future__ import annotations

import weakref
from typing import Any, cast

import pytest

from pybal.net.tls_resumption import TLSResumption


class Connection:
    """What is asked of one of pyOpenSSL's."""

    def __init__(self, context: object, session: object = "session") -> None:
        self.context, self.session = context, session
        self.resumes: object = None
        self.shutdown = 0

    def get_context(self) -> object:
        return self.context

    def get_session(self) -> object:
        return self.session

    def set_session(self, session: object) -> None:
        self.resumes = session

    def set_shutdown(self, state: int) -> None:
        self.shutdown = state


class Checks:
    """Of one server, one after the other."""

    def __init__(self) -> None:
        self.resumption = TLSResumption()
        self.context = object()

    def offer(self, context: object = None) -> bool:
        """Whether the next one resumes."""
        self.last = Connection(context or self.context)
        offered = self.resumption.offer(cast(Any, self.last))
        assert offered == (self.last.resumes is not None)
        return offered

    def good(self) -> bool:
        """The next one goes well; whether it has resumed."""
        offered = self.offer()
        self.resumption.keep(cast(Any, self.last))
        return offered


@pytest.fixture
def checks() -> Checks:
    return Checks()


def test_the_first_handshake_is_a_full_one_and_the_next_resumes_it(checks: Checks) -> None:
    assert not checks.good()
    assert checks.offer()
    assert checks.last.resumes == "session"


def test_a_session_is_offered_once(checks: Checks) -> None:
    checks.good()
    assert checks.offer()
    assert not checks.offer(), "the check before has not gone well"


def test_each_tenth_handshake_is_a_full_one(checks: Checks) -> None:
    assert [checks.good() for _ in range(21)] == [False, *[True] * 9, False, *[True] * 9, False]


def test_after_a_full_one_nine_are_resumed_again(checks: Checks) -> None:
    for _ in range(6):
        checks.good()
    checks.resumption.forget()
    assert [checks.good() for _ in range(11)] == [False, *[True] * 9, False]


def test_a_session_of_another_context_is_not_offered(checks: Checks) -> None:
    checks.good()
    assert not checks.offer(object())


def test_both_farewells_are_said_to_be_over() -> None:
    # As in ssl.h: SSL_SENT_SHUTDOWN is 1, SSL_RECEIVED_SHUTDOWN 2.
    checks = Checks()
    checks.good()
    assert checks.last.shutdown == 3


def test_a_server_that_breaks_off_is_asked_for_nothing_a_hundred_times(checks: Checks) -> None:
    checks.good()
    assert checks.offer()
    checks.resumption.refused()
    assert [checks.good() for _ in range(102)] == [*[False] * 100, True, True]


class Session:
    """What a weak reference can be had of."""


def test_a_session_that_was_broken_off_is_let_go_at_once(checks: Checks) -> None:
    last = Connection(checks.context, Session())
    checks.resumption.keep(cast(Any, last))
    session = weakref.ref(last.session)
    last.session = None
    assert session() is not None
    checks.resumption.refused()
    assert session() is None
    assert not any(checks.offer() for _ in range(102))
