from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from pybal.instrumentation.channel import MAX_CONNECTIONS
from pybal.model import ServiceSnapshot
from tests.fakes.deferreds import result_of
from tests.fakes.view import FakeView, large_view, server, service
from tests.instrumentation.exchange import Client, HeldTurns, parse

TEXT = "text/plain; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def view() -> FakeView:
    return FakeView([service("text_443", [server("cp1", weight=1)])])


class BrokenView(FakeView):
    """A daemon with a bug."""

    def services(self) -> Sequence[ServiceSnapshot]:
        return self._fail()

    def service_names(self) -> list[str]:
        return self._fail()

    def service(self, name: str) -> ServiceSnapshot | None:
        return self._fail()

    def _fail(self) -> NoReturn:
        raise ZeroDivisionError("secret detail")


def test_text_is_the_default_and_json_comes_when_asked_for() -> None:
    client = Client(view())
    plain = client.get("/pools/text_443/cp1")
    assert (plain.status, plain.text) == (200, "enabled/up/pooled\n")
    assert plain.headers["content-type"] == TEXT
    assert plain.headers["content-length"] == str(len(plain.body))
    asked = client.get("/pools/text_443/cp1", {"aCCept": "application/json"})
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["vary"] == "accept, accept-encoding"
    assert json.loads(asked.body) == {"pooled": True, "up": True, "enabled": True, "weight": 1}


def test_several_accept_headers_count_as_one() -> None:
    headers = (("Accept", "text/html"), ("Accept", "application/json;q=0.5"))
    assert Client(view()).get("/pools", headers).headers["content-type"] == "application/json"


def test_a_query_string_changes_nothing() -> None:
    client = Client(view())
    assert client.get("/pools?a=b/c&d").body == client.get("/pools").body == b"text_443\n"


@pytest.mark.parametrize("path", ["/pools", "/alerts", "/nosuch", "/metrics", "/api/v1/bgp"])
def test_head_is_get_without_the_body(path: str) -> None:
    client = Client(view())
    get, head = client.get(path), client.get(path, method="HEAD")
    assert head.body == b""
    assert head.status == get.status
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":  # whose length varies with the process's figures
        assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"])
