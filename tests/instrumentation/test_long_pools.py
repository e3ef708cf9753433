"""The contract's answer about a pool that is too long for one turn of the reactor."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any, cast

import pytest

from pybal.instrumentation.routes import answer, long_answer, path_segments
from pybal.ipvs.snapshot import MissingSnapshot
from pybal.model import ServerSnapshot
from tests.fakes.view import FakeView, ipvs, server, service
from tests.instrumentation.exchange import Client, HeldTurns

MANY = [server(f"h\ud800{n}", enabled=n % 3 > 0, up=n % 5 > 0, weight=n % 7) for n in range(1234)]


@pytest.mark.parametrize(
    "missing",
    [
        (),
        (MissingSnapshot("x", ("192.0.2.10:443",), 1),),
        (MissingSnapshot("x", (), 1, otherwise=True),),
    ],
)
def test_a_long_pool_is_answered_in_pieces_and_to_the_byte_as_a_short_one(
    missing: tuple[MissingSnapshot, ...],
) -> None:
    table = ipvs()._replace(names=(("x", "web"),), missing=missing)
    view = FakeView([service("web", MANY)], ipvs_snapshot=table)
    refused = any(each.servers for each in missing)
    for as_json in (False, True):
        whole = answer(view, list, ("pools", "web"), as_json=as_json)
        long = long_answer(view, ("pools", "web"), as_json=as_json)
        assert long is not None
        pieces = list(long.pieces)
        assert b"".join(pieces) == whole.body
        assert max(piece.count(b"d800") for piece in pieces) <= 50
        assert long.content_type == whole.content_type
        if as_json:
            objects = {each: {"pooled": s.pooled and not refused, "up": s.up,
                              "enabled": s.enabled, "weight": s.weight}
                       for each, s in ((s.host, s) for s in MANY)}  # fmt: skip
            assert whole.body == json.dumps(objects).encode("ascii")


def test_what_is_shown_of_other_servers_is_another_answer() -> None:
    def key(servers: list[ServerSnapshot], *missing: MissingSnapshot, as_json: bool) -> object:
        table = ipvs()._replace(names=(("x", "web"),), missing=missing)
        views.append(FakeView([service("web", servers)], ipvs_snapshot=table))
        long = long_answer(views[-1], ("pools", "web"), as_json=as_json)
        assert long is not None
        return long.key

    views: list[FakeView] = []
    keys = [key(MANY, as_json=False), key(MANY, as_json=True)]
    keys += [key(MANY, MissingSnapshot("x"), as_json=True), key(MANY[1:], as_json=True)]
    assert len(set(keys)) == 4


class Servers(list[ServerSnapshot]):
    """Of which it can be seen whether they are still held, unlike of a tuple."""


def test_what_is_shown_is_held_until_no_more_of_it_is_wanted() -> None:
    """Or other servers could come to lie where these were, and be taken for them."""
    servers: Any = Servers(MANY)
    held = weakref.ref(servers)
    view = FakeView([service("web")._replace(servers=servers)])
    del servers
    long = long_answer(view, ("pools", "web"), as_json=False)
    assert long is not None
    view.service_list = ()
    for _ in long.pieces:
        pass
    gc.collect()
    assert held() is not None
    del long
    assert held() is None


def test_pools_of_two_names_have_two_answers() -> None:
    servers = tuple(MANY)
    view = FakeView([service(name)._replace(servers=servers) for name in ("a", "b")])
    keys = {long.key for name in "ab" if (long := long_answer(view, ("pools", name), as_json=True))}
    assert len(keys) == 2


@pytest.mark.parametrize(
    "path",
    [b"/pools/textlb6_443", b"/pools", b"/pools/nosuch", b"/alerts", b"/pools/%ff", b"/pools/p/h"],
)
def test_what_is_short_is_answered_at_once(path: bytes) -> None:
    view = FakeView([service("textlb6_443", [server("cp1")])])
    assert long_answer(view, path_segments(path), as_json=True) is None


def test_a_long_pool_is_rendered_in_several_turns_for_all_who_ask_meanwhile() -> None:
    class Slow:
        """A server; to write it takes a while."""

        status = "enabled/up/pooled"
        made = 0

        @property
        def host(self) -> str:
            client.clock.rightNow += 0.00002
            Slow.made += 1
            return "cp1"

    servers = cast(list[ServerSnapshot], [Slow() for _ in range(1000)])
    client = Client(FakeView([service("web", servers)]), time_slices=HeldTurns())
    connections = [client.connect() for _ in range(20)]
    for connection in connections:
        connection.send(b"GET /pools/web HTTP/1.1\r\nHost: lvs\r\n\r\n")
    assert 0 < Slow.made <= 200, "the rest is for other turns"
    client.clock.advance(0)
    assert Slow.made == 1000, "once for all"
    answers = [connection.answer() for connection in connections]
    assert {each.body for each in answers} == {b"cp1:\tenabled/up/pooled\n" * 1000}
    assert {each.headers["content-length"] for each in answers} == {str(len(answers[0].body))}


def test_of_a_long_pool_who_asks_for_its_head_gets_that() -> None:
    client = Client(FakeView([service("web", [server(f"cp{n}") for n in range(600)])]))
    whole = client.get("/pools/web")
    head = client.get("/pools/web", method="HEAD")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(whole.body)))
