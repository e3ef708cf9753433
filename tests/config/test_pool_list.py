"""Pool lists: what counts, what is skipped and why, and what is no list at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.pool_list import (
    MAX_ENTRIES,
    MAX_LIST_BYTES,
    MAX_PARTS,
    MAX_PROBLEMS,
    MAX_SKIPPED,
    MAX_WEIGHT,
    PoolList,
    parse_pool_list,
)
from pybal.errors import SourceError
from pybal.model import ServerSpec
from tests.config.pool_texts import GOOD, HOSTS, HTML, SPECS, json_list, refusal, text_list


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        ("{ 'host': 'h' }", ServerSpec("h", 10, True)),
        (
            "{'host':'h.example.org','weight':5,'enabled':False}",
            ServerSpec("h.example.org", 5, False),
        ),
        ('  { "host": "h", "weight": 0 } # out for repair', ServerSpec("h", 0, True)),
        (f"{{ 'host': 'h', 'weight': {MAX_WEIGHT}, }}\r", ServerSpec("h", MAX_WEIGHT, True)),
        ("{ 'host': '192.0.2.1' }", ServerSpec("192.0.2.1")),
        ("{ 'host': '2001:db8::1' }", ServerSpec("2001:db8::1")),
    ],
)
def test_a_line_is_a_server(line: str, spec: ServerSpec) -> None:
    assert text_list(line) == PoolList((spec,), ())


def test_comments_and_blank_lines_do_not_count() -> None:
    text = "\ufeff# list\n\n  # more\n{ 'host': 'b' }\n\t\n{ 'host': 'a' }"
    assert text_list(text) == PoolList((ServerSpec("b"), ServerSpec("a")), ())


def test_a_json_object_is_a_list_in_its_order() -> None:
    found = json_list({"b": {"weight": 1, "enabled": False}, "a": {}})
    assert found == PoolList((ServerSpec("b", 1, False), ServerSpec("a")), ())


BAD_LINES = {
    "no dict": "host h",
    "a list": "['h']",
    "a call": "dict(host='h')",
    "cut off": "{ 'host': 'h', 'wei",
    "two dicts": "{'host': 'h'}, {'host': 'i'}",
    "JSON words": "{ 'host': 'h', 'enabled': true }",
    "no host": "{ 'weight': 1 }",
    "bytes": "{ 'host': b'h' }",
    "too long": "{ 'host': 'h', 'x': '" + "y" * 2000 + "' }",
    "unhashable": "{ []: 1 }",
    "deep": "{'host': " + "-" * 900 + "1}",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_reported_with_its_number_and_the_rest_counts(line: str) -> None:
    found = text_list(f"{GOOD}\n{line}\n{{ 'host': 'other' }}")
    assert [server.host for server in found.servers] == ["good", "other"]
    (problem,) = found.problems
    assert problem.line == 2
    assert str(problem).startswith("line 2: entry skipped: ")
    assert str(problem).isprintable()
    assert len(str(problem)) < 250


BAD_ATTRIBUTES = [
    ("enabled", '"False"'),
    ("enabled", "1"),
    ("enabled", "null"),
    ("weight", '"10"'),
    ("weight", "true"),
    ("weight", "-1"),
    ("weight", "1.0"),
    ("weight", "null"),
    ("weight", "[1]"),
    ("weight", '{"a": {"b": 1}}'),
    ("weight", str(MAX_WEIGHT + 1)),
    ("weight", "1e999"),
    ("weight", "9" * 500),
]


@pytest.mark.parametrize(("attribute", "value"), BAD_ATTRIBUTES)
def test_types_are_strict_in_both_formats(attribute: str, value: str) -> None:
    as_json = f'{{"good": {{}},\n"bad": {{"{attribute}": {value}}}}}'
    words = value.replace("true", "True").replace("null", "None")
    as_text = f"{GOOD}\n{{ 'host': 'bad', '{attribute}': {words} }}"
    for found in (parse_pool_list(as_json, json_format=True), text_list(as_text)):
        assert [server.host for server in found.servers] == ["good"]
        (problem,) = found.problems
        assert problem.line == 2
        assert problem.message.startswith(f"entry skipped: {attribute} of bad must be ")
        assert len(problem.message) < 200


def test_a_problem_with_a_type_says_what_came() -> None:
    wanted = "entry skipped: enabled of h must be true or false without quotes, not "
    for value, shown in [
        ("False", "'False'"),
        ({"a": 1}, "an object"),
        (2**70, "an enormous number"),
    ]:
        (problem,) = json_list({"good": {}, "h": {"enabled": value}}).problems
        assert problem.message == wanted + shown


@pytest.mark.parametrize(
    "host",
    ["", " ", "a b", "a/b", "../etc", ".", "a\nb", "a\0b", "h\u00f6st", "10.0.0.300", "10.1",
     "a" * 254, "a..b", "-", "[::1]", "fe80::1%eth0", "http://h/", "h:80"],
)  # fmt: skip
def test_a_host_is_a_plausible_name_or_address(host: str) -> None:
    for found in (
        json_list({"good": {"weight": 10}, host: {}}),
        text_list(f"{GOOD}\n{{ 'host': {host!r} }}"),
    ):
        assert [server.host for server in found.servers] == ["good"]
        (problem,) = found.problems
        assert "is no host name or address" in problem.message
        assert str(problem).isprintable()


def test_an_unknown_attribute_is_reported_once_and_ignored() -> None:
    text = (
        "{ 'host': 'a', 'port': 1 }\n{ 'host': 'b', 'port': 2, 'up': True }\n{ 'host': 'c', 1: 2 }"
    )
    found = text_list(text)
    assert found.servers == (ServerSpec("a"), ServerSpec("b"), ServerSpec("c"))
    assert [(p.line, p.message.split(",")[0]) for p in found.problems] == [
        (1, "unknown attribute 'port' ignored"),
        (2, "unknown attribute 'up' ignored"),
        (3, "unknown attribute 1 ignored"),
    ]


@pytest.mark.parametrize(
    ("first", "again"),
    [("h", "h"), ("h.example.org", "H.Example.org."), ("2001:db8::1", "2001:DB8:0::1")],
)
def test_of_a_host_listed_twice_the_first_entry_counts(first: str, again: str) -> None:
    found = text_list(f"{{ 'host': '{first}', 'weight': 1 }}\n{{ 'host': '{again}', 'weight': 2 }}")
    assert found.servers == (ServerSpec(first, 1),)
    assert "listed twice" in found.problems[0].message


def test_a_key_repeated_in_json_is_a_host_listed_twice() -> None:
    text = '{"h": {"weight": 1},\n"h": {"weight": 2}}'
    found = parse_pool_list(text, json_format=True)
    assert found.servers == (ServerSpec("h", 1),)
    assert [str(p) for p in found.problems] == [
        "line 2: entry skipped: h is listed twice, the first one counts"
    ]


def test_a_json_entry_that_is_no_object_is_skipped() -> None:
    text = '{"good": {"weight": 1},"fine": {},\n\n"h": "up",\n"i": [1]}'
    found = parse_pool_list(text, json_format=True)
    assert found.servers == (ServerSpec("good", 1), ServerSpec("fine"))
    assert [(p.line, "must be an object" in p.message) for p in found.problems] == [
        (3, True),
        (4, True),
    ]


def test_lines_of_json_with_escapes_are_not_guessed() -> None:
    text = '{"good": {"weight": 1}, "fine": {},\n"h\\u0020": {},\n"i": {"h ": 1}}'
    found = parse_pool_list(text, json_format=True)
    assert [p.line for p in found.problems] == [0, 0]
    assert str(found.problems[0]).startswith("entry skipped: host 'h '")


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("{'host': 'h'},", "(without the comma at its end)"),
        ("{'host': 'h, 'weight': 1}", "(a quote is missing)"),
        ('{"h": {"enabled": true}}', "(a list in JSON is in a file whose name ends in .json)"),
        ("{", "(a list in JSON is in a file whose name ends in .json)"),
        (
            "{'host': 'h:80'}",
            "servers are reached at the service's own port, and checked at MONITOR.port",
        ),
    ],
)
def test_an_entry_that_is_nearly_right_gets_a_hint(entry: str, hint: str) -> None:
    (problem,) = text_list(f"{GOOD}\n{entry}").problems
    assert problem.message.endswith(hint)


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "\ufeff"])
def test_a_text_without_entries_is_an_empty_list(text: str) -> None:
    assert text_list(text) == PoolList((), ())


def test_an_empty_json_object_is_an_empty_list() -> None:
    assert json_list({}) == PoolList((), ())


def test_a_page_of_html_is_no_list_in_either_format() -> None:
    assert "'<!DOCTYPE html>'" in refusal(HTML, json_format=False)
    assert "it begins '<!DOCTYPE html>" in refusal(HTML, json_format=True)


JUNK_JSON = {
    "empty": "",
    "array": '[{"host": "h"}]',
    "string": '"h"',
    "number": "1",
    "null": "null",
    "truncated": '{"h": {"weight": 1}, "i": {"wei',
    "two documents": "{} {}",
    "python": "{'h': {}}",
    "deep array": "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "digits": '{"h": {"weight": ' + "9" * 10_000 + "}}",
    "error object": '{"error": "not found"}',
    "nothing usable": '{"h": {"weight": -1}}',
}


@pytest.mark.parametrize("text", JUNK_JSON.values(), ids=JUNK_JSON.keys())
def test_what_is_no_json_list_is_refused_in_one_line(text: str) -> None:
    message = refusal(text, json_format=True)
    assert message.startswith("not ")
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_text_of_bad_lines_alone_is_refused(line: str) -> None:
    message = refusal(f"# list\n{line}\n", json_format=False)
    assert message.startswith("not a pool list: no usable entry; line 2: ")


def test_more_bad_entries_than_any_slip_explains_are_refused_early() -> None:
    text = f"{GOOD}\n" + "{\n" * MAX_SKIPPED
    assert text_list(text).servers == (ServerSpec("good"),)
    assert f"more than {MAX_SKIPPED} bad entries" in refusal(text + "{\n", json_format=False)


@pytest.mark.slow
def test_more_entries_than_any_pool_has_are_refused() -> None:
    text = "{" + ",".join(f'"h{i}": {{}}' for i in range(MAX_ENTRIES + 1)) + "}"
    message = refusal(text, json_format=True)
    assert f"more than {MAX_ENTRIES} entries" in message


@pytest.mark.parametrize("part", ["\n", "#\n", "{'host': 'a'}\n"])
def test_more_lines_than_any_pool_has_are_refused_before_they_are_read(part: str) -> None:
    assert f"more than {MAX_PARTS} lines" in refusal(part * (MAX_PARTS + 1), json_format=False)


@pytest.mark.parametrize("part", ['"a": {},', "1,", "[", '{"a":'])
def test_more_values_than_any_pool_has_are_refused_before_they_are_read(part: str) -> None:
    text = "{" + part * (MAX_PARTS + 1)
    assert f"more than {MAX_PARTS} values" in refusal(text, json_format=True)


def test_as_many_lines_as_any_pool_has_are_read() -> None:
    assert text_list("\n" * (MAX_PARTS - 1) + "\n" + GOOD).servers == (ServerSpec("good"),)


def test_a_list_may_have_4_mib() -> None:
    assert MAX_LIST_BYTES == 4 << 20


def test_a_long_value_is_shown_in_part() -> None:
    def said(word: str) -> str:
        return text_list(f"{GOOD}\n{{'host': 'h', 'weight': '{word}'}}").problems[0].message

    assert said("x" * 60).endswith("'" + "x" * 60 + "'")
    assert said("x" * 61).endswith("'" + "x" * 59 + "…'")


def test_many_problems_are_summed_up() -> None:
    found = text_list(f"{GOOD}\n" + "x\n" * (MAX_PROBLEMS + 5))
    assert len(found.problems) == MAX_PROBLEMS + 1
    assert str(found.problems[-1]) == "5 more problems"
    assert len(text_list(f"{GOOD}\n" + "x\n" * MAX_PROBLEMS).problems) == MAX_PROBLEMS


def test_the_bounds_are_those_of_lists_that_there_are() -> None:
    assert (MAX_ENTRIES, MAX_PARTS, MAX_WEIGHT) == (20_000, 200_000, 2_147_483_647)
    line = "{'host': 'h'}".ljust(1024)[:-1] + "#"
    assert text_list(f"{GOOD}\n{line}").servers[1:] == (ServerSpec("h"),)
    assert "must be {'host'" in text_list(f"{GOOD}\n{line}#").problems[0].message


@pytest.mark.parametrize(
    ("number", "shown"), [(2**64 - 1, str(2**64 - 1)), (2**64, "an enormous number")]
)
def test_a_number_is_shown_as_long_as_it_is_one_that_people_write(number: int, shown: str) -> None:
    message = text_list(f"{GOOD}\n{{'host': 'h', 'weight': {number}}}").problems[0].message
    assert message.endswith(f"not {shown}")


def test_nothing_in_a_list_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    found = text_list(f"{GOOD}\n{{ 'host': open({str(mark)!r}, 'w') }}")
    assert len(found.servers) == 1
    assert not mark.exists()


@given(st.lists(SPECS, max_size=8, unique_by=lambda spec: spec.host))
def test_a_json_list_is_read_as_it_was_meant(servers: list[ServerSpec]) -> None:
    found = json_list({s.host: {"enabled": s.enabled, "weight": s.weight} for s in servers})
    assert found == PoolList(tuple(servers), ())


@given(st.lists(SPECS, max_size=8, unique_by=lambda spec: spec.host))
def test_both_formats_say_the_same(servers: list[ServerSpec]) -> None:
    lines = [repr({"host": s.host, "weight": s.weight, "enabled": s.enabled}) for s in servers]
    assert text_list("\n".join(lines)).servers == tuple(servers)


PIECES = st.lists(
    st.sampled_from(
        ["{", "}", "'host'", '"host"', ":", ",", "'h'", '"h"', "[", "]", "\n", "True", "true"]
    )
    | st.sampled_from(
        ["weight", "'weight'", '"weight"', "-", "1", "1e9", "#", "\\", "'", '"', "null", "\0"]
    )
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@given(st.text() | PIECES, st.booleans())
def test_any_text_ends_in_a_list_or_a_source_error(text: str, json_format: bool) -> None:
    with suppress(SourceError):
        found = parse_pool_list(text, json_format=json_format)
        assert len({server.host for server in found.servers}) == len(found.servers)
        assert all(str(problem).isprintable() for problem in found.problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | HOSTS, inner, max_size=3)
    ),
    max_leaves=8,
)

ENTRIES = st.dictionaries(
    HOSTS,
    st.fixed_dictionaries({}, optional={"weight": JSON, "enabled": JSON, "x": JSON}) | JSON,
    max_size=4,
)


@given(JSON | ENTRIES)
def test_any_json_ends_in_a_list_or_a_source_error(document: object) -> None:
    with suppress(SourceError):
        for server in json_list(document).servers:
            assert (type(server.weight), type(server.enabled)) == (int, bool)


def test_a_bad_entry_is_damage_and_an_unknown_attribute_is_not() -> None:
    found = text_list(f"{GOOD}\njunk\n{{'host': 'h', 'rack': 1}}")
    assert [problem.line for problem in found.problems] == [2, 3]
    assert [problem.line for problem in found.damage] == [2]