@pytest.mark.parametrize("path", ["/pools", "/metrics", "/nosuch"])
def test_any_other_method_is_405_and_told_what_is_allowed(method: str, path: str) -> None:
    answer = Client(view()).get(path, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    asked = Client(view()).get(path, {"Accept": "application/json"}, method=method)
    assert json.loads(asked.body) == {"error": "Method not allowed"}


def test_a_bug_is_500_and_a_log_line_and_shows_nothing_of_itself() -> None:
    client = Client(BrokenView())
    for path in ("/pools", "/alerts", "/pools/x", "/metrics", "/api/v1/services"):
        answer = client.get(path)
        assert (answer.status, answer.text) == (500, "Internal server error")
        assert client.log[0] == f"error: Error while answering {path}"
        client.log.clear()
    assert json.loads(client.get("/pools", {"Accept": "application/json"}).body) == {
        "error": "Internal server error"
    }


def test_failed_requests_are_counted_in_the_metrics() -> None:
    sound = view()
    client = Client(sound)
    sound.service_list = None  # type: ignore[assignment]
    client.get("/pools")
    sound.service_list = ()
    assert "\npybal_instrumentation_errors_total 1.0\n" in client.get("/metrics").text


def test_the_access_log_is_for_debugging_only() -> None:
    client = Client(view())
    client.get("/pools?%ff")
    assert client.log == ["debug: 192.168.1.1 GET /pools?%ff 200 9"]


def test_metrics_come_in_the_plain_format_unless_openmetrics_is_asked_for() -> None:
    client = Client(view())
    for accept in ("*/*", "text/plain;version=1.0.0;escaping=allow-utf-8", "application/json"):
        answer = client.get("/metrics", {"Accept": accept})
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "\npybal_bgp_enabled 0.0\n" in answer.text
    answer = client.get("/metrics", {"Accept": OPENMETRICS})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=")
    assert answer.text.endswith("\n# EOF\n")


def test_a_request_by_its_whole_url_is_answered() -> None:
    assert Client(view()).get("http://lvs:9090/pools").body == b"text_443\n"


def test_one_connection_serves_many_requests_also_pipelined() -> None:
    connection = Client(view()).connect()
    one = b"GET /pools HTTP/1.1\r\nHost: lvs\r\n\r\n"
    connection.send(one)
    single = connection.transport.value()
    assert parse(single).body == b"text_443\n"
    connection.transport.clear()
    connection.send(one * 50)
    assert connection.transport.value().count(b"\r\n\r\ntext_443\n") == 50
    assert not connection.closed()


def test_requests_that_come_together_are_answered_in_several_turns() -> None:
    class SlowView(FakeView):
        """Answers in a millisecond."""

        def service_names(self) -> list[str]:
            client.clock.rightNow += 0.001
            return super().service_names()

    client = Client(SlowView([service("text_443", [server("cp1")])]))
    connections = [client.connect() for _ in range(3)]
    for connection in connections:
        connection.send(b"GET /pools HTTP/1.1\r\nHost: lvs\r\n\r\n" * 20)

    def answered() -> list[int]:
        return [each.transport.value().count(b"text_443\n") for each in connections]

    assert sum(answered()) < 5, "the others must not wait for all of one"
    client.clock.advance(0)
    assert answered() == [20, 20, 20]


def test_who_closes_his_side_after_the_request_still_gets_the_answer() -> None:
    client = Client(large_view(), HeldTurns())
    connection = client.connect()
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: lvs\r\n\r\n")
    connection.protocol.readConnectionLost()
    assert not connection.closed()
    assert isinstance(client.time_slices, HeldTurns)
    client.time_slices.release()
    assert connection.answer().status == 200
    assert connection.closed()


@pytest.mark.parametrize(
    "said", [b"", b"GET /pools HTTP/1.1\r\nHos", b"GET /pools HTTP/1.1\r\n\r\n"]
)
def test_who_closes_his_side_and_waits_for_nothing_is_let_go_of(said: bytes) -> None:
    connection = Client(view()).connect()
    connection.send(said)
    connection.protocol.readConnectionLost()
    assert connection.closed()


HALF = b"GET /pools HTTP/1.1\r\nHos"
WHOLE = b"GET /pools HTTP/1.1\r\nHost: lvs\r\n\r\n"


def warnings(client: Client) -> list[str]:
    return [line for line in client.log if line.startswith("warn")]


def test_a_requests_head_must_come_within_five_seconds_however_it_dribbles() -> None:
    client = Client(view())
    silent, dribbling = client.connect(), client.connect()
    for byte in HALF[:4]:
        dribbling.send(bytes([byte]))
        client.clock.advance(1)
    assert not silent.closed()
    client.clock.advance(1)
    assert silent.closed()
    assert dribbling.closed()
    (line,) = warnings(client)
    assert line.endswith("the last one as its head did not come within 5 s")


def test_a_connection_is_kept_for_a_minute_but_a_later_head_must_be_quick_too() -> None:
    client = Client(view())
    idle, again, half = (client.connect() for _ in range(3))
    for connection in (idle, again, half):
        connection.send(WHOLE)
    client.clock.advance(50)
    again.send(WHOLE)
    half.send(HALF)
    client.clock.advance(5)
    assert half.closed()
    assert not idle.closed()
    client.clock.advance(6)
    assert idle.closed()
    assert not again.closed()


def test_a_body_must_come_soon_too() -> None:
    client = Client(view())
    connection = client.connect()
    connection.send(b"POST /pools HTTP/1.1\r\nHost: lvs\r\nContent-Length: 9\r\n\r\n")
    client.clock.advance(4)
    connection.send(b"x")
    assert not connection.closed()
    client.clock.advance(1)
    assert connection.closed()


def test_a_request_under_way_has_no_deadline() -> None:
    client = Client(view(), time_slices=HeldTurns())
    connection = client.connect()
    connection.send(SCRAPE)
    client.clock.advance(100)
    assert not connection.closed()


def test_a_newcomer_takes_the_place_of_the_one_that_has_waited_longest() -> None:
    client = Client(view(), time_slices=HeldTurns())
    busy, first, second = (client.connect() for _ in range(3))
    busy.send(SCRAPE)
    first.send(WHOLE)  # it has been waiting for less long than the second since then
    others = [client.connect() for _ in range(MAX_CONNECTIONS - 3)]
    assert not any(each.closed() for each in (busy, first, second, *others))
    newcomer = client.connect()
    newcomer.send(WHOLE)
    assert newcomer.answer().status == 200
    assert second.closed()
    assert not any(each.closed() for each in (busy, first, *others))
    for _ in range(10):
        client.connect()
    assert len(warnings(client)) == 1
    assert warnings(client)[0].endswith("the last one as there are too many connections")


def test_where_all_connections_are_busy_a_newcomer_is_refused() -> None:
    client = Client(view(), time_slices=HeldTurns())
    connections = [client.connect() for _ in range(MAX_CONNECTIONS)]
    for each in connections:
        each.send(SCRAPE)
    assert client.site.buildProtocol(None) is None
    connections[0].protocol.connectionLost(Failure(ConnectionLost()))
    assert client.site.buildProtocol(None) is not None


def test_a_site_can_cut_off_all_its_connections() -> None:
    client = Client(view())
    connections = [client.connect(), client.connect()]
    ended = client.site.connections.abort_all()
    assert all(each.closed() for each in connections)
    assert not ended.called
    for each in connections:
        each.protocol.connectionLost(Failure(ConnectionLost()))
    result_of(ended)
    assert not client.clock.getDelayedCalls()


def test_endless_headers_end_the_connection() -> None:
    connection = Client(view()).connect()
    connection.send(b"GET /pools HTTP/1.1\r\n")
    connection.send(b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(20)))
    assert connection.closed()
    line = Client(view()).connect()
    line.send(b"GET /" + b"x" * 100_000)
    assert line.closed()


