"""The HTTP client on a reactor held in memory: what it sends, and how each exchange ends."""

from __future__ import annotations

import errno
import re
from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.http.twistedhttp import TwistedHTTPClient, without_user
from pybal.model import IPAddress
from tests.fakes.deferreds import error_of, result_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SERVER: tuple[IPAddress, int] = (ip_address("192.0.2.7"), 8080)


class Rig:
    """One client, one fetch, and the server's side of its connection."""

    def __init__(self, request: HTTPRequest) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.fetched: Deferred[HTTPResponse] = TwistedHTTPClient(self.reactor).fetch(request)

    def connect(self) -> StringTransport:
        self.factory = self.reactor.tcpClients[0][2]
        self.protocol = self.factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)
        return self.transport

    def close(self, reason: Exception) -> None:
        self.protocol.connectionLost(Failure(reason))


def request(url: str = "http://www.example.org/a?b=c", **options: Any) -> HTTPRequest:
    options.setdefault("connect_to", SERVER)
    return HTTPRequest(url, timeout_s=5.0, max_bytes=1000, **options)


def head(asked: HTTPRequest) -> list[str]:
    sent: bytes = Rig(asked).connect().value()
    return sent.decode().split("\r\n")


def test_connects_to_the_given_address_and_names_the_urls_host() -> None:
    rig = Rig(request(headers={"User-Agent": "Twisted PageGetter"}))
    lines = rig.connect().value().decode().split("\r\n")
    assert rig.reactor.tcpClients[0][:2] == ("192.0.2.7", 8080)
    assert lines == [
        "GET /a?b=c HTTP/1.1",
        "Host: www.example.org",
        "User-Agent: Twisted PageGetter",
        "Connection: close",
        "",
        "",
    ]


def test_connects_to_the_urls_own_address_where_no_other_is_given() -> None:
    rig = Rig(request("http://[2001:db8::1]:81/", connect_to=None))
    assert "Host: [2001:db8::1]:81" in rig.connect().value().decode().split("\r\n")
    assert rig.reactor.tcpClients[0][:2] == ("2001:db8::1", 81)


def test_a_default_port_is_left_out_of_the_host_header() -> None:
    assert "Host: a.example" in head(request("http://a.example:80/"))
    assert "Host: a.example:443" in head(request("http://a.example:443/"))


def test_a_url_without_a_path_asks_for_the_root() -> None:
    assert head(request("http://localhost"))[0] == "GET / HTTP/1.1"
    assert head(request("http://localhost?q#f"))[0] == "GET /?q HTTP/1.1"


def test_a_given_host_header_wins() -> None:
    lines = head(request(headers={"Host": "other.example"}))
    assert [x for x in lines if x.startswith("Host")] == ["Host: other.example"]


def failed_with(rig: Rig, pattern: str) -> None:
    error = error_of(rig.fetched)
    assert isinstance(error, HTTPFetchError)
    assert re.search(pattern, str(error)), str(error)
    assert str(error).isprintable()
    assert rig.reactor.getDelayedCalls() == []


def test_a_complete_answer_closes_the_connection_and_fires() -> None:
    rig = Rig(request())
    transport = rig.connect()
    rig.protocol.dataReceived(OK)
    assert result_of(rig.fetched).body == b"hi"
    assert transport.disconnecting
    rig.close(ConnectionDone())
    assert rig.reactor.getDelayedCalls() == []


def test_a_peer_that_does_not_close_after_its_answer_is_aborted_at_the_deadline() -> None:
    rig = Rig(request())
    transport = rig.connect()
    rig.protocol.dataReceived(OK)
    rig.protocol.dataReceived(b"more and more")
    rig.reactor.advance(5.0)
    assert result_of(rig.fetched).status == 200
    assert transport.disconnected


