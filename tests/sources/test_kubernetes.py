"""Kubernetes nodes as servers."""

from __future__ import annotations

import json
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


def test_a_node_without_conditions_is_disabled_and_one_without_a_name_skipped() -> None:
    pool = parse_nodes(node_list({"metadata": {"name": "kube1"}}, {}, node(None), node("a b"), 7))
    assert pool.servers == (ServerSpec("kube1", 1, enabled=False),)
    assert len(pool.problems) == 4


@pytest.mark.parametrize(
    "body", [b"", b"junk", b"[]", b'{"kind": "Status", "items": []}', b'{"kind": "NodeList"}']
)
def test_anything_but_a_node_list_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError):
        parse_nodes(body)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ["metadata", "name", "spec", "status", "conditions", "type", "unschedulable"]
    ), inner),
    max_leaves=10,
)  # fmt: skip


@given(st.lists(json_values))
def test_nodes_of_any_shape_end_in_a_list(items: list[Any]) -> None:
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