def test_a_body_is_dropped_neither_stored_nor_parsed() -> None:
    connection = Client(view()).connect()
    connection.send(b"POST /pools HTTP/1.1\r\nHost: lvs\r\nContent-Length: 300000\r\n")
    # A form that is none: who parses it answers 400 and hangs up.
    connection.send(b"Content-Type: multipart/form-data\r\n\r\n")
    for _ in range(3):
        connection.send(b"x" * 100_000)
    assert connection.answer().status == 405
    connection.send(b"GET /pools HTTP/1.1\r\nHost: lvs\r\n\r\n")
    assert connection.answer().body == b"text_443\n"


def test_garbage_gets_a_bad_request() -> None:
    connection = Client(view()).connect()
    connection.send(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert connection.transport.value().startswith(b"HTTP/1.1 400 ")
    assert connection.closed()


def test_a_client_that_leaves_during_a_scrape_disturbs_nobody() -> None:
    time_slices = HeldTurns()
    client = Client(view(), time_slices=time_slices)
    gone, patient = client.connect(), client.connect()
    for connection in (gone, patient):
        connection.send(SCRAPE)
        assert connection.transport.value() == b""
    gone.protocol.connectionLost(Failure(ConnectionLost()))
    time_slices.release()
    assert patient.answer().status == 200
    assert gone.transport.value() == b""
    assert not [line for line in client.log if not line.startswith("debug")]


def test_other_paths_are_answered_while_a_scrape_is_under_way() -> None:
    client = Client(view(), time_slices=HeldTurns())
    client.connect().send(SCRAPE)
    assert client.get("/alerts").text.startswith("OK")


SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: lvs\r\n\r\n"


class SlowTransport(StringTransport):
    """Has its producer pause whenever something was written."""

    producer: Any
    aborted = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's has no types

    def write(self, data: bytes) -> None:
        super().write(data)  # type: ignore[no-untyped-call]  # as above
        self.producer.pauseProducing()

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True


def take_all(transport: Any) -> int:
    """Returns how often there was more to take."""
    times, taken = 0, 0
    while len(transport.value()) > taken:
        times, taken = times + 1, len(transport.value())
        transport.producer.resumeProducing()
    return times


@pytest.mark.slow
def test_a_slow_client_gets_a_scrape_as_it_takes_it() -> None:
    transport: Any = SlowTransport()
    connection = Client(large_view()).connect(transport)
    connection.send(SCRAPE)
    assert take_all(transport) > 10
    answer = connection.answer()
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.slow
def test_a_slow_client_that_leaves_is_forgotten() -> None:
    client = Client(large_view())
    transport: Any = SlowTransport()
    connection = client.connect(transport)
    connection.send(SCRAPE)
    transport.producer.stopProducing()
    connection.protocol.connectionLost(Failure(ConnectionLost()))
    transport.clear()
    transport.producer.resumeProducing()
    assert transport.value() == b""
    assert not [line for line in client.log if not line.startswith("debug")]


@pytest.mark.slow
def test_a_client_that_does_not_take_a_scrape_is_cut_off() -> None:
    client = Client(large_view())
    transport = SlowTransport()
    client.connect(transport).send(SCRAPE)
    client.clock.advance(119)
    assert not transport.aborted
    client.clock.advance(1)
    assert transport.aborted


@pytest.mark.slow
def test_a_client_that_has_taken_it_is_not() -> None:
    client = Client(large_view())
    transport = SlowTransport()
    client.connect(transport).send(SCRAPE)
    take_all(transport)
    client.clock.advance(120)
    assert not transport.aborted


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/services", "/pools/service-0_443"])
@pytest.mark.slow
def test_what_is_large_comes_compressed_to_who_takes_that(path: str) -> None:
    client = Client(large_view())
    plain = client.get(path)
    assert plain.headers["content-encoding"] is None
    answer = client.get(path, {"Accept-Encoding": "deflate, gzip;q=0.5"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == plain.headers["content-type"]
    assert answer.headers["content-length"] == str(len(answer.body))
    assert len(answer.body) < len(plain.body) / 3
    if path != "/metrics":  # which tells of the process's time
        assert gzip.decompress(answer.body) == plain.body


def test_what_is_small_comes_as_it_is() -> None:
    answer = Client(view()).get("/pools", {"Accept-Encoding": "gzip"})
    assert (answer.headers["content-encoding"], answer.body) == (None, b"text_443\n")


def test_all_who_ask_for_a_document_at_once_have_it_made_once() -> None:
    turns = HeldTurns()
    shown = large_view()
    client = Client(shown, time_slices=turns)
    connections = [client.connect() for _ in range(240)]
    for connection in connections:
        connection.send(b"GET /api/v1/ipvs HTTP/1.1\r\nHost: lvs\r\n\r\n")
    assert len(turns.waiting) == 1
    turns.release()
    assert {connection.answer().status for connection in connections} == {200}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_the_path_of_a_verb_takes_post_alone_on_the_port_too(method: str) -> None:
    answer = Client(view()).get("/api/v1/reload", method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
