"""Long lists are parsed in a thread, whatever they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pybal.config.settings import FileSource, HTTPSource, KubernetesSource, SourceSettings
from pybal.runtime.time_slices import SLICE_S
from pybal.sources.parsing import LONG_BYTES
from pybal.sources.source import Source
from tests.fakes.sources import SourceBench

MANY = LONG_BYTES // 20
SERVICES, TURN_OF_ONE_S = 44, 0.001


def text_list(count: int) -> bytes:
    return "".join(f"{{ 'host': 'mw{n}.example' }}\n" for n in range(count)).encode()


def nodes(count: int) -> bytes:
    ready = {"type": "Ready", "status": "True"}
    items = [
        {
            "metadata": {"name": f"mw{n}.example"},
            "status": {
                "conditions": [ready],
                "addresses": [{"type": "InternalIP", "address": f"192.0.2.{n % 200 + 1}"}],
            },
        }
        for n in range(count)
    ]
    return json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": items}).encode()


def from_file(bench: SourceBench, folder: Path, count: int) -> Source:
    (folder / "pool").write_bytes(text_list(count))
    return bench.start(FileSource(folder / "pool"))


def answered(bench: SourceBench, settings: SourceSettings, body: bytes) -> Source:
    source = bench.start(settings)
    (exchange,) = bench.http.under_way
    exchange.answer(200, {"content-length": str(len(body))}, body)
    return source


def from_http(bench: SourceBench, _: Path, count: int) -> Source:
    return answered(bench, HTTPSource("http://config.example/pool"), text_list(count))


def from_kubernetes(bench: SourceBench, _: Path, count: int) -> Source:
    return answered(bench, KubernetesSource("api.example", 6443, "token"), nodes(count))


every_source = pytest.mark.parametrize("begin", [from_file, from_http, from_kubernetes])
Begin = Callable[[SourceBench, Path, int], Source]


@every_source
def test_a_long_list_is_parsed_in_a_thread(begin: Begin, tmp_path: Path) -> None:
    bench = SourceBench(watches_files=False)
    bench.disk.at_once = False
    begin(bench, tmp_path, MANY)
    assert (bench.disk.waiting, bench.take()) == (1, [])
    bench.disk.run_one()
    (found,) = bench.take()
    assert len(found) == MANY


@every_source
def test_a_short_list_is_parsed_at_once(begin: Begin, tmp_path: Path) -> None:
    bench = SourceBench(watches_files=False)
    bench.disk.at_once = False
    begin(bench, tmp_path, 2)
    (found,) = bench.take()
    assert len(found) == 2


@every_source
def test_nothing_is_published_when_the_source_has_ended_meanwhile(
    begin: Begin, tmp_path: Path
) -> None:
    bench = SourceBench(watches_files=False)
    bench.disk.at_once = False
    source = begin(bench, tmp_path, MANY)
    source.stop()
    bench.disk.run_one()
    assert bench.take() == []


def test_those_who_have_a_long_list_in_the_same_moment_go_on_in_several_turns(
    tmp_path: Path,
) -> None:
    bench = SourceBench(watches_files=False)
    bench.disk.at_once = False
    for _ in range(SERVICES):
        from_file(bench, tmp_path, MANY)
    while bench.disk.waiting:
        bench.disk.run_one()
        bench.clock.rightNow += TURN_OF_ONE_S
    assert 0 < len(bench.take()) <= SLICE_S / TURN_OF_ONE_S + 1
    bench.clock.advance(0)
    assert bench.take()


def test_what_is_wrong_with_a_long_list_is_said(tmp_path: Path) -> None:
    bench = SourceBench()
    source = answered(bench, HTTPSource("http://config.example/pool.json"), b"[" + text_list(MANY))
    assert bench.take() == []
    assert source.snapshot().last_error
