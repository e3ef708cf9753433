"""etcd's values as servers, and the watching thread on a client of the test's."""

from __future__ import annotations

import gc
import json
import random
import ssl
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import etcd
import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from pybal.config.pool_list import MAX_ENTRIES, PoolList
from pybal.config.settings import EtcdSource
from pybal.errors import SourceError
from pybal.model import ServerSpec
from pybal.sources.etcd import Watcher
from pybal.sources.etcd_client import PythonEtcdClient
from pybal.sources.etcd_connection import Budget
from pybal.sources.etcd_values import Values, parse_values

YES = '{"pooled": "yes", "weight": 10}'
A = ServerSpec("a")


def test_yes_is_enabled_no_is_disabled_and_inactive_is_not_in_the_pool() -> None:
    values = {
        "b.example": '{"pooled": "no", "weight": 7}',
        "a.example": '{"weight": 0, "pooled": "yes"}',
        "c.example": '{"pooled": "inactive", "weight": 0}',
        "192.0.2.1": '{"pooled": "yes"}',
    }
    assert parse_values(values) == PoolList(
        (
            ServerSpec("192.0.2.1", 10),
            ServerSpec("a.example", 0),
            ServerSpec("b.example", 7, enabled=False),
        ),
        (),
        frozenset({"c.example"}),
    )


BAD_VALUES = [
    "", "nonsense", "[]", "7", "null", "{}", '{"pooled": true}', '{"pooled": "Yes"}',
    '{"pooled": ["yes"]}', '{"pooled": "yes", "weight": "10"}', '{"pooled": "no", "weight": -1}',
    '{"pooled": "yes", "weight": true}', '{"pooled": "yes", "weight": 1.5}', "[" * 100_000, None,
    '{"pooled": "no", "pooled": "yes"}', '{"pooled": "yes", "weight": 1, "weight": 0}',
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: repr(value)[:40])
def test_a_bad_value_is_damage_and_leaves_its_server_as_it_was(value: str | None) -> None:
    pool = parse_values({"a": value, "c": YES})
    assert pool.servers == (ServerSpec("c"),)
    (problem,) = map(str, pool.damage)
    assert problem.startswith("key 'a': ") and problem.endswith("; skipped")
    assert len(problem) < 250
    before = (ServerSpec("a", 3, enabled=False), ServerSpec("b"))
    assert pool.over(before) == (*before, ServerSpec("c"))


def test_a_value_that_is_no_text_is_damage() -> None:
    values: Any = {"a": 7, "b": ["x"], "c": YES}
    pool = parse_values(values)
    assert pool.servers == (ServerSpec("c"),)
    assert "key 'a': its value 7 is no text" in str(pool.damage[0])


def test_a_value_without_pooled_is_said_to_lack_it() -> None:
    (problem,) = map(str, parse_values({"a": '{"enabled": true}', "c": YES}).damage)
    assert problem == "key 'a': it has no 'pooled': yes, no or inactive; skipped"


def test_what_is_said_to_be_inactive_goes_though_another_value_is_bad() -> None:
    pool = parse_values({"a": "nonsense", "b": '{"pooled": "inactive"}', "c": YES})
    assert pool.over((A, ServerSpec("b"), ServerSpec("d"))) == (
        A,
        ServerSpec("d"),
        ServerSpec("c"),
    )


def test_a_directory_without_a_single_good_value_is_refused() -> None:
    with pytest.raises(SourceError, match="no key can be read; key 'a': it is a directory"):
        parse_values({"a": None, "b": None})


def test_a_directory_beyond_measure_is_refused() -> None:
    gone = '{"pooled": "inactive"}'
    values = {f"h{number}": gone for number in range(20_000)}
    assert len(parse_values(values).absent) == 20_000
    with pytest.raises(SourceError, match="more than 20000 keys"):
        parse_values({**values, "one-more": gone})


@pytest.mark.parametrize("other", ["yes", "no", "inactive"])
def test_a_host_under_two_spellings_is_damage(other: str) -> None:
    found = parse_values({"A": json.dumps({"pooled": other}), "a": YES})
    (problem,) = found.damage
    assert "in another spelling" in str(problem)


