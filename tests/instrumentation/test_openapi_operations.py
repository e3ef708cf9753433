"""What the description says may be asked at each path, and what may be answered."""

from __future__ import annotations

import re
from typing import Any

from pybal.instrumentation.history_query import EVENT_PARAMETERS, INCIDENT_PARAMETERS
from pybal.instrumentation.openapi import openapi_document
from pybal.instrumentation.verbs import VERBS

PATHS: dict[str, dict[str, Any]] = openapi_document("9.8.7")["paths"]


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, way, each) for path, ways in PATHS.items() for way, each in ways.items()]


def asked(path: str, way: str = "get") -> set[str]:
    return {each["name"] for each in PATHS[path][way]["parameters"] if each["in"] == "query"}


def test_each_name_in_a_path_is_a_parameter_that_must_be_there() -> None:
    for path, _, operation in operations():
        named = [each for each in operation["parameters"] if each["in"] == "path"]
        assert sorted(each["name"] for each in named) == sorted(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] is True for each in named)
        assert ("404" in operation["responses"]) == (bool(named) or path in known_verbs())


def known_verbs() -> set[str]:
    return {verb.path for verb in VERBS}


def test_no_parameter_is_there_twice() -> None:
    for path, _, operation in operations():
        names = [(each["name"], each["in"]) for each in operation["parameters"]]
        assert len(names) == len(set(names)), path


def test_any_document_may_be_asked_for_indented() -> None:
    for path, ways in PATHS.items():
        if "get" in ways:
            pretty = [p for p in ways["get"]["parameters"] if p["name"] == "pretty"]
            assert [each["allowEmptyValue"] for each in pretty] == [True], path


def test_the_history_has_its_own_parameters_and_may_be_busy() -> None:
    # To follow is no request that ends.
    assert asked("/api/v1/events") == set(EVENT_PARAMETERS) - {"follow"}
    assert asked("/api/v1/incidents") == set(INCIDENT_PARAMETERS)
    assert asked("/api/v1/servers/{host}/why") == {"at", "pretty", "service"}
    assert asked("/api/v1/services") == {"pretty"}
    assert {"200", "400", "503"} <= PATHS["/api/v1/events"]["get"]["responses"].keys()
    assert "503" not in PATHS["/api/v1/services"]["get"]["responses"]


def test_only_events_may_be_followed() -> None:
    streams = [
        path
        for path, ways in PATHS.items()
        if "get" in ways and "text/event-stream" in ways["get"]["responses"]["200"]["content"]
    ]
    assert streams == ["/api/v1/events"]


def test_a_verb_has_its_body_and_no_query() -> None:
    for verb in VERBS:
        operation = PATHS[verb.path]["post"]
        assert operation["summary"] == verb.summary
        assert asked(verb.path, "post") == set()
        body = operation["requestBody"]
        assert body["required"] == any(each.required for each in verb.fields.values())
        assert {"200", "400", "403", "404", "409", "413"} == operation["responses"].keys()
