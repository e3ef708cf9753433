"""Kubernetes nodes as servers."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.settings import KubernetesSource
from pybal.errors import SourceError
from pybal.model import ServerSpec
from pybal.sources.kubernetes import parse_nodes
from tests.fakes.sources import SourceBench

SETTINGS = KubernetesSource("api.example", 6443, "s3cret-token")


def node(name: Any, ready: str = "True", **spec: Any) -> dict[str, Any]:
    conditions = [
        {"type": "MemoryPressure", "status": "False"},
        {"type": "Ready", "status": ready, "reason": "KubeletReady"},
    ]
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": conditions}}


def node_list(*items: Any) -> bytes:
    return json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": items}).encode()


def test_schedulable_nodes_are_servers_of_weight_one_enabled_when_ready() -> None:
    body = node_list(
        node("kube1.example"),
        node("kube2.example", "False"),
        node("kube3.example", "Unknown"),
        node("kube4.example", unschedulable=True),
        node("kube5.example", unschedulable=False),
    )
    assert parse_nodes(body).servers == (
        ServerSpec("kube1.example", 1, enabled=True),
        ServerSpec("kube2.example", 1, enabled=False),
        ServerSpec("kube3.example", 1, enabled=False),
        ServerSpec("kube5.example", 1, enabled=True),
    )


def odd_node(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "kube1"}, "spec": {}, "status": status}


ODD_NODES = {
    "nothing": {},
    "a number": 7,
    "without a name": node(None),
    "no host's name": node("a b"),
    "no host's address": node("0.0.0.0"),
    "without a status": {"metadata": {"name": "kube1"}},
    "without conditions": odd_node(),
    "conditions of another shape": odd_node(conditions={"Ready": "True"}),
    "not a word of Ready": odd_node(conditions=[{"type": "DiskPressure", "status": "False"}]),
    "Ready twice": odd_node(conditions=[{"type": "Ready", "status": "True"}] * 2),
    "Ready what?": odd_node(conditions=[{"type": "Ready", "status": True}]),
    "cordoned in words": node("kube1", unschedulable="true"),
}


@pytest.mark.parametrize("name", ODD_NODES)
def test_a_node_that_makes_no_sense_is_damage_and_takes_nobody_out(name: str) -> None:
    before = (ServerSpec("kube1", 1), ServerSpec("kube2", 1))
    pool = parse_nodes(node_list(ODD_NODES[name], node("kube3")))
    assert pool.servers == (ServerSpec("kube3", 1),)
    assert len(pool.damage) == 1
    assert pool.over(before) == (*before, ServerSpec("kube3", 1))
    with pytest.raises(SourceError, match="no node can be read"):
        parse_nodes(node_list(ODD_NODES[name]))


def test_a_node_that_is_listed_twice_is_damage_and_the_first_counts() -> None:
    pool = parse_nodes(node_list(node("kube1"), node("KUBE1", ready="False"), node("kube2")))
    assert [(server.host, server.enabled) for server in pool.servers] == [
        ("kube1", True),
        ("kube2", True),
    ]
    assert "listed twice" in str(pool.damage[0])


def test_a_cordoned_node_goes_though_another_cannot_be_read() -> None:
    pool = parse_nodes(node_list({}, node("kube1", unschedulable=True), node("kube2")))
    assert pool.over((ServerSpec("kube1", 1), ServerSpec("kube2", 1))) == (ServerSpec("kube2", 1),)


@pytest.mark.parametrize("metadata", [{"continue": "abc"}, {"remainingItemCount": 7}])
def test_a_page_of_several_is_refused(metadata: dict[str, Any]) -> None:
    document = json.loads(node_list(node("kube1"))) | {"metadata": metadata}
    with pytest.raises(SourceError, match="more is on other pages"):
        parse_nodes(json.dumps(document).encode())


@pytest.mark.parametrize(
    "body", [b"", b"junk", b"[]", b'{"kind": "Status", "items": []}', b'{"kind": "NodeList"}',
     b'{"kind": "NodeList", "items": {}}', b'{"kind": "NodeList", "items": [], "items": []}',
     node_list(node("kube1")) + b"]", node_list(node("kube1"))[:-1]]
)  # fmt: skip
def test_anything_but_a_node_list_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        parse_nodes(body)


@pytest.mark.parametrize(
    ("items", "why"),
    [
        (b"[]," * 1_000_000, "more than 20000 nodes"),
        (b"{}," * 20_001 + b"cut off", "more than 20000 nodes"),
        (b'{"status": [' + b"[]," * 700_000 + b"0]},", "not the JSON"),
        (b'{"metadata": {"name": "' + b"x" * 2_000_000 + b'"}},', "not the JSON"),
    ],
    ids=["lists", "objects", "lists in a node", "a long name"],
)
def test_an_answer_of_whatever_takes_little_memory(items: bytes, why: str) -> None:
    """What takes memory takes the interpreter, too: while lists are made no other thread runs."""
    body = b'{"kind": "NodeList", "items": [' + items + b"{}]}"
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=why):
            parse_nodes(body)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 40_000_000


@pytest.mark.parametrize("end", [b"}", b""])
def test_an_answer_that_says_millions_of_things_is_not_gone_through(end: bytes) -> None:
    said = b'{"kind": "NodeList", "items": []' + b', "a": 1' * 1000 + end
    with pytest.raises(SourceError, match="is not a NodeList"):
        parse_nodes(said)


def test_what_a_node_list_says_of_itself_may_come_after_its_nodes() -> None:
    document = json.loads(node_list(node("kube1")))
    late = {"items": document["items"], "metadata": {}, "kind": "NodeList"}
    assert parse_nodes(json.dumps(late).encode()).servers == (ServerSpec("kube1", 1),)
    late["metadata"] = {"continue": "abc"}
    with pytest.raises(SourceError, match="more is on other pages"):
        parse_nodes(json.dumps(late).encode())


@pytest.mark.slow
def test_a_large_answer_leaves_the_interpreter_to_others_while_it_is_read() -> None:
    images = [{"names": ["registry.example/" + "x" * 90], "sizeBytes": 7}] * 50
    status = node("kube1")["status"] | {"images": images}
    body = node_list(*({**node(f"kube{n}"), "status": status} for n in range(1400)))
    assert len(body) > 8_000_000
    moments_s: list[float] = []
    # Between calls of Python functions no other thread runs; the processor's time, for others have
    # their turn on it, too.
    sys.setprofile(lambda *_: moments_s.append(time.thread_time()))
    try:
        parse_nodes(body)
    finally:
        sys.setprofile(None)
    longest_s = max(after - before for before, after in pairwise(moments_s))
    assert longest_s < (moments_s[-1] - moments_s[0]) / 5


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_letters_of_several_bytes_are_read_across_pieces(mark: bytes) -> None:
    body = node_list(node("kube1"), {"metadata": {"name": "kube2", "annotations": "X"}})
    body = body.replace(b'"X"', b'"' + "aé€".encode() * 200_000 + b'"')
    (problem,) = parse_nodes(mark + body).damage
    assert "kube2" in str(problem)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ["metadata", "name", "spec", "status", "conditions", "type", "unschedulable"]
    ), inner),
    max_leaves=10,
)  # fmt: skip


@given(st.lists(json_values))
def test_nodes_of_any_shape_end_in_a_list(items: list[Any]) -> None:
    with suppress(SourceError):
        parse_nodes(node_list(*items))


def test_the_api_is_asked_every_minute_with_the_token() -> None:
    bench = SourceBench()
    source = bench.start(SETTINGS)
    (exchange,) = bench.http.under_way
    assert exchange.request.url == "https://api.example:6443/api/v1/nodes"
    assert exchange.request.headers["Authorization"] == "Bearer s3cret-token"
    assert exchange.request.tls_verify
    exchange.answer(200, body=node_list(node("kube1")))
    assert bench.take() == [(ServerSpec("kube1", 1),)]
    bench.advance(53)
    assert bench.http.under_way == []
    bench.advance(7)
    bench.http.under_way[0].answer(200, body=node_list(node("kube2")))
    assert bench.take() == [(ServerSpec("kube2", 1),)]
    source.stop()
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b"{}"), (403, b""), (200, b"{}"), (200, node_list()), (200, node_list(node("", "x")))],
)
def test_a_bad_answer_keeps_the_nodes_and_is_tried_again_soon(status: int, body: bytes) -> None:
    bench = SourceBench()
    source = bench.start(SETTINGS)
    bench.http.under_way[0].answer(200, body=node_list(node("kube1")))
    bench.advance(60)
    bench.http.under_way[0].answer(status, body=body)
    assert bench.take() == [(ServerSpec("kube1", 1),)]
    assert source.snapshot().stale
    bench.advance(3)
    assert bench.http.under_way


def test_the_token_is_nowhere_to_be_seen(tmp_path: Any) -> None:
    bench = SourceBench(tmp_path)
    source = bench.start(SETTINGS)
    bench.http.under_way[0].answer(401)
    bench.advance(3)
    bench.http.under_way[0].fail("api.example:6443: certificate verify failed")
    bench.advance(5)
    bench.http.under_way[0].answer(200, body=node_list(node("kube1")))
    (file,) = (tmp_path / "pool-lists").iterdir()
    seen = "\n".join([repr(source.snapshot()), repr(SETTINGS), file.read_text(), *bench.log.lines])
    assert "https://" in seen and "api.example" in seen
    assert "s3cret" not in seen
