"""What a server sends in time, and what we read late, as in a storm."""

from __future__ import annotations

import errno

import pytest

from pybal.errors import HTTPFetchError
from pybal.http.port import HTTPRequest
from tests.fakes.deferreds import error_of, result_of
from tests.http.test_client import OK, SERVER, Rig

REQUEST = HTTPRequest("http://example.org/", 5, 1000, connect_to=SERVER)
OVER_TLS = HTTPRequest("https://example.org/", 5, 1000, connect_to=SERVER, tls_verify=False)


def test_an_answer_that_lies_there_at_the_timeout_counts() -> None:
    rig = Rig(REQUEST)
    channel = rig.connect()
    channel.unseen = lambda: channel.receive(OK)
    channel.waited_in_all = 3.0
    rig.clock.advance(5)
    response = result_of(rig.fetched)
    assert (response.status, response.waited_s) == (200, 3.0)
    assert not channel.open and not rig.clock.getDelayedCalls()


@pytest.mark.parametrize("request_", [REQUEST, OVER_TLS], ids=["http", "https"])
def test_a_server_has_all_its_time_though_we_saw_late_that_it_was_connected(
    request_: HTTPRequest,
) -> None:
    rig = Rig(request_)
    channel = rig.network.channels[0]
    channel.unseen = channel.connect
    channel.waited_in_all = 4.0
    rig.clock.advance(5)
    assert channel.sent, "the question, or TLS's first word"
    rig.clock.advance(3.9)
    assert channel.open
    rig.clock.advance(0.2)
    assert "timed out" in str(error_of(rig.fetched))


def test_a_refusal_says_how_long_it_waited_for_us() -> None:
    rig = Rig(REQUEST)
    rig.clock.advance(4)
    channel = rig.network.channels[0]
    channel.waited_in_all = 3.9
    channel.end(errno.ECONNREFUSED)
    error = error_of(rig.fetched)
    assert isinstance(error, HTTPFetchError)
    assert error.waited_s == 3.9
    assert str(error).endswith("(0.100 s)")
