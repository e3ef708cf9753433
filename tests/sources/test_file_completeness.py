"""What a pool file says once it has stood still: parsed once, whatever that comes to."""

from __future__ import annotations

import pytest

from pybal.errors import SourceError
from pybal.sources.file_completeness import FileReadings
from pybal.state.files import FileContent, Signature
from tests.sources.file_texts import TWO

NOW = 1_000_000.0


def read(text: str, *, json_format: bool = False) -> FileReadings:
    """One reading of a file that is just being written."""
    just_ns = int(NOW * 1e9)
    data = text.encode()
    signature = Signature(1, 2, len(data), just_ns, just_ns)
    readings = FileReadings(None, 0.0, json_format=json_format)
    readings.add(FileContent(signature, data), 0, 0.0, NOW)
    return readings


def test_what_was_parsed_whole_is_not_parsed_again() -> None:
    readings = read(TWO)
    assert [server.host for server in readings.content().servers] == ["a", "b"]
    assert readings.content() is readings.content()
    assert readings.content() is readings._usable[-1].pool


def test_a_last_line_without_an_end_counts_once_the_file_has_stood_still() -> None:
    readings = read(TWO.rstrip("\n"))
    assert [server.host for server in readings._usable[-1].pool.servers] == ["a"]
    assert [server.host for server in readings.content().servers] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "json_format"), [('{"error": {"code": 503}}', True), ('{"a": ', True), ("{", False)]
)
def test_what_is_no_list_is_refused_each_time(text: str, json_format: bool) -> None:
    readings = read(text, json_format=json_format)
    said = []
    for _ in range(2):
        with pytest.raises(SourceError) as refused:
            readings.content()
        said.append(str(refused.value))
    assert said[0] == said[1] != ""
