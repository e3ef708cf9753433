"""The HTTP client on sockets that the test holds: what it sends, and how each exchange ends."""

from __future__ import annotations

import errno
import random
import re
from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from pybal.errors import HTTPFetchError, HTTPLocalFaultError
from pybal.http.client import BoundedHTTPClient
from pybal.http.connecting import STAGGER_S
from pybal.http.port import HTTPRequest, HTTPResponse
from pybal.model import IPAddress
from pybal.names.resolver import Resolver
from pybal.runtime.files_port import Files
from tests.fakes.deferreds import error_of, result_of
from tests.fakes.files import FilesHere
from tests.fakes.log import FakeLog
from tests.fakes.names import FakeHostLookUp, FakeNamesClient
from tests.fakes.network import FakeChannel, FakeNetwork, os_error, without_garbage

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SERVER: tuple[IPAddress, int] = (ip_address("192.0.2.7"), 8080)


class Rig:
    """One client, one fetch, and the server's side of its connection."""

    def __init__(
        self,
        request: HTTPRequest,
        names: FakeHostLookUp | None = None,
        code: int | None = None,
        files: Files | None = None,
    ) -> None:
        self.clock: Any = Clock()
        self.network = FakeNetwork()
        self.network.error = os_error(code) if code is not None else None
        self.names = names or FakeHostLookUp()
        client = BoundedHTTPClient(self.clock, self.network, self.names, files=files or FilesHere())
        self.fetched: Deferred[HTTPResponse] = client.fetch(request)

    def connect(self) -> FakeChannel:
        """The server takes the connection that was tried last."""
        channel = self.network.channels[-1]
        channel.connect()
        return channel

    @property
    def tried(self) -> list[str]:
        """The addresses tried so far."""
        return [str(channel.address) for channel in self.network.channels]


def request(url: str = "http://www.example.org/a?b=c", **options: Any) -> HTTPRequest:
    options.setdefault("connect_to", SERVER)
    return HTTPRequest(url, timeout_s=5.0, max_bytes=1000, **options)


def head(asked: HTTPRequest) -> list[str]:
    (sent,) = Rig(asked).connect().sent
    return sent.decode().split("\r\n")


def test_connects_to_the_given_address_and_names_the_urls_host() -> None:
    rig = Rig(request(headers={"User-Agent": "Twisted PageGetter"}))
    channel = rig.connect()
    assert (channel.address, channel.port) == SERVER
    assert channel.sent == [
        b"GET /a?b=c HTTP/1.1\r\n"
        b"Host: www.example.org\r\n"
        b"User-Agent: Twisted PageGetter\r\n"
        b"Connection: close\r\n\r\n"
    ]


@pytest.mark.parametrize("answer", [b"", OK])
def test_an_exchange_that_is_over_is_no_garbage(answer: bytes) -> None:
    network = FakeNetwork()
    with without_garbage(network):
        rig = Rig(request())
        network.channels = rig.network.channels
        rig.connect().receive(answer)
        rig.clock.advance(5)
        rig.fetched.addErrback(lambda failure: failure.check(HTTPFetchError) and None)
        del rig


def test_connects_to_the_urls_own_address_where_no_other_is_given() -> None:
    channel = Rig(request("http://[2001:db8::1]:81/", connect_to=None)).connect()
    assert b"Host: [2001:db8::1]:81\r\n" in channel.sent[0]
    assert (str(channel.address), channel.port) == ("2001:db8::1", 81)


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
    nothing_is_left(rig)


def nothing_is_left(rig: Rig) -> None:
    assert rig.clock.getDelayedCalls() == []
    assert rig.network.open == []


def test_a_complete_answer_closes_the_connection_and_fires() -> None:
    rig = Rig(request())
    rig.connect().receive(OK)
    assert result_of(rig.fetched).body == b"hi"
    nothing_is_left(rig)


def test_a_refused_connection_says_so() -> None:
    rig = Rig(request())
    rig.network.channels[0].end(errno.ECONNREFUSED)
    failed_with(rig, r"^GET http://www\S+ of 192\.0\.2\.7:8080: cannot connect: .*refused")


def test_a_connection_that_is_not_made_ends_at_the_deadline() -> None:
    rig = Rig(request())
    rig.clock.advance(4.9)
    assert not rig.fetched.called
    rig.clock.advance(0.1)
    failed_with(rig, r"of 192\.0\.2\.7:8080: timed out, not connected \(5\.000 s\)$")


def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    rig = Rig(request())
    rig.connect()
    rig.clock.advance(5.0)
    failed_with(rig, "timed out, connected but nothing received")


