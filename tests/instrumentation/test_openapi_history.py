"""What programs are promised that they may ask of the history."""

from __future__ import annotations

from typing import Any

from pybal.instrumentation.openapi_history import query_parameters


def schema(name: str) -> dict[str, Any]:
    (found,) = query_parameters({name: "in words"})
    assert (found["name"], found["in"], found["description"]) == (name, "query", "in words")
    schema: dict[str, Any] = found["schema"]
    return schema


def test_numbers_of_events_are_whole_and_such_as_json_keeps() -> None:
    for name in ("after", "before", "incident"):
        assert schema(name) == {"type": "integer", "minimum": 0, "maximum": 2**53}


def test_a_page_has_one_event_at_least_and_a_thousand_at_most() -> None:
    assert schema("limit") == {"type": "integer", "minimum": 1, "maximum": 1000}


def test_a_moment_is_unix_seconds_from_1970_on_or_so_long_ago() -> None:
    for name in ("since", "until"):
        seconds, ago = schema(name)["anyOf"]
        assert seconds == {"type": "number", "minimum": 0, "maximum": 99_999_999_999}
        assert ago == schema("at")


def test_what_is_not_known_better_is_text() -> None:
    assert schema("service") == {"type": "string"}


def test_streams_and_how_it_is_laid_out_are_said_elsewhere() -> None:
    asked = {"follow": "x", "order": "y", "pretty": "z"}
    assert [each["name"] for each in query_parameters(asked)] == ["order"]
