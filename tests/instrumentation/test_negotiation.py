from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.instrumentation.negotiation import (
    accepts_event_stream,
    accepts_gzip,
    accepts_json,
    accepts_openmetrics,
    parse_accept,
    prefers_html,
)

JSON = [
    ["application/json"],
    ["APPLICATION/Json"],
    ["  application/json  "],
    ["application/json; charset=utf-8"],
    ["application/json;indent=2;q=0.3"],
    ["application/json;q=0.001"],
    ["application/json ; Q=1.000"],
    ["application/json, */*"],
    ["application/json, text/plain, */*"],
    ["application/json, text/plain, */*;q=0.5"],
    ["text/plain;q=0.5, application/json;q=0.6"],
    ["text/html, application/json;q=0.9, */*;q=0.8"],
    ["text/html", "application/json"],
    ["text/plain;q=0.1", "application/json;q=0.2"],
    ["application/*"],
    ["application/*, text/plain"],
    ["text/plain;q=1.5, application/json"],
    ["application/*;q=0.5, text/*;q=0.4"],
    ["text/plain;q=0, */*"],
    ["text/*;q=0.1, */*;q=0.2"],
    [', ,application/json;x="a,b;q=0",'],
    ["garbage, application/json"],
    ["application/json;version=2;q=0.1, application/json, text/plain;q=0.5"],
]

TEXT = [
    [],
    [""],
    ["*/*"],
    ["*/*;q=0.1"],
    ["*"],
    ["text/plain"],
    ["text/*"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
    ["application/json;q=0"],
    ["application/json;q=0.000, */*"],
    ["application/*, application/json;q=0"],
    ["application/json;q=0.5, text/plain"],
    ["application/json;q=0.5, */*"],
    ["application/vnd.api+json"],
    ["application/jsonp"],
    ["application/json;q=much"],
    ["application/json;q=0.\N{ARABIC-INDIC DIGIT THREE}"],
    ["application/json;q=-1"],
    ["application/json;q=5"],
    ["*/json"],
    ["application/"],
    ["/json"],
    ['text/plain;x="application/json'],
    [";"],
]


@pytest.mark.parametrize("headers", JSON, ids=" | ".join)
def test_json_is_sent_to_those_who_name_it(headers: list[str]) -> None:
    assert accepts_json(headers)


@pytest.mark.parametrize("headers", TEXT, ids=" | ".join)
def test_text_is_sent_to_all_others(headers: list[str]) -> None:
    assert not accepts_json(headers)


def test_curl_and_java_get_text_and_prometheus_gets_openmetrics() -> None:
    prometheus = (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
        "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    assert accepts_openmetrics([prometheus])
    assert not accepts_json([prometheus])
    for text in ("*/*", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/plain"):
        assert not accepts_openmetrics([text])
        assert not accepts_json([text])


QUALITIES = st.integers(0, 1000).map(lambda n: n / 1000)


@given(json=QUALITIES, text=QUALITIES)
def test_the_higher_quality_wins_and_json_wins_ties(json: float, text: float) -> None:
    header = f"text/plain;q={text}, application/json;q={json}"
    assert accepts_json([header]) == (json >= text and json > 0)
    assert accepts_json(header.split(", ")) == accepts_json([header])


@given(st.lists(st.text() | st.text(alphabet='aj/*;,q=01. "\\')))
def test_no_header_makes_it_fail(headers: list[str]) -> None:
    for item in parse_accept(headers):
        assert 0 <= item.quality <= 1
        assert item.type and item.subtype
    accepts_json(headers)


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ([], False),
        ([""], False),
        (["gzip"], True),
        (["deflate, GZIP ; q=0.1"], True),
        (["x-gzip"], True),
        (["identity", "gzip"], True),
        (["gzip;q=0, *"], False),
        (["*;q=0.5"], True),
        (["*;q=0"], False),
        (["gzip;q=nonsense"], False),
        (["br"], False),
    ],
)
def test_gzip_is_taken_where_it_is_named(headers: list[str], accepted: bool) -> None:
    assert accepts_gzip(headers) == accepted


@pytest.mark.parametrize(
    ("header", "stream"),
    [
        ("text/event-stream", True),
        ("text/event-stream, application/json", True),
        ("text/event-stream;q=0.5, */*;q=0.1", True),
        ("text/event-stream;q=0.001", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0.5, application/json", False),
        ("text/event-stream;q=0.5, application/*;q=0.6", False),
        ("text/*", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_a_stream_is_for_who_names_it_and_wants_json_no_more(header: str, stream: bool) -> None:
    assert accepts_event_stream([header]) == stream


@pytest.mark.parametrize(
    ("header", "html"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html", True),
        ("text/html, */*", True),
        ("text/html, text/*, application/*", True),
        ("text/html;q=0.5, */*;q=0.4", True),
        ("text/html, text/plain;q=0.9, application/json;q=0.9", True),
        ("text/html;q=0", False),
        ("text/html, text/plain", False),
        ("text/html, application/json", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0.5, text/plain;q=0.6", False),
        ("text/html;q=0.5, */*", False),
        ("text/*", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_browser_names_html_and_nothing_else_as_much(header: str, html: bool) -> None:
    assert prefers_html([header]) == html