def test_a_body_that_trickles_ends_at_the_deadline() -> None:
    rig = Rig(request())
    channel = rig.connect()
    channel.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    for _ in range(4):
        rig.clock.advance(1.0)
        channel.receive(b"x")
    rig.clock.advance(1.0)
    failed_with(rig, "timed out after 4 of 9 bytes of body")


def test_a_body_shorter_than_its_length_is_an_error() -> None:
    rig = Rig(request())
    channel = rig.connect()
    channel.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    channel.end()
    failed_with(rig, r"connection closed after 1 of 9 bytes of body \(0\.000 s\)$")


def test_a_reset_is_told_from_a_close() -> None:
    rig = Rig(request())
    channel = rig.connect()
    channel.receive(b"HTTP/1.1 200 OK\r\n")
    channel.end(errno.ECONNRESET)
    failed_with(rig, r"within the headers, 17 bytes received \(connection reset by peer\)")


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ETIMEDOUT, "connection timed out"), (errno.EHOSTUNREACH, "no route to host")],
)
def test_a_lost_connection_has_the_kernels_words(code: int, words: str) -> None:
    """Silence, a router that knows no way and a reset are not the same trouble."""
    rig = Rig(request())
    rig.connect().end(code)
    failed_with(rig, rf"without an answer \({words}\)")


def test_a_request_that_this_host_cannot_send_says_nothing_of_the_server() -> None:
    rig = Rig(request())
    (channel,) = rig.network.open
    channel.send_error = os_error(errno.ENOBUFS)
    channel.connect()
    with pytest.raises(HTTPLocalFaultError, match="cannot send: no buffer space") as caught:
        result_of(rig.fetched)
    assert caught.value.cause is channel.send_error
    assert rig.network.open == []


def test_a_server_that_ends_the_connection_as_the_request_is_sent_is_at_fault_itself() -> None:
    rig = Rig(request())
    (channel,) = rig.network.open
    channel.send_error = os_error(errno.EPIPE)
    channel.connect()
    failed_with(rig, r"connection closed without an answer \(broken pipe\)")


