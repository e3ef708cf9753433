"""A pool list on a web server: conditional requests, and what never empties a pool."""

from __future__ import annotations

import pytest

from pybal.config.settings import HTTPSource
from pybal.http.port import HTTPResponse
from pybal.model import ServerSpec
from pybal.sources.source import Source
from tests.fakes.http import FakeExchange
from tests.fakes.sources import EPOCH, SourceBench

URL = "http://config.example/pybal/text"
A, B = ServerSpec("a"), ServerSpec("b")
A_OFF = ServerSpec("a", enabled=False)
TWO = b"{'host': 'a'}\n{'host': 'b'}\n"
ONE = b"{'host': 'b'}\n"
A_DISABLED = b"{'host': 'a', 'enabled': False}\n{'host': 'b'}\n"


@pytest.fixture
def bench() -> SourceBench:
    return SourceBench()


def the_one_under_way(bench: SourceBench) -> FakeExchange:
    (exchange,) = bench.http.under_way
    return exchange


def started(bench: SourceBench, headers: dict[str, str] | None = None) -> None:
    """A source of URL that has its first list."""
    bench.start(HTTPSource(URL))
    the_one_under_way(bench).answer(200, headers, TWO)
    assert bench.take() == [(A, B)]
    bench.advance(1)


def settled(bench: SourceBench, etag: str = '"1"') -> Source:
    """A source of URL whose list has stood for some seconds; a request is under way."""
    source = bench.start(HTTPSource(URL))
    for _ in range(3):
        the_one_under_way(bench).answer(200, {"etag": etag}, TWO)
        bench.advance(1)
    assert bench.take() == [(A, B)]
    return source


def conditions(bench: SourceBench) -> dict[str, str]:
    """What the request under way says beyond its User-Agent."""
    headers = dict(the_one_under_way(bench).request.headers)
    assert headers.pop("User-Agent").startswith("PyBal/")
    return headers


def test_the_first_request_is_plain_and_bounded(bench: SourceBench) -> None:
    bench.start(HTTPSource(URL))
    request = the_one_under_way(bench).request
    assert (request.url, request.timeout_s, request.max_bytes) == (URL, 5.0, 4 * 1024 * 1024)
    assert list(request.headers) == ["User-Agent"]
    assert request.tls_verify


def test_a_json_list_is_known_by_the_urls_path(bench: SourceBench) -> None:
    bench.start(HTTPSource("https://config.example/pool.json?site=x"))
    the_one_under_way(bench).answer(200, body=b'{"a": {"weight": 1}}')
    assert bench.take() == [(ServerSpec("a", 1),)]


def test_requests_are_conditional_once_a_list_has_outlasted_the_second_of_its_etag(
    bench: SourceBench,
) -> None:
    bench.start(HTTPSource(URL))
    seen = []
    for _ in range(4):
        seen.append(conditions(bench))
        the_one_under_way(bench).answer(200, {"etag": '"1"'}, TWO)
        bench.advance(1)
    assert seen == [{}, {}, {}, {"If-None-Match": '"1"'}]


def test_another_list_with_the_etag_of_the_same_second_is_seen(bench: SourceBench) -> None:
    bench.start(HTTPSource(URL))
    for body in (TWO, A_DISABLED):
        assert conditions(bench) == {}
        the_one_under_way(bench).answer(200, {"etag": '"1"'}, body)
        bench.advance(1)
    assert bench.take() == [(A, B), (A_OFF, B)]


def test_a_slow_answer_does_not_make_a_list_old(bench: SourceBench) -> None:
    started(bench, {"etag": '"1"'})
    bench.advance(4)
    the_one_under_way(bench).answer(200, {"etag": '"1"'}, TWO)
    bench.advance(1)
    assert conditions(bench) == {}


UNUSABLE = {
    "by its date, an older file that was put back is no change": {"last-modified": "yesterday"},
    "what is not ASCII cannot be sent": {"etag": '"\xe9"'},
    "a server may refuse what is long": {"etag": f'"{"x" * 300}"'},
}


@pytest.mark.parametrize("why", UNUSABLE)
def test_not_all_that_a_server_says_makes_a_condition(bench: SourceBench, why: str) -> None:
    bench.start(HTTPSource(URL))
    for _ in range(5):
        assert conditions(bench) == {}
        the_one_under_way(bench).answer(200, UNUSABLE[why], TWO)
        bench.advance(1)


def test_not_modified_leaves_the_list_and_makes_it_fresh(bench: SourceBench) -> None:
    source = settled(bench)
    the_one_under_way(bench).fail("config.example:80: timed out (5.000 s)")
    assert source.snapshot().stale
    bench.advance(1)
    the_one_under_way(bench).answer(304)
    snapshot = source.snapshot()
    assert (snapshot.stale, snapshot.last_error) == (False, None)
    assert snapshot.last_good_at == pytest.approx(EPOCH + 4)
    assert bench.take() == []
    bench.advance(1)
    assert conditions(bench) == {"If-None-Match": '"1"'}


