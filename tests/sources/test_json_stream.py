"""JSON that comes in pieces, read one value at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pybal.sources.json_stream import JSONStream

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def stream(text: str, piece: int, longest: int = 1000) -> JSONStream:
    pieces: Iterator[str] = (text[at : at + piece] for at in range(0, len(text), piece))
    return JSONStream(pieces, longest, lambda found: found)


def members_of(read: JSONStream) -> Iterator[tuple[str, Any]]:
    return ((name, read.value()) for name in read.members())


@given(json_values, st.integers(1, 9), st.sampled_from([None, 1]))
@example(12345, 2, None)
def test_a_value_is_what_json_reads_wherever_its_pieces_begin(
    value: Any, piece: int, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent) + "\n"
    read = stream(text, piece, len(text))
    assert read.value() == value
    read.end()
    read = stream(text, piece, len(text))
    if isinstance(value, list):
        assert list(read.elements()) == value
        read.end()
    elif isinstance(value, dict):
        assert dict(members_of(read)) == value
        read.end()


def read_whole(read: JSONStream) -> None:
    list(read.elements())
    read.end()


@pytest.mark.parametrize(
    "text",
    ["", " ", "[", "[1", "[1,", "[1,]", "[1 2]", "[1]]", "[1],", "[,]", "7", "{}", '["]', "[1}"],
)
@pytest.mark.parametrize("piece", [1, 99])
def test_what_is_no_array_is_an_error(text: str, piece: int) -> None:
    read = stream(text, piece)
    with pytest.raises(ValueError, match=r"no|name|value|Expecting|Unterminated"):
        read_whole(read)


@pytest.mark.parametrize("text", ["", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,}', "{1:1}", "{,}"])
def test_what_is_no_object_is_an_error(text: str) -> None:
    read = stream(text, 1)
    with pytest.raises(ValueError, match=r"no|name|value|Expecting|Unterminated"):
        list(members_of(read))


def test_a_value_may_be_of_some_length_and_an_array_of_any() -> None:
    assert stream('"as long"', 9, longest=9).value() == "as long"
    assert list(stream(json.dumps(["x" * 50] * 1000), 10, 100).elements()) == ["x" * 50] * 1000
    with pytest.raises(ValueError, match="too long"):
        list(stream(json.dumps(["x" * 200]), 10, 100).elements())