def test_a_key_that_is_no_host_name_is_skipped() -> None:
    pool = parse_values({"a b": YES, "": YES, "a": YES, "0.0.0.0": YES})
    assert pool.servers == (A,)
    assert len(pool.damage) == 3


@given(st.dictionaries(st.text(), st.none() | st.text()))
def test_any_keys_and_values_end_in_a_list(values: dict[str, str | None]) -> None:
    with suppress(SourceError):
        pool = parse_values(values)
        assert len(pool.servers) + len(pool.problems) <= len(values)


pooled = st.sampled_from(["yes", "no", "inactive"])
contents = st.dictionaries(
    st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.tuples(pooled, st.integers(0, 1000))
)


@given(contents)
def test_every_good_value_counts(directory: dict[str, tuple[str, int]]) -> None:
    values = {
        host: json.dumps({"pooled": pooled, "weight": weight})
        for host, (pooled, weight) in directory.items()
    }
    assert parse_values(values).servers == tuple(
        ServerSpec(host, weight, enabled=pooled == "yes")
        for host, (pooled, weight) in sorted(directory.items())
        if pooled != "inactive"
    )


class FakeClient:
    """Each read() and wait() takes the next of its steps."""

    def __init__(self, reads: list[Values | Exception], waits: list[bool]) -> None:
        self._reads = reads
        self._waits = waits
        self.closed = False

    def read(self) -> Values:
        assert not self.closed
        step = self._reads.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def wait(self) -> bool:
        return self._waits.pop(0)

    def close(self) -> None:
        self.closed = True


def run(
    *clients: FakeClient,
    reports: int,
    connect_error: SourceError | None = None,
    paused_s: list[float] | None = None,
) -> list[PoolList | str]:
    """Run a watcher on one client after another until it has given so many reports. It pauses for
    `paused_s`, in no time."""
    given: list[PoolList | str] = []
    pauses: list[float] = [] if paused_s is None else paused_s
    waiting = list(clients)

    def connect() -> FakeClient:
        if connect_error is not None:
            raise connect_error
        return waiting.pop(0)

    def report(found: PoolList | str, _: float) -> None:
        given.append(found)
        if len(given) == reports:
            watcher.stop()

    def pause(stopping: threading.Event, seconds: float) -> None:
        if not stopping.is_set():
            pauses.append(seconds)

    watcher = Watcher(connect, report, lambda: 0.0, random.Random(1), pause)
    watcher.run()
    assert all(client.closed for client in clients)
    return given


def pool(*servers: ServerSpec) -> PoolList:
    return PoolList(servers, ())


def test_every_change_is_read_anew_over_one_connection() -> None:
    client = FakeClient([{"a": YES}, {"a": YES, "b": YES}, {"b": YES}], [True, True])
    assert run(client, reports=3) == [
        pool(A),
        pool(A, ServerSpec("b")),
        pool(ServerSpec("b")),
    ]


def test_watches_that_end_at_once_with_nothing_new_are_made_less_often() -> None:
    reads: list[Values | Exception] = [{"a": YES}] * 8
    paused_s: list[float] = []
    run(FakeClient(reads, [True] * 7), reports=8, paused_s=paused_s)
    assert paused_s == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_what_is_new_is_read_soon_however_often_it_changes() -> None:
    reads: list[Values | Exception] = [{"a": YES, f"b{number}": YES} for number in range(8)]
    paused_s: list[float] = []
    run(FakeClient(reads, [True] * 7), reports=8, paused_s=paused_s)
    assert paused_s == [0.05] * 7


def test_a_lost_watch_is_no_error_while_a_new_connection_can_read() -> None:
    clients = FakeClient([{"a": YES}], [False]), FakeClient([{"b": YES}], [])
    assert run(*clients, reports=2) == [pool(A), pool(ServerSpec("b"))]


def test_a_failed_read_is_reported_and_tried_again() -> None:
    clients = (
        FakeClient([SourceError("refused")], []),
        FakeClient([SourceError("refused")], []),
        FakeClient([{"a": YES}], []),
    )
    paused_s: list[float] = []
    assert run(*clients, reports=3, paused_s=paused_s) == ["refused", "refused", pool(A)]
    first_s, second_s = paused_s
    assert 0 < first_s <= 1 and 0 < second_s <= 2


