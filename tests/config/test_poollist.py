"""Pool lists: what counts, what is skipped and why, and what is no list at all."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.poollist import (
    MAX_ENTRIES,
    MAX_LIST_BYTES,
    MAX_PARTS,
    MAX_PROBLEMS,
    MAX_SKIPPED,
    MAX_WEIGHT,
    PoolList,
    PoolProblem,
    parse_pool_bytes,
    parse_pool_list,
)
from pybal.errors import SourceError
from pybal.model import ServerSpec

HTML = "<!DOCTYPE html>\n<html>\n<body>\n<h1>502 Bad Gateway</h1>\n</body>\n</html>\n"
GOOD = "{ 'host': 'good' }"


def text_list(text: str) -> PoolList:
    return parse_pool_list(text, json_format=False)


def json_list(document: object) -> PoolList:
    return parse_pool_list(json.dumps(document), json_format=True)


def refusal(text: str, *, json_format: bool) -> str:
    with pytest.raises(SourceError) as caught:
        parse_pool_list(text, json_format=json_format)
    return str(caught.value)


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
    text = f"{GOOD}\n" + "{\n" * (MAX_SKIPPED + 1)
    assert f"more than {MAX_SKIPPED} bad entries" in refusal(text, json_format=False)


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


def test_nothing_in_a_list_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    found = text_list(f"{GOOD}\n{{ 'host': open({str(mark)!r}, 'w') }}")
    assert len(found.servers) == 1
    assert not mark.exists()


HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z]{2,5}){0,3}", fullmatch=True)
SPECS = st.builds(ServerSpec, HOSTS, st.integers(0, MAX_WEIGHT), st.booleans())


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


OTHER_DOCUMENTS = {
    "an error": {"error": {"code": 503, "message": "x"}},
    "an error without words": {"error": {}},
    "errors": {"errors": [{"status": "503", "title": "x"}]},
    "a status": {"status": "ok"},
    "a status and more": {"status": {"code": 7}, "message": "x", "details": []},
    "a wrapped list": {"servers": {"a": {"enabled": True, "weight": 1}}},
    "a wrapped list with a status": {"ok": True, "result": {"a": {"weight": 1}}},
    "an array of servers": [{"host": "a", "weight": 1, "enabled": True}],
    "an etcd error": {"errorCode": 100, "message": "Key not found", "cause": "/x", "index": 7},
    "an etcd listing": {"action": "get", "node": {"key": "/x", "dir": True, "nodes": []}},
    "a NodeList": {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": []},
    "a consul catalogue": [{"Node": {"Node": "a"}, "Service": {"Port": 80}}],
    "a page": {"page": 1, "pages": 7, "items": {"a": {"weight": 1}}},
    "servers of another kind": {"a": {"state": "UP", "port": 80}, "b": {"state": "UP"}},
    "features": {"new-login": {"enabled": True, "rollout": 5}},
    "mostly others": {"a": {"weight": 1}, "b": "x", "c": 1},
    "empty objects": {"web1": {}, "web2": {}},
    "one server of its own": {"host": "a", "enabled": True, "weight": 1},
    "null": None,
    "a string": "Service Unavailable",
    "a number": 503,
}


@pytest.mark.parametrize("name", OTHER_DOCUMENTS)
def test_another_document_is_no_list(name: str) -> None:
    message = refusal(json.dumps(OTHER_DOCUMENTS[name]), json_format=True)
    assert message.startswith("not a ")
    assert message.isprintable()
    assert len(message) < 300


LISTS = {
    "both attributes": {"a": {"enabled": True, "weight": 1}},
    "one attribute": {"a": {"weight": 1}},
    "its name again": {"a.example": {"host": "A.Example.", "weight": 1}},
    "names with dots": {"a.example": {}, "b.example": {}},
    "addresses": {"192.0.2.1": {}, "2001:db8::1": {}},
    "one that shows it for all": {"a": {}, "b": {"enabled": False}},
    "half of it": {"a": {"weight": 1}, "b": "x"},
}


@pytest.mark.parametrize("name", LISTS)
def test_a_document_that_shows_a_server_is_a_list(name: str) -> None:
    assert json_list(LISTS[name]).servers


BAD_ENTRIES = [
    '{"enabled": true, "port": 80}',
    '{"enabeld": false}',
    '{"Enabled": false}',
    '{"enabled": true, "enabled": false}',
    '{"host": "c", "weight": 1}',
    '{"host": 1}',
]


@pytest.mark.parametrize("entry", BAD_ENTRIES)
def test_an_entry_with_anything_else_is_damage(entry: str) -> None:
    text = f'{{"a": {{"weight": 10}}, "b": {entry}}}'
    found = parse_pool_list(text, json_format=True)
    assert found.servers == (ServerSpec("a"),)
    assert len(found.damage) == 1
    before = (ServerSpec("b", 7), ServerSpec("c"))
    assert found.over(before) == (*before, ServerSpec("a"))


@pytest.mark.parametrize("key", ["enabeld", "Enabled", "wieght", "disabled", "hosts"])
def test_a_misspelt_attribute_is_damage_in_a_text_list(key: str) -> None:
    found = text_list(f"{GOOD}\n{{ 'host': 'h', '{key}': False }}")
    assert [server.host for server in found.servers] == ["good"]
    (problem,) = found.damage
    assert "must be spelt" in problem.message


def test_an_attribute_given_twice_is_damage() -> None:
    lines = [
        GOOD,
        "{ 'host': 'h', 'enabled': True, \"enabled\": False }",
        "{ 'host': 'host-enabled', 'enabled': True }",
    ]
    found = text_list("\n".join(lines))
    assert [server.host for server in found.servers] == ["good", "host-enabled"]
    assert [str(p) for p in found.damage] == ["line 2: entry skipped: 'enabled' is given twice"]


@pytest.mark.parametrize("name", ["error", "Errors", "exception"])
def test_what_tells_of_an_error_tells_of_no_server(name: str) -> None:
    # As with {"host": "config1", "error": "overloaded"}, where the host is who says so.
    assert "no usable entry" in refusal(f"{{'host': 'config1', '{name}': 'x'}}", json_format=False)
    found = text_list(f"{GOOD}\n{{'host': 'h', '{name}': 'x'}}")
    assert [server.host for server in found.servers] == ["good"]
    assert [str(problem) for problem in found.damage] == [
        f"line 2: entry skipped: '{name}' is no attribute of a server"
    ]


def test_what_other_balancers_have_in_a_list_is_told_with_what_to_use() -> None:
    found = text_list("{ 'host': 'h', 'port': 80 }")
    assert found.servers == (ServerSpec("h"),)
    assert found.damage == ()
    assert "the service's own port" in found.problems[0].message
    text = '{"h": {"weight": 1, "port": 80}}'
    assert "the service's own port" in refusal(text, json_format=True)


def test_words_of_json_in_a_text_list_name_the_slip() -> None:
    (problem,) = text_list(f"{GOOD}\n{{ 'host': 'h', 'enabled': true }}").problems
    assert problem.message.endswith("(true must be written True)")


ODD_BYTES = {
    "Latin-1 in a comment": (b"# K\xf6ln\n{'host': 'a'}\n", 0),
    "Latin-1 after an entry": (b"{'host': 'a'} # K\xf6ln\n", 0),
    "Latin-1 in an entry": (b"{'host': 'a'}\n{'host': 'k\xf6ln'}\n", 1),
    "NUL in a comment": (b"# \0\n{'host': 'a'}\n", 0),
    "NUL in an entry": (b"{'host': 'a'}\n{'host': 'b\0'}\n", 1),
    "NULs at the end": (b"{'host': 'a'}\n" + b"\0" * 512, 1),
    "a BOM": (b"\xef\xbb\xbf{'host': 'a'}\n", 0),
    "half a character at the end": ("{'host': 'a'}\n# Köl".encode() + b"\xc3", 0),
}


@pytest.mark.parametrize("name", ODD_BYTES)
def test_an_odd_byte_is_its_lines_fault(name: str) -> None:
    data, damage = ODD_BYTES[name]
    found = parse_pool_bytes(data, json_format=False)
    assert found.servers == (ServerSpec("a"),)
    assert len(found.damage) == damage
    assert all(str(problem).isprintable() for problem in found.problems)


def test_an_odd_byte_in_json_is_its_entrys_fault() -> None:
    data = b'{"a": {"weight": 10}, "k\xf6ln": {"weight": 1}}'
    found = parse_pool_bytes(data, json_format=True)
    assert found.servers == (ServerSpec("a"),)
    assert len(found.damage) == 1


@pytest.mark.parametrize("json_format", [True, False])
def test_a_list_without_servers_is_no_list(json_format: bool) -> None:
    with pytest.raises(SourceError, match="holds no servers"):
        parse_pool_bytes(b"{}" if json_format else b"# none\n", json_format=json_format)


BEFORE = st.lists(SPECS, max_size=6, unique_by=lambda spec: spec.host).map(tuple)


@given(BEFORE, BEFORE, st.booleans(), st.frozensets(HOSTS, max_size=3))
def test_only_a_whole_list_or_what_it_says_is_absent_takes_servers_out(
    before: tuple[ServerSpec, ...],
    found: tuple[ServerSpec, ...],
    damaged: bool,
    absent: frozenset[str],
) -> None:
    problems = (PoolProblem(1, "x"),) if damaged else ()
    merged = PoolList(found, problems, absent).over(before)
    assert set(found) <= set(merged)
    assert len({server.host for server in merged}) == len(merged)
    hosts = {server.host for server in merged}
    if damaged:
        assert {server.host for server in before} - absent <= hosts
        assert set(merged) <= set(found) | set(before)
    else:
        assert merged == found


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{ 'ip': '10.0.0.1' }", "it has no 'host'"),
        ("{ 'host': 'a', 'backup': True }", "there is no spare server"),
        ("{ 'host': 'a', 'maxconn': 5 }", "use upper-threshold"),
    ],
)
def test_what_other_lists_have_gets_a_word(entry: str, said: str) -> None:
    found = parse_pool_bytes(entry.encode(), json_format=False) if "'host'" in entry else None
    if found is None:
        with pytest.raises(SourceError, match=said):
            parse_pool_bytes(entry.encode(), json_format=False)
    else:
        assert said in str(found.problems[0])
