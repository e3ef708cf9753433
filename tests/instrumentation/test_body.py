from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.instrumentation.body import BodyError, Field, JSONKind, as_bytes, read_body, schema

FIELDS = {
    "host": Field(JSONKind.TEXT, "the server's name", required=True, low=1, high=10),
    "action": Field(JSONKind.TEXT, "what to do", choices=("drain", "disable")),
    "for_s": Field(JSONKind.NUMBER, "for how long, in seconds", low=1, high=600),
    "times": Field(JSONKind.WHOLE, "how often", low=1, high=3),
    "force": Field(JSONKind.BOOLEAN, "whatever the threshold"),
    "services": Field(JSONKind.TEXTS, "names of services", high=2),
}


def read(**body: Any) -> dict[str, Any]:
    return read_body(json.dumps(body).encode(), FIELDS)


def test_a_good_body_is_what_it_says() -> None:
    body = {
        "host": "cp1",
        "action": "drain",
        "for_s": 1.5,
        "times": 3,
        "force": True,
        "services": ["a", "b"],
    }
    assert read(**body) == body
    assert read(host="cp1") == {"host": "cp1"}


def test_no_body_is_an_empty_one() -> None:
    assert read_body(b"", {}) == read_body(b" \r\n", {}) == read_body(b"{}", {}) == {}


@pytest.mark.parametrize(
    ("body", "error", "remedy"),
    [
        ({}, "The field host is missing", "host: the server's name"),
        ({"host": 1}, "The field host must be a text", "host: the server's name"),
        ({"host": ""}, "The length of host must be from 1 to 10", "host: the server's name"),
        ({"host": "a", "hots": 1}, "Unknown field 'hots'", "Did you mean host?"),
        ({"host": "a", "action": "x"}, "The field action must be one of drain, disable", ""),
        ({"host": "a", "for_s": "1"}, "The field for_s must be a number", None),
        ({"host": "a", "for_s": True}, "The field for_s must be a number", None),
        ({"host": "a", "for_s": 601}, "The field for_s must be from 1 to 600", None),
        ({"host": "a", "for_s": 10**400}, "The field for_s must be from 1 to 600", None),
        ({"host": "a", "for_s": None}, "The field for_s must be a number", None),
        ({"host": "a", "times": 1.5}, "The field times must be a whole number", None),
        ({"host": "a", "times": True}, "The field times must be a whole number", None),
        ({"host": "a", "force": 1}, "The field force must be true or false", None),
        ({"host": "a", "services": ["a", 1]}, "The field services must be a list of texts", None),
        ({"host": "a", "services": ["a"] * 3}, "The length of services must be from 0 to 2", None),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(
    body: dict[str, Any], error: str, remedy: str | None
) -> None:
    with pytest.raises(BodyError) as caught:
        read(**body)
    assert str(caught.value) == error
    assert remedy is None or caught.value.remedy == remedy


@pytest.mark.parametrize(
    "data", [b'{"host": "a", "host": "b"}', b'{"host": NaN}', b'{"for_s": 1e999, "host": "a"}']
)
def test_json_that_means_two_things_or_none_is_refused(data: bytes) -> None:
    with pytest.raises(BodyError):
        read_body(data, FIELDS)


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BodyError):
        assert read_body(data, FIELDS)["host"]


def test_the_schema_says_the_same() -> None:
    shown = schema(FIELDS)
    assert shown["required"] == ["host"]
    assert shown["additionalProperties"] is False
    assert shown["properties"]["times"] == {
        "type": "integer",
        "description": "how often",
        "minimum": 1,
        "maximum": 3,
    }
    assert shown["properties"]["services"]["items"] == {"type": "string"}
    assert shown["properties"]["action"]["enum"] == ["drain", "disable"]


LINE = {"reason": Field(JSONKind.TEXT, "why", one_line=True), "free": Field(JSONKind.TEXT, "x")}
BYTES = {"content": Field(JSONKind.TEXT, "a file", any_bytes=True)}


def test_bytes_that_are_no_text_are_taken_where_they_are_wanted() -> None:
    found = read_body(rb'{"content": "K\u00f6ln \udce8"}', BYTES)
    assert as_bytes(found["content"]) == "Köln ".encode() + b"\xe8"
    for half in (rb"\ud800", rb"\udc41"):
        with pytest.raises(BodyError, match="half a character"):
            read_body(b'{"content": "%s"}' % half, BYTES)


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "a\tb", "\x1b[31m"])
def test_one_line_is_printable_and_not_blank(text: str) -> None:
    with pytest.raises(BodyError, match="must be one line of printable text") as caught:
        read_body(json.dumps({"reason": text}).encode(), LINE)
    assert caught.value.remedy == "reason: why"
    assert read_body(json.dumps({"free": text}).encode(), LINE) == {"free": text}
    assert read_body(b'{"reason": "new disk"}', LINE) == {"reason": "new disk"}


def test_a_text_may_have_a_thousand_characters_unless_more_are_taken() -> None:
    assert read_body(json.dumps({"free": "x" * 1000}).encode(), LINE)
    with pytest.raises(BodyError, match="The length of free must be from 0 to 1000"):
        read_body(json.dumps({"free": "x" * 1001}).encode(), LINE)


@pytest.mark.parametrize(
    ("body", "error", "remedy"),
    [
        (b'{"host": NaN}', "The body is not JSON: NaN is no number", ""),
        (
            rb'{"free": "a\ud800"}',
            "The field free holds half a character: it is not Unicode text",
            "",
        ),
        (b"[]", "The body is not a JSON object", "reason: why; free: x"),
        (b'{"zzz": 1}', "Unknown field 'zzz'", "reason: why; free: x"),
        (b'{"' + b"z" * 90 + b'": 1}', f"Unknown field '{'z' * 79}…'", "reason: why; free: x"),
        (b'{"reasn": 1}', "Unknown field 'reasn'", "Did you mean reason?"),
    ],
)
def test_what_cannot_be_understood_is_answered_with_what_there_is(
    body: bytes, error: str, remedy: str
) -> None:
    with pytest.raises(BodyError) as caught:
        read_body(body, LINE)
    assert (str(caught.value), caught.value.remedy) == (error, remedy)


def test_where_no_body_is_needed_that_is_said() -> None:
    with pytest.raises(BodyError) as caught:
        read_body(b'{"x": 1}', {})
    assert caught.value.remedy == "No body is needed"


def test_the_schema_of_each_kind_has_its_bounds() -> None:
    found = schema(FIELDS)
    assert found["required"] == ["host"]
    properties = found["properties"]
    assert properties["host"] == {
        "type": "string", "description": "the server's name", "minLength": 1, "maxLength": 10,
    }  # fmt: skip
    assert properties["action"]["enum"] == ["drain", "disable"]
    assert (properties["for_s"]["minimum"], properties["for_s"]["maximum"]) == (1, 600)
    assert (properties["services"]["minItems"], properties["services"]["maxItems"]) == (0, 2)