def test_what_the_library_did_not_announce_is_survived() -> None:
    clients = FakeClient([AttributeError("a bug")], []), FakeClient([{"a": YES}], [])
    assert run(*clients, reports=2) == ["unexpected AttributeError: a bug", pool(A)]


def test_of_a_reading_that_failed_only_the_reason_stays() -> None:
    class Document:
        pass

    class Refusing(FakeClient):
        def read(self) -> Values:
            document = Document()
            documents.append(weakref.ref(document))
            raise SourceError("no listing")

    documents: list[weakref.ref[Document]] = []
    gc.disable()
    try:
        assert run(Refusing([], []), reports=1) == ["no listing"]
        assert [each() for each in documents] == [None]
    finally:
        gc.enable()


def test_a_connection_that_cannot_even_be_set_up_is_reported() -> None:
    assert run(reports=2, connect_error=SourceError("no certificates")) == ["no certificates"] * 2


def test_a_watcher_stopped_before_it_runs_touches_nothing() -> None:
    connect: Callable[[], FakeClient] = lambda: pytest.fail("connected")  # noqa: E731
    watcher = Watcher(connect, lambda *_: pytest.fail("reported"), lambda: 0.0, random.Random(1))
    watcher.stop()
    watcher.stop()
    watcher.run()


def test_a_watcher_stopped_while_it_connects_closes_the_connection() -> None:
    client = FakeClient([], [])

    def connect() -> FakeClient:
        watcher.stop()
        return client

    watcher = Watcher(connect, lambda *_: pytest.fail("reported"), lambda: 0.0, random.Random(1))
    watcher.run()
    assert client.closed


def test_the_largest_directory_is_within_what_an_answer_may_take() -> None:
    value = json.dumps({"pooled": "yes", "weight": 10})
    node = {"key": f"/{'h' * 60}", "value": value, "modifiedIndex": 1, "createdIndex": 1}
    again = {"expiration": "2026-01-01T00:00:00Z", "ttl": 1}
    budget = Budget()
    budget.renew(1, 1)
    for _ in range(MAX_ENTRIES):
        budget.spend(json.dumps({**node, **again}).encode() + b",")


@pytest.mark.parametrize("value", [b"[],", b"{},", b"0,", b'"[0,0]",'])
def test_an_answer_of_more_values_than_any_directory_is_not_read_to_its_end(value: bytes) -> None:
    budget = Budget()
    budget.renew(1, 1)
    for _ in range(100):
        budget.spend(value * 1000)
    with pytest.raises(OSError, match="more than 400000 values"):
        budget.spend(value * 400_000)
    budget.renew(1, 1)
    budget.spend(value * 1000)


@pytest.mark.parametrize(
    ("beneath", "said"),
    [
        (
            urllib3.exceptions.ProtocolError("Aborted.", ConnectionResetError(104, "Reset")),
            "Reset",
        ),
        (
            urllib3.exceptions.SSLError(
                ssl.SSLError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed (_ssl.c:992)")
            ),
            "TLS: self-signed",
        ),
        (Exception("HTTPSConnectionPool(host='h', port=1): Read timed out. (read timeout=1.9)"),
         "Read timed out."),
        (etcd.EtcdException("Bad response : 404 page not found\n"),
         "Bad response : 404 page not found: is its v2 API on (etcd --enable-v2)?"),
    ],
)  # fmt: skip
def test_an_etcd_that_cannot_be_read_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, beneath: Exception, said: str
) -> None:
    def read(*_: object, **__: object) -> None:
        raise etcd.EtcdConnectionFailed("failed", cause=beneath)

    monkeypatch.setattr(etcd.Client, "read", read)
    client = PythonEtcdClient(EtcdSource("h", 1, "/x/"), [], None)
    with pytest.raises(SourceError) as caught:
        client.read()
    assert str(caught.value) == f"h:1 cannot be read: {said}"