def test_a_refused_connection_says_so() -> None:
    rig = Rig(request())
    rig.reactor.tcpClients[0][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    failed_with(rig, r"^GET http://www\S+ of 192\.0\.2\.7:8080: cannot connect: .*refused")


def test_a_connection_that_is_not_made_ends_at_the_deadline() -> None:
    rig = Rig(request())
    rig.reactor.advance(4.9)
    assert not rig.fetched.called
    rig.reactor.advance(0.1)
    failed_with(rig, r"of 192\.0\.2\.7:8080: timed out, not connected \(5\.000 s\)$")


def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    rig = Rig(request())
    transport = rig.connect()
    rig.reactor.advance(5.0)
    failed_with(rig, "timed out, connected but nothing received")
    assert transport.disconnected


def test_a_body_that_trickles_ends_at_the_deadline() -> None:
    rig = Rig(request())
    transport = rig.connect()
    rig.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    for _ in range(5):
        rig.reactor.advance(1.0)
        rig.protocol.dataReceived(b"x")
    failed_with(rig, "timed out after 4 of 9 bytes of body")
    assert transport.disconnected


def test_a_body_shorter_than_its_length_is_an_error() -> None:
    rig = Rig(request())
    rig.connect()
    rig.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    rig.close(ConnectionDone())
    failed_with(rig, r"connection closed after 1 of 9 bytes of body \(0\.000 s\)$")


def test_a_reset_is_told_from_a_close() -> None:
    rig = Rig(request())
    rig.connect()
    rig.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n")
    rig.close(ConnectionLost())
    failed_with(rig, r"within the headers, 17 bytes received \(reset\)")


def test_too_many_bytes_abort_the_connection() -> None:
    rig = Rig(request())
    transport = rig.connect()
    rig.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
    failed_with(rig, "more than 1000 bytes, in mid-body")
    assert transport.disconnected


def test_a_cut_body_succeeds_and_aborts_the_connection() -> None:
    rig = Rig(request(truncate=True))
    transport = rig.connect()
    rig.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
    assert result_of(rig.fetched).status == 200
    assert transport.disconnected
    assert rig.reactor.getDelayedCalls() == []


def test_cancelling_while_connecting_stops_everything() -> None:
    rig = Rig(request())
    rig.fetched.cancel()
    assert isinstance(error_of(rig.fetched), CancelledError)
    assert rig.reactor.connectors[0].stoppedConnecting
    assert rig.reactor.getDelayedCalls() == []


def test_cancelling_in_mid_answer_aborts_the_connection() -> None:
    rig = Rig(request())
    transport = rig.connect()
    rig.protocol.dataReceived(OK[:10])
    rig.fetched.cancel()
    assert isinstance(error_of(rig.fetched), CancelledError)
    assert transport.disconnected
    rig.close(ConnectionLost())
    assert rig.reactor.getDelayedCalls() == []


UNUSABLE = {
    "ftp://a.example/": "neither an http nor an https URL",
    "http:///path": "names no host",
    "http://a.example:99999/": "[Pp]ort",
    "http://a.example:x/": "[Pp]ort|could not be cast",
    "http://a.example/sp ace": "not visible ASCII",
    "http://a.example/\r\nX: y": "not visible ASCII",
    "http://ü.example/": "not visible ASCII",
    "http://user:secret@a.example/": "a user name in the URL is not supported",
    "http://[::1/": "Invalid IPv6",
    "": "not visible ASCII",
}


@pytest.mark.parametrize("url", UNUSABLE)
def test_an_unusable_url_fails_at_once(url: str) -> None:
    rig = Rig(request(url, connect_to=None))
    failed_with(rig, UNUSABLE[url])
    assert rig.reactor.tcpClients == []


def test_a_password_in_a_url_is_not_shown() -> None:
    assert without_user("http://user:se@cret@a.example/b@c") == "http://a.example/b@c"


def test_a_header_that_would_start_another_is_not_sent() -> None:
    rig = Rig(request(headers={"User-Agent": "a\r\nEvil: yes"}))
    failed_with(rig, "cannot be sent")
    assert rig.reactor.tcpClients == []


def test_a_missing_file_of_trusted_certificates_is_named() -> None:
    rig = Rig(request("https://a.example/", ca_file="/nonexistent/ca.pem"))
    failed_with(rig, "cannot use the certificates of /nonexistent/ca.pem")


def test_a_head_request_has_an_answer_without_a_body() -> None:
    rig = Rig(request(method="HEAD"))
    assert rig.connect().value().startswith(b"HEAD /a?b=c HTTP/1.1\r\n")
    rig.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n")
    response = result_of(rig.fetched)
    assert (response.status, response.body) == (200, b"")


def test_it_may_connect_from_an_address() -> None:
    rig = Rig(request(source=ip_address("192.0.2.99")))
    assert rig.reactor.tcpClients[0][4] == ("192.0.2.99", 0)


@pytest.mark.parametrize(
    ("error", "why", "ours"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused", False),
        (ConnectError(errno.EHOSTUNREACH, "x"), "no route to host", False),
        (ConnectBindError(errno.EMFILE, "x"), "too many open files", True),
        (ConnectError(errno.EADDRNOTAVAIL, "x"), "cannot assign requested address", True),
        (OSError(errno.ENOBUFS, "x"), "no buffer space available", True),
        (ConnectError(string="odd"), "An error occurred while connecting: odd.", False),
    ],
)
def test_what_the_system_says_is_told_once_and_our_own_faults_are_marked(
    error: Exception, why: str, ours: bool
) -> None:
    rig = Rig(request())
    connector = rig.reactor.connectors[0]
    rig.reactor.tcpClients[0][2].clientConnectionFailed(connector, Failure(error))
    failure = error_of(rig.fetched)
    url = "http://www.example.org/a?b=c"
    assert str(failure) == f"GET {url} of 192.0.2.7:8080: cannot connect: {why} (0.000 s)"
    assert isinstance(failure, HTTPLocalFaultError) is ours
    if isinstance(failure, HTTPLocalFaultError):
        assert failure.cause is not None
    elif isinstance(failure, HTTPFetchError):
        assert failure.what == f"192.0.2.7:8080: cannot connect: {why}"


@pytest.mark.parametrize(
    "asked",
    [request("ftp://h/"), request(headers={"a b": "c"}), request("https://h/", ca_file="/x")],
)
def test_a_request_that_cannot_be_sent_is_our_own_fault(asked: HTTPRequest) -> None:
    assert isinstance(error_of(Rig(asked).fetched), HTTPLocalFaultError)