def test_too_many_bytes_end_the_connection() -> None:
    rig = Rig(request())
    rig.connect().receive(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
    failed_with(rig, "more than 1000 bytes, in mid-body")


def test_a_cut_body_succeeds_and_ends_the_connection() -> None:
    rig = Rig(request(truncate=True))
    rig.connect().receive(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
    assert result_of(rig.fetched).status == 200
    nothing_is_left(rig)


@pytest.mark.parametrize("url", ["http://192.0.2.7/", "http://h/"])
def test_cancelling_while_connecting_stops_everything(url: str) -> None:
    names = FakeHostLookUp(h=("2001:db8::1", "192.0.2.7"))
    rig = Rig(request(url, connect_to=None), names)
    rig.fetched.cancel()
    assert isinstance(error_of(rig.fetched), CancelledError)
    nothing_is_left(rig)


def test_cancelling_in_mid_answer_ends_the_connection() -> None:
    rig = Rig(request())
    rig.connect().receive(OK[:10])
    rig.fetched.cancel()
    assert isinstance(error_of(rig.fetched), CancelledError)
    nothing_is_left(rig)


NAMED = request("http://config.example/pool", connect_to=None)
BOTH = ("2001:db8::1", "192.0.2.7")


def test_a_name_is_looked_up_and_its_first_address_connected_to() -> None:
    rig = Rig(NAMED)
    rig.names.answer("config.example", *BOTH)
    rig.connect().receive(OK)
    assert result_of(rig.fetched).body == b"hi"
    assert rig.tried == ["2001:db8::1"]
    nothing_is_left(rig)


@pytest.mark.parametrize("code", [errno.ECONNREFUSED, errno.ENETUNREACH])
def test_an_address_that_fails_is_followed_by_the_next_at_once(code: int) -> None:
    rig = Rig(NAMED)
    rig.names.answer("config.example", *BOTH)
    rig.network.channels[0].end(code)
    rig.connect().receive(OK)
    assert result_of(rig.fetched).body == b"hi"
    assert rig.tried == [*BOTH]
    nothing_is_left(rig)


def test_an_address_that_is_silent_is_tried_on_beside_the_next() -> None:
    for number in range(2):
        rig = Rig(NAMED)
        rig.names.answer("config.example", *BOTH)
        rig.clock.advance(STAGGER_S)
        assert rig.tried == [*BOTH]
        rig.network.channels[number].connect()
        (channel,) = rig.network.open
        channel.receive(OK)
        assert result_of(rig.fetched).body == b"hi"
        nothing_is_left(rig)


def test_addresses_that_all_fail_are_told_each() -> None:
    rig = Rig(NAMED)
    rig.names.answer("config.example", *BOTH)
    rig.clock.advance(STAGGER_S)
    rig.network.channels[1].end(errno.ECONNREFUSED)
    assert not rig.fetched.called
    rig.network.channels[0].end(errno.EHOSTUNREACH)
    failed_with(
        rig,
        r"of config\.example:80: cannot connect: 192\.0\.2\.7 connection refused, "
        r"2001:db8::1 no route to host \(0\.250 s\)$",
    )


def test_silent_addresses_end_at_the_deadline_however_many_they_are() -> None:
    rig = Rig(NAMED)
    rig.names.answer("config.example", *(f"192.0.2.{n}" for n in range(1, 200)))
    for _ in range(40):
        rig.clock.advance(0.125)
    failed_with(rig, r"config\.example:80: timed out, not connected \(5\.000 s\)$")
    assert len(rig.tried) <= 1 + 5 / STAGGER_S


def test_an_answer_of_the_name_servers_that_takes_long_ends_at_the_deadline() -> None:
    rig = Rig(NAMED)
    rig.clock.advance(5.0)
    failed_with(rig, r"of config\.example:80: timed out, its address is not known yet")
    assert rig.names.cancelled == ["config.example"]
    assert rig.tried == []


def test_a_name_without_an_address_says_why() -> None:
    rig = Rig(NAMED)
    rig.names.fail("config.example", "config.example has no address: it does not exist")
    failed_with(rig, r"of config\.example:80: cannot connect: config\.example has no address: it")


def test_a_connection_lost_after_it_was_made_is_not_tried_at_the_next_address() -> None:
    rig = Rig(NAMED)
    rig.names.answer("config.example", *BOTH)
    rig.connect().end(errno.ECONNRESET)
    failed_with(rig, r"of \[2001:db8::1\]:80: connection closed without an answer \(connection re")
    assert rig.tried == ["2001:db8::1"]


def test_an_outage_of_dns_is_survived_with_the_last_known_address() -> None:
    rig = Rig(NAMED)
    names = FakeNamesClient()
    resolver = Resolver(rig.clock, random.Random(1), names, FakeLog().logger("resolver"), None)
    client = BoundedHTTPClient(rig.clock, rig.network, resolver, files=FilesHere())
    first = client.fetch(NAMED)
    names.answer("config.example", "192.0.2.7", ttl_s=10)
    names.fail("config.example", family=6)
    rig.connect().receive(OK)
    assert result_of(first).body == b"hi"
    for _ in range(600):
        fetched = client.fetch(NAMED)
        while not rig.network.open:
            rig.clock.advance(0.25)
            assert not fetched.called
        rig.connect().receive(OK)
        assert result_of(fetched).body == b"hi"
        rig.clock.advance(1)
    assert set(rig.tried) == {"192.0.2.7"}
    assert len(names.asked) > 20


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
    assert rig.tried == []


def test_a_secret_in_a_url_is_not_shown() -> None:
    rig = Rig(request("http://user:hunter2@a.example/b?token=hunter2"))
    error = str(error_of(rig.fetched))
    assert "a.example/b" in error and "hunter2" not in error


def test_a_header_that_would_start_another_is_not_sent() -> None:
    rig = Rig(request(headers={"User-Agent": "a\r\nEvil: yes"}))
    failed_with(rig, "cannot be sent")
    assert rig.tried == []


def test_a_head_request_has_an_answer_without_a_body() -> None:
    rig = Rig(request(method="HEAD"))
    channel = rig.connect()
    assert channel.sent[0].startswith(b"HEAD /a?b=c HTTP/1.1\r\n")
    channel.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n")
    response = result_of(rig.fetched)
    assert (response.status, response.body) == (200, b"")


def test_it_may_connect_from_an_address() -> None:
    rig = Rig(request(source=ip_address("192.0.2.99")))
    assert rig.connect().source == ip_address("192.0.2.99")


@pytest.mark.parametrize(
    ("code", "why", "ours"),
    [
        (errno.ECONNREFUSED, "connection refused", False),
        (errno.EHOSTUNREACH, "no route to host", False),
        (errno.EMFILE, "too many open files", True),
        (errno.EADDRNOTAVAIL, "cannot assign requested address", True),
        (errno.ENOBUFS, "no buffer space available", True),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_what_the_system_says_is_told_once_and_our_own_faults_are_marked(
    code: int, why: str, ours: bool, at_once: bool
) -> None:
    rig = Rig(request(), code=code if at_once else None)
    if not at_once:
        rig.network.channels[0].end(code)
    failure = error_of(rig.fetched)
    url = "http://www.example.org/a?b=***"
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
