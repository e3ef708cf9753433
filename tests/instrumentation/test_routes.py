from __future__ import annotations

import json
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.instrumentation.responses import Response, text
from pybal.instrumentation.routes import answer, origin_form, path_segments
from pybal.ipvs.snapshot import MissingSnapshot
from tests.fakes.view import FakeView, ipvs, server, service

VIEW = FakeView(
    [
        service(
            "textlb6_443",
            [
                server("cp1.example.org", weight=100),
                server("cp2.example.org", up=False, partially_up=True),
                server("cp3.example.org", enabled=False, weight=0),
            ],
        ),
        service("empty_80"),
    ]
)


def get(path: bytes, *, as_json: bool = False) -> Response:
    return answer(VIEW, list, path_segments(path), as_json=as_json)


def get_json(path: bytes) -> Any:
    response = get(path, as_json=True)
    assert response.status == HTTPStatus.OK
    assert response.content_type == "application/json"
    return json.loads(response.body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (b"/pools", "textlb6_443\nempty_80\n"),
        (
            b"/pools/textlb6_443",
            "cp1.example.org:\tenabled/up/pooled\n"
            "cp2.example.org:\tenabled/partially up/not pooled\n"
            "cp3.example.org:\tdisabled/up/not pooled\n",
        ),
        (b"/pools/empty_80", ""),
        (b"/pools/textlb6_443/cp2.example.org", "enabled/partially up/not pooled\n"),
        (b"/pools/textlb6%5f443/%63p1%2Eexample.org", "enabled/up/pooled\n"),
        (b"/alerts", "OK - All pools are healthy"),
    ],
)
def test_text_is_the_contracts_to_the_byte(path: bytes, body: str) -> None:
    for spelling in (path, path + b"/"):
        response = get(spelling)
        assert response == Response(HTTPStatus.OK, "text/plain; charset=utf-8", body.encode())


def test_json_is_the_contracts_with_these_keys_and_no_other() -> None:
    servers = {
        "cp1.example.org": {"pooled": True, "up": True, "enabled": True, "weight": 100},
        "cp2.example.org": {"pooled": False, "up": False, "enabled": True, "weight": 10},
        "cp3.example.org": {"pooled": False, "up": True, "enabled": False, "weight": 0},
    }
    assert get_json(b"/pools") == ["textlb6_443", "empty_80"]
    assert get_json(b"/pools/textlb6_443") == servers
    assert list(get_json(b"/pools/textlb6_443")) == list(servers)
    assert get_json(b"/pools/empty_80") == {}
    assert get_json(b"/pools/textlb6_443/cp3.example.org") == servers["cp3.example.org"]
    assert get_json(b"/alerts") == {"status": "ok", "msg": "All pools are healthy"}


UNKNOWN = [
    b"/",
    b"",
    b"//",
    b"/pool",
    b"/Pools",
    b"//pools",
    b"/pools//",
    b"/pools/nosuch",
    b"/pools/nosuch/cp1.example.org",
    b"/pools/textlb6_443/nosuch",
    b"/pools/textlb6_443/cp1.example.org/more",
    b"/pools/textlb6_443%2Fcp1.example.org",
    b"/pools/%ff%fe",
    b"/pools/%00",
    b"/pools/..",
    b"/alerts/more",
    b"/api",
    b"/api/v2",
]


@pytest.mark.parametrize("path", UNKNOWN)
def test_anything_else_is_404_in_the_contracts_words(path: bytes) -> None:
    message = "The desired url was not found"
    assert get(path) == text(message, HTTPStatus.NOT_FOUND)
    response = get(path, as_json=True)
    assert response.status == HTTPStatus.NOT_FOUND
    assert json.loads(response.body) == {"error": message}


def test_names_that_utf8_cannot_hold_do_not_break_an_answer() -> None:
    odd = FakeView([service("p", [server("h\ud800")])])
    response = answer(odd, list, ("pools", "p"), as_json=False)
    assert response.body == b"h\\ud800:\tenabled/up/pooled\n"


@given(st.binary(), st.booleans())
def test_no_path_makes_it_fail(path: bytes, as_json: bool) -> None:
    assert get(b"/" + path, as_json=as_json).status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)


def test_what_the_kernel_does_not_hold_is_not_pooled() -> None:
    key, other = "tcp 192.0.2.1:443", "tcp 192.0.2.9:443"
    servers = [
        server("a")._replace(address=ip_address("192.0.2.11")),
        server("b")._replace(address=ip_address("2001:db8::b")),
        server("c", up=False, pooled=False)._replace(address=ip_address("192.0.2.13")),
    ]
    view = FakeView([service("web", servers), service("dns", servers)])

    def shown(*missing: MissingSnapshot) -> list[str]:
        names = ((key, "web"), (other, "dns"))
        view.ipvs_snapshot = ipvs()._replace(missing=missing, names=names)
        answers = [answer(view, list, ("pools", "web", host), as_json=False) for host in "abc"]
        return [each.body.decode().strip().rpartition("/")[2] for each in answers]

    assert shown() == ["pooled", "pooled", "not pooled"]
    assert shown(MissingSnapshot(other)) == ["pooled", "pooled", "not pooled"]
    assert shown(MissingSnapshot(key)) == ["not pooled"] * 3
    assert answer(view, list, ("pools", "web"), as_json=False).body.count(b"/not pooled\n") == 3
    assert answer(view, list, ("pools", "dns"), as_json=False).body.count(b"/not pooled\n") == 1
    found = json.loads(answer(view, list, ("pools", "web"), as_json=True).body)
    assert found["a"] == {"enabled": True, "pooled": False, "up": True, "weight": 10}
    some = MissingSnapshot(key, ("[2001:db8::b]:443",), others=1)
    assert shown(some) == ["pooled", "not pooled", "not pooled"]


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        (b"/", ("",)),
        (b"/pools", ("pools",)),
        (b"/pools/", ("pools",)),
        (b"/pools//", ("pools", "")),
        (b"/pools/a%2Fb", ("pools", "a/b")),
        (b"/pools/%FF", None),
    ],
)
def test_a_path_is_its_segments(path: bytes, segments: tuple[str, ...] | None) -> None:
    assert path_segments(path) == segments


def test_an_unknown_pool_is_not_found_whatever_the_kernel_refuses() -> None:
    table = ipvs()._replace(names=(("x", "web"),), missing=(MissingSnapshot("x"),))
    view = FakeView([], ipvs_snapshot=table)
    for path in (("pools", "nosuch"), ("pools", "nosuch", "cp1")):
        assert answer(view, list, path, as_json=False).status == HTTPStatus.NOT_FOUND
    calm = FakeView([service("web", [server("cp1")])])
    assert answer(calm, list, ("pools", "web"), as_json=False).status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (b"/pools?a=http://b/c", b"/pools?a=http://b/c"),
        (b"http://lvs:9090/pools/a?b", b"/pools/a?b"),
        (b"HTTPS://lvs", b"/"),
        (b"http://lvs?pretty", b"/?pretty"),
        (b"*", b"*"),
        (b"", b""),
    ],
)
def test_a_target_may_have_scheme_and_host(target: bytes, wanted: bytes) -> None:
    assert origin_form(target) == wanted
