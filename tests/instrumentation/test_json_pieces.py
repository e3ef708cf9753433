from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.instrumentation.json_pieces import Each, json_pieces
from tests.instrumentation.whole_json import json_bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def with_each(value: Any) -> Any:
    """All its lists are made as they are written."""
    if isinstance(value, list):
        return Each(with_each(part) for part in value)
    if isinstance(value, dict):
        return {name: with_each(part) for name, part in value.items()}
    return value


@given(JSON)
def test_it_is_what_the_library_makes_of_it(value: Any) -> None:
    assert json_bytes(value) == json.dumps(value).encode()
    assert json_bytes(with_each(value)) == json.dumps(value).encode()
    assert json_bytes(value, pretty=True) == json.dumps(value, indent=2).encode()
    assert json_bytes(with_each(value), pretty=True) == json.dumps(value, indent=2).encode()


@pytest.mark.parametrize("pretty", [True, False])
def test_an_element_is_made_when_its_turn_has_come(pretty: bool) -> None:
    made = []

    def elements() -> Any:
        for number in range(3):
            made.append(number)
            yield {"number": number}

    pieces = json_pieces({"before": 1, "list": Each(elements())}, pretty=pretty)
    while b"1" not in next(pieces):
        pass
    assert made == []
    assert b"number" not in next(pieces)
    assert next(pieces)
    assert len(made) <= 1
    rest = list(pieces)
    assert made == [0, 1, 2]
    assert len(rest) > 4
