"""What changes something: the verbs, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.web.test.requesthelper import DummyChannel

from pybal.errors import ControlError, NoSuchThingError
from pybal.instrumentation.body import Field, JSONKind
from pybal.instrumentation.site import BoundedRequest, ControlAccess, ControlRequest
from pybal.instrumentation.verbs import Controls, Found, Verb, perform
from tests.fakes.deferreds import result_of
from tests.fakes.view import FakeView, service
from tests.instrumentation.controls import NotingControls
from tests.instrumentation.exchange import Answer, Client

CONFIRM = "/api/v1/services/text_443/confirm"


class Rig(Client):
    """A client of the control socket."""

    def __init__(self, error: Exception | None = None) -> None:
        self.controls = NotingControls(error)
        control = ControlAccess(cast(Controls, self.controls), lambda _: succeed("anna"))
        super().__init__(FakeView([service("text_443")]), control=control)

    def post(self, path: str, body: bytes = b"") -> Answer:
        return self.get(path, method="POST", body=body)


def said(answer: Answer) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.body)
    assert set(document) == {"error", "remedy"}
    return answer.status, document["error"], document["remedy"]


def test_a_verb_is_done_once_and_noted_with_who_asked() -> None:
    rig = Rig()
    answer = rig.post(CONFIRM)
    assert (answer.status, json.loads(answer.body)["done"]) == (200, "confirm")
    assert rig.controls.asked == [("confirm", ("text_443", "anna"), {})]
    assert rig.log[0] == f"info: anna asks for {CONFIRM}: OK"
    rig.controls.error = ControlError("Nothing is held back", "There is nothing to confirm")
    assert said(rig.post(CONFIRM)) == (409, "Nothing is held back", "There is nothing to confirm")
    assert "Nothing is held back" in rig.log[2]


def test_what_does_not_exist_is_404_with_a_remedy() -> None:
    error = NoSuchThingError("There is no service nosuch", "Look at /api/v1/services")
    answer = said(Rig(error).post("/api/v1/services/nosuch/confirm"))
    assert answer == (404, "There is no service nosuch", "Look at /api/v1/services")


def test_the_tcp_port_answers_no_verb_and_says_where_they_are_answered() -> None:
    status, text, remedy = said(Client(FakeView()).get(CONFIRM, method="POST", body=b"{}"))
    assert status == 403
    assert text == "This changes something: it is answered on the control socket alone"
    assert "--unix-socket /run/pybal/control.sock http://pybal" + CONFIRM in remedy
    assert Client(FakeView()).get(CONFIRM).status == 405


def test_what_stands_in_the_url_in_place_of_the_body_is_refused() -> None:
    """The whole director would be in maintenance."""
    rig = Rig()
    begin = "/api/v1/bgp/maintenance/begin"
    status, text, remedy = said(rig.post(f"{begin}?service=text_443"))
    assert (status, "'service'" in text, "body" in remedy) == (400, True, True)
    assert rig.controls.asked == []
    assert "'service'" in rig.log[0]
    assert rig.post(f"{begin}?pretty=1").status == 200
    assert len(rig.controls.asked) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_verb_takes_post_alone(method: str) -> None:
    rig = Rig()
    answer = rig.get(CONFIRM, method=method)
    assert answer.status == 405
    assert "POST" in answer.headers["allow"] or method not in ("GET", "HEAD")
    assert rig.controls.asked == []


@pytest.mark.parametrize("path", ["/pools", "/alerts", "/metrics", "/api/v1/services", "/nosuch"])
def test_the_control_socket_shows_what_the_tcp_port_shows(path: str) -> None:
    rig = Rig()
    there = Client(FakeView([service("text_443")])).get(path)
    here = rig.get(path)
    assert (here.status, here.headers["content-type"]) == (
        there.status,
        there.headers["content-type"],
    )
    if path != "/metrics":
        assert here.body == there.body
    assert rig.post(path).status == 405


def test_a_bug_in_a_verb_is_500_and_shows_nothing_of_itself() -> None:
    answer = Rig(ZeroDivisionError("secret detail")).post(CONFIRM)
    assert answer.status == 500
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"[]", 400, "The body is not a JSON object"),
        (b"{", 400, "The body is not JSON in UTF-8: "),
        (b'{"x": 1}', 400, "Unknown field 'x'"),
        (b" " * 65_537, 413, "The body is longer than 65536 bytes"),
        (b" " * 300_000, 413, "The body is longer than 65536 bytes"),
        (b"[" * 60_000, 400, "The body is not JSON in UTF-8: "),
        (b"\xff", 400, "The body is not JSON in UTF-8: "),
    ],
)
def test_a_body_that_is_not_wanted_is_refused_and_nothing_done(
    body: bytes, status: int, error: str
) -> None:
    rig = Rig()
    found = said(rig.post(CONFIRM, body))
    assert found[0] == status
    assert found[1].startswith(error)
    assert rig.controls.asked == []


def test_a_configuration_may_be_longer_than_other_bodies() -> None:
    rig = Rig()
    content = "# a line\n" * 20_000
    body = json.dumps({"content": content}).encode()
    assert rig.post("/api/v1/config/compare", body).status == 200
    assert rig.controls.asked == [("compare", (content.encode(), "anna"), {})]
    status, error, _ = said(rig.post("/api/v1/config/compare", b" " * (16 * 1024 * 1024 + 1)))
    assert (status, error) == (413, "The body is longer than 16777216 bytes")


def test_the_tcp_port_keeps_no_more_of_a_body_than_any_verb_but_that_takes() -> None:
    for kind, kept in ((BoundedRequest, 64 * 1024 + 1), (ControlRequest, 2_000_000)):
        request = kind(DummyChannel())
        request.gotLength(2_000_000)
        for _ in range(20):
            request.handleContentChunk(b"x" * 100_000)
        assert len(request.body) == kept


def test_a_name_with_a_slash_or_odd_characters_is_one_name() -> None:
    rig = Rig()
    rig.post("/api/v1/services/a%2Fb%0A%C3%A9/confirm")
    assert rig.controls.asked == [("confirm", ("a/b\né", "anna"), {})]
    assert "\n" not in rig.log[0]


def test_a_further_verb_is_a_line_of_the_table() -> None:
    done: Deferred[Mapping[str, Any]] = Deferred()

    class More(NotingControls):
        def drain(self, host: str, minutes: int) -> Deferred[Mapping[str, Any]]:
            self.asked.append(("drain", (host, minutes), {}))
            return done

    drain = Verb(
        "/api/v1/drain",
        "Drain a server",
        lambda c, call: cast(More, c).drain(call.body["host"], call.body["minutes"]),
        {
            "host": Field(JSONKind.TEXT, "the server", required=True),
            "minutes": Field(JSONKind.WHOLE, "for how long", required=True, low=1, high=60),
        },
    )
    controls, body = More(), b'{"host": "cp1", "minutes": 5}'
    performed = perform(cast(Controls, controls), Found(drain, {}), body, "b", lambda each: each)
    answer = Deferred.fromCoroutine(performed)
    assert controls.asked == [("drain", ("cp1", 5), {})]
    assert not answer.called
    done.callback({"drained": True})
    assert json.loads(result_of(answer).body) == {"drained": True}
