"""What each verb of the control socket takes, and what the daemon is asked to do by it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from pybal.errors import ControlError, NoSuchThingError
from pybal.instrumentation.responses import Response
from pybal.instrumentation.verbs import (
    MAX_CONFIG_BYTES,
    VERBS,
    Controls,
    find_verb,
    longest_body_bytes,
    perform,
)
from pybal.override import Action
from pybal.overrides.wish import Scope, Wish
from tests.instrumentation.controls import NotingControls


def post(
    path: str, body: Any = None, controls: NotingControls | None = None
) -> tuple[int, dict[str, Any], list[tuple[str, tuple[Any, ...], dict[str, Any]]]]:
    """Status, answer, and what the daemon was asked to do."""
    found = find_verb(tuple(path.strip("/").split("/")))
    assert found is not None
    controls = controls or NotingControls()
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()

    async def done() -> Response:
        return await perform(
            cast(Controls, controls), found, data, "alice", lambda document: document
        )

    response = asyncio.run(done())
    return response.status, json.loads(response.body), controls.asked


TIME = {"for_s": 60, "reason": " new disk "}
OVERRIDE = {"action": "drain", "host": "cp1", **TIME}


def wish(action: Action, scope: Scope, *, force: bool = False) -> Wish:
    return Wish(action, scope, 60, "new disk", force)


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        ("services/web/confirm", None, ("confirm", ("web", "alice"), {})),
        ("services/web/servers/cp1/check", None, ("check", ("web", "cp1", "alice"), {})),
        ("reload", None, ("reload", ("alice",), {})),
        (
            "bgp/maintenance/begin",
            {"service": "web"},
            ("maintenance", ("web",), {"begin": True, "by": "alice"}),
        ),
        (
            "bgp/maintenance/begin",
            None,
            ("maintenance", (None,), {"begin": True, "by": "alice"}),
        ),
        (
            "bgp/maintenance/end",
            {},
            ("maintenance", (None,), {"begin": False, "by": "alice"}),
        ),
        (
            "overrides/begin",
            OVERRIDE,
            ("override", (wish(Action.DRAIN, Scope("cp1")), "alice"), {}),
        ),
        (
            "overrides/begin",
            {**OVERRIDE, "action": "disable", "services": ["web", "dns"], "force": True},
            (
                "override",
                (wish(Action.DISABLE, Scope("cp1", ("web", "dns")), force=True), "alice"),
                {},
            ),
        ),
        (
            "overrides/begin",
            {**OVERRIDE, "action": "enable", "all": True, "force": False},
            ("override", (wish(Action.ENABLE, Scope("cp1", (), True)), "alice"), {}),
        ),
        ("overrides/end", {"host": "cp1"}, ("undo", (Scope("cp1"), "alice"), {})),
        (
            "overrides/end",
            {"host": "c", "services": ["web"], "all": False},
            ("undo", (Scope("c", ("web",)), "alice"), {}),
        ),
        (
            "alerts/ack",
            {"id": "x", **TIME},
            ("acknowledge", ("x", None, 60, "new disk", "alice"), {}),
        ),
        (
            "alerts/ack",
            {"id": "i" * 100, "service": "web", "for_s": 1, "reason": "r"},
            ("acknowledge", ("i" * 100, "web", 1, "r", "alice"), {}),
        ),
        ("alerts/unack", {"id": "x"}, ("unacknowledge", ("x", None, "alice"), {})),
        (
            "alerts/unack",
            {"id": "x", "service": "web"},
            ("unacknowledge", ("x", "web", "alice"), {}),
        ),
        ("config/compare", {"content": ""}, ("compare", (b"", "alice"), {})),
        (
            "overrides/begin",
            {**OVERRIDE, "for_s": 7 * 86_400, "reason": "r" * 200},
            (
                "override",
                (Wish(Action.DRAIN, Scope("cp1"), 7 * 86_400, "r" * 200), "alice"),
                {},
            ),
        ),
    ],
)
def test_a_verb_is_done_as_its_body_says(path: str, body: Any, asked: Any) -> None:
    assert post(f"/api/v1/{path}", body) == (200, {"done": asked[0]}, [asked])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in OVERRIDE.items() if key != name}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("overrides/begin", without(name)) for name in OVERRIDE),
        ("overrides/begin", {**OVERRIDE, "host": ""}),
        ("overrides/begin", {**OVERRIDE, "action": "destroy"}),
        ("overrides/begin", {**OVERRIDE, "for_s": 0.5}),
        ("overrides/begin", {**OVERRIDE, "for_s": 7 * 86_400 + 1}),
        ("overrides/begin", {**OVERRIDE, "reason": ""}),
        ("overrides/begin", {**OVERRIDE, "reason": "r" * 201}),
        ("overrides/begin", {**OVERRIDE, "reason": "two\nlines"}),
        ("overrides/begin", {**OVERRIDE, "force": 1}),
        ("overrides/begin", {**OVERRIDE, "action": "enable", "force": True}),
        ("overrides/begin", {**OVERRIDE, "services": ["web"], "all": True}),
        ("overrides/end", {"host": "cp1", "services": ["web"], "all": True}),
        ("overrides/begin", {**OVERRIDE, "nosuch": 1}),
        ("overrides/end", {}),
        ("overrides/end", {"host": ""}),
        ("alerts/ack", {"id": "x"}),
        ("alerts/ack", TIME),
        ("alerts/ack", {"id": "", **TIME}),
        ("alerts/ack", {"id": "i" * 101, **TIME}),
        ("alerts/unack", {}),
        ("config/compare", {}),
        ("bgp/maintenance/begin", {"service": 1}),
        ("reload", {"now": True}),
    ],
)
def test_a_body_that_says_too_little_or_too_much_is_refused_and_nothing_done(
    path: str, body: Any
) -> None:
    status, answer, asked = post(f"/api/v1/{path}", body)
    assert (status, asked) == (400, [])
    assert answer["error"]


@pytest.mark.parametrize(
    ("path", "limit"), [("reload", 65_536), ("config/compare", MAX_CONFIG_BYTES)]
)
def test_a_body_that_is_too_long_is_said_to_be(path: str, limit: int) -> None:
    assert post(f"/api/v1/{path}", b"x" * limit)[0] == 400
    assert post(f"/api/v1/{path}", b"x" * (limit + 1))[0] == 413
    assert longest_body_bytes() == MAX_CONFIG_BYTES == 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("error", "status"),
    [(ControlError("no", "do that"), 409), (NoSuchThingError("no", "do that"), 404)],
)
def test_what_the_daemon_refuses_is_said_with_what_would_help(
    error: ControlError, status: int
) -> None:
    found = post("/api/v1/reload", None, NotingControls(error))
    assert found[:2] == (status, {"error": "no", "remedy": "do that"})


def test_a_path_names_one_verb_or_none() -> None:
    for verb in VERBS:
        names = verb.path.replace("{", "").replace("}", "").strip("/").split("/")
        found = find_verb(tuple(names))
        assert found is not None
        assert found.verb is verb
        assert all(name == value for name, value in found.names.items())
        assert find_verb((*names, "x")) is None
        assert find_verb(tuple(names[:-1])) is None
    assert find_verb(()) is None
    assert find_verb(None) is None