def test_not_modified_in_answer_to_a_plain_request_is_an_error(bench: SourceBench) -> None:
    bench.start(HTTPSource(URL))
    the_one_under_way(bench).answer(304)
    assert "status 304" in bench.log.lines[0]


def test_a_changed_list_is_published_and_asked_for_in_full_again(bench: SourceBench) -> None:
    settled(bench)
    the_one_under_way(bench).answer(200, {"etag": '"2"'}, A_DISABLED)
    assert bench.take() == [(A_OFF, B)]
    bench.advance(1)
    assert conditions(bench) == {}


def test_a_list_in_another_order_is_taken_in_that_order(bench: SourceBench) -> None:
    """Where servers share an address the first one's weight counts."""
    settled(bench)
    the_one_under_way(bench).answer(200, body=b"{'host': 'b'}\n{'host': 'c'}\n{'host': 'a'}\n")
    assert bench.take() == [(B, ServerSpec("c"), A)]


def test_a_server_goes_when_two_readings_in_a_row_are_without_it(bench: SourceBench) -> None:
    settled(bench)
    for _ in range(2):
        assert bench.take() == []
        the_one_under_way(bench).answer(200, body=ONE)
        bench.advance(1)
    assert bench.take() == [(B,)]


def test_a_server_goes_though_the_list_is_another_one_each_time(bench: SourceBench) -> None:
    settled(bench)
    for number in range(2):
        assert bench.take() == []
        the_one_under_way(bench).answer(200, body=b"# %d\n%s" % (number, ONE))
        bench.advance(1)
    assert bench.take() == [(B,)]


def test_a_file_that_grows_on_the_server_loses_no_server(bench: SourceBench) -> None:
    whole = b"{'host': 'a', 'weight': 1}\n{'host': 'b', 'weight': 1}\n"
    settled(bench)
    for length in (27, 30, 54, 54):
        the_one_under_way(bench).answer(200, body=whole[:length])
        bench.advance(1)
    a, b = ServerSpec("a", 1), ServerSpec("b", 1)
    assert bench.take() == [(a, B), (a, b)]


def test_json_that_is_sent_whole_is_whole(bench: SourceBench) -> None:
    bench.start(HTTPSource(f"{URL}.json"))
    for body in (b'{"a": {"weight": 10}, "b": {}}', b'{"a": {"weight": 10}}'):
        the_one_under_way(bench).answer(200, body=body)
        bench.advance(1)
    assert bench.take() == [(A, B), (A,)]


def test_the_same_list_again_is_not_published_again(bench: SourceBench) -> None:
    started(bench)
    the_one_under_way(bench).answer(200, body=TWO)
    bench.advance(1)
    the_one_under_way(bench).answer(200, body=TWO + b"# with a comment\n")
    assert bench.take() == []


def test_requests_never_overlap(bench: SourceBench) -> None:
    started(bench)
    bench.advance(4)
    assert len(bench.http.exchanges) == 2
    the_one_under_way(bench).answer(200, body=TWO)
    bench.advance(1)
    assert len(bench.http.exchanges) == 3


PARTS = {
    "no end": {},
    "a range": {"content-length": "47", "content-range": "bytes 0-13/99"},
    "a page": {"content-length": "47", "link": '<http://x/?page=2>; rel="next"'},
    "a page, unquoted": {"content-length": "47", "link": "</1>; rel=prev, </3>; rel=next"},
    "compressed": {"content-length": "47", "content-encoding": "gzip"},
}


@pytest.mark.parametrize("name", PARTS)
def test_an_answer_that_may_be_a_part_is_refused(bench: SourceBench, name: str) -> None:
    source = settled(bench)
    the_one_under_way(bench).answer_exactly(HTTPResponse(200, PARTS[name], ONE))
    assert bench.take() == []
    assert source.snapshot().stale
    (line,) = bench.log.lines
    assert line.startswith(f"[svc] ERROR: Pool list from {URL}: the answer ")


@pytest.mark.parametrize(
    "headers",
    [
        {"transfer-encoding": "chunked"},
        {"transfer-encoding": "Chunked"},
        {"content-length": "47", "link": '</style.css>; rel="stylesheet"'},
        {"content-length": "47", "content-encoding": "identity"},
    ],
)
def test_an_answer_that_says_where_it_ends_is_whole(
    bench: SourceBench, headers: dict[str, str]
) -> None:
    settled(bench)
    the_one_under_way(bench).answer_exactly(HTTPResponse(200, headers, A_DISABLED))
    assert bench.take() == [(A_OFF, B)]


def test_an_etag_is_not_believed_for_more_than_a_minute(bench: SourceBench) -> None:
    settled(bench)
    for _ in range(52):
        assert conditions(bench) == {"If-None-Match": '"1"'}
        the_one_under_way(bench).answer(304)
        bench.advance(1)
    while conditions(bench):
        the_one_under_way(bench).answer(304)
        bench.advance(1)
    assert bench.clock.seconds() < 62
    the_one_under_way(bench).answer(200, {"etag": '"1"'}, A_DISABLED)
    assert bench.take() == [(A_OFF, B)]


