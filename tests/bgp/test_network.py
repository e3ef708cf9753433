"""What the adapter on Twisted says of connections that fail."""

from __future__ import annotations

import errno

import pytest
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.error import getConnectError
from twisted.python.failure import Failure

from pybal.bgp.network import _in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (getConnectError((errno.ECONNREFUSED, "x")), "connection refused"),
        (getConnectError((errno.ENETUNREACH, "x")), "network is unreachable"),
        (getConnectError((errno.EADDRNOTAVAIL, "x")), "cannot assign requested address"),
        (TwistedTimeoutError(), "User timeout caused connection failure"),
    ],
)
def test_a_connection_that_fails_is_told_in_the_kernels_words(error: Exception, words: str) -> None:
    assert _in_words(Failure(error)) == words
