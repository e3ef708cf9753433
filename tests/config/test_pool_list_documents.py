"""Which documents are pool lists, and what is damage of one: only a whole one takes servers out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.pool_list import (
    PoolList,
    PoolProblem,
    parse_pool_bytes,
    parse_pool_list,
)
from pybal.errors import SourceError
from pybal.model import ServerSpec
from tests.config.pool_texts import GOOD, HOSTS, SPECS, json_list, refusal, text_list

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


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("{ 'host': 'h', 'enabled': no }", "(no must be written False)"),
        ("{ 'host': 'h', 'enabled':yes }", "(yes must be written True)"),
        ("{ ‘host’: 'h' }", "(it has typographic quotes (‘’): write ' or \")"),  # noqa: RUF001
        ("{ 'host': 'h', 'enabled': True", "(the closing } is missing)"),
        ("{ 'host': 'no', 'weight' 10 }", "'weight' 10 }\""),
    ],
)
def test_a_line_that_cannot_be_read_names_the_slip(entry: str, hint: str) -> None:
    (problem,) = text_list(f"{GOOD}\n{entry}").problems
    assert problem.message.endswith(hint)


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


def test_a_list_that_is_not_whole_may_spell_its_servers_otherwise_than_before() -> None:
    before = tuple(map(ServerSpec, ("MW1.example.org.", "mw2.example.org", "2001:db8::1", "mw4")))
    found = (ServerSpec("mw1.example.org", 5), ServerSpec("2001:DB8:0::1", 7), ServerSpec("new"))
    problems, absent = (PoolProblem(1, "x"),), frozenset(["MW4."])
    assert PoolList(found, problems, absent).over(before) == (
        found[0],
        before[1],
        found[1],
        found[2],
    )


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