def test_a_slow_answer_is_dated_by_its_question(bench: SourceBench) -> None:
    source = bench.start(HTTPSource(URL))
    bench.advance(4)
    the_one_under_way(bench).answer(200, body=TWO)
    assert source.snapshot().last_good_at == EPOCH


def test_a_source_that_says_nothing_at_all_is_stale_after_some_time(bench: SourceBench) -> None:
    source = settled(bench)
    bench.advance(40)
    snapshot = source.snapshot()
    assert snapshot.stale
    assert snapshot.last_error == "it could not be read for 41 s"


BAD_ANSWERS = {
    "an empty body": (200, b""),
    "comments alone": (200, b"# maintenance\n"),
    "an error page that says OK": (200, b"<html><body>Sorry</body></html>"),
    "binary junk": (200, b"\xff\x00\xfe"),
    "not found": (404, TWO),
    "a redirect": (301, b""),
    "a server error": (503, TWO),
    "partial content": (206, ONE),
    "no content": (204, b""),
    "an error in JSON": (200, b'{"error": {"code": 503, "message": "x"}}'),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_keeps_the_last_good_list(bench: SourceBench, name: str) -> None:
    status, body = BAD_ANSWERS[name]
    source = settled(bench, '"good"')
    the_one_under_way(bench).answer(status, {"etag": '"bad"'}, body)
    assert bench.take() == []
    assert source.snapshot().stale
    (line,) = bench.log.lines
    assert line.startswith(f"[svc] ERROR: Pool list from {URL}: ")
    bench.advance(1)
    assert conditions(bench) == {"If-None-Match": '"good"'}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_first_answer_publishes_nothing(bench: SourceBench, name: str) -> None:
    status, body = BAD_ANSWERS[name]
    source = bench.start(HTTPSource(URL))
    the_one_under_way(bench).answer(status, body=body)
    assert bench.take() == []
    assert source.snapshot().stale
    bench.advance(1)
    assert "If-None-Match" not in the_one_under_way(bench).request.headers


def test_one_error_is_told_once_and_its_end_too(bench: SourceBench) -> None:
    started(bench)
    for duration in ("5.001", "5.002", "5.003"):
        the_one_under_way(bench).fail(f"192.0.2.1:80: timed out ({duration} s)")
        bench.advance(6)
    the_one_under_way(bench).fail("192.0.2.1:80: connection refused")
    bench.advance(6)
    the_one_under_way(bench).fail("192.0.2.1:80: timed out (5.000 s)")
    bench.advance(6)
    errors = bench.log.take()
    assert [line.partition("192.0.2.1:80: ")[2] for line in errors] == [
        "timed out (5.001 s)",
        "connection refused",
    ]
    bench.set_by_s = -3600
    the_one_under_way(bench).answer(200, body=TWO)
    assert [line for line in bench.log.lines if "is good again after 30 s" in line]


def test_a_server_with_ever_new_errors_does_not_flood_the_log(bench: SourceBench) -> None:
    started(bench)
    for n in range(100):
        the_one_under_way(bench).fail("x" * n)
        bench.advance(6)
    assert len(bench.log.lines) == 20


def test_pauses_grow_with_errors_to_a_few_seconds(bench: SourceBench) -> None:
    started(bench)
    pauses = []
    for _ in range(6):
        the_one_under_way(bench).fail("x")
        since = bench.clock.seconds()
        while not bench.http.under_way:
            bench.advance(0.1)
        pauses.append(round(bench.clock.seconds() - since))
    assert pauses == [1, 2, 4, 5, 5, 5]
    the_one_under_way(bench).answer(200, body=TWO)
    bench.advance(1)
    assert bench.http.under_way


def test_a_fault_in_the_client_does_not_end_the_polling(bench: SourceBench) -> None:
    started(bench)
    bench.http.error = RuntimeError("a bug")
    the_one_under_way(bench).answer(200, body=TWO)
    bench.advance(1)
    bench.http.error = None
    bench.advance(3)
    assert "RuntimeError: a bug" in bench.log.lines[0]
    the_one_under_way(bench).answer(200, body=A_DISABLED)
    assert bench.take() == [(A_OFF, B)]


def test_stop_cancels_what_is_under_way_and_publishes_nothing_more(bench: SourceBench) -> None:
    source = bench.start(HTTPSource(URL))
    source.stop()
    source.stop()
    assert bench.http.under_way == []
    assert bench.clock.getDelayedCalls() == []
    assert bench.log.lines == []


def test_stop_between_polls_ends_them(bench: SourceBench) -> None:
    source = bench.start(HTTPSource(URL))
    the_one_under_way(bench).answer(200, body=TWO)
    source.stop()
    bench.advance(10)
    assert len(bench.http.exchanges) == 1
    assert bench.clock.getDelayedCalls() == []
