"""The OpenAPI description of `/api/v1`. Pure.

It says what is there and will stay; what is not required may be missing. A test holds it against
the documents themselves.
"""

from __future__ import annotations

from typing import Any

from pybal.instrumentation.body import schema
from pybal.instrumentation.history_query import parameters_of
from pybal.instrumentation.openapi_history import (
    HISTORY_DOCUMENTS,
    HISTORY_SCHEMAS,
    STREAM,
    query_parameters,
)
from pybal.instrumentation.schema_kinds import BOOLEAN as _BOOLEAN
from pybal.instrumentation.schema_kinds import COUNTS as _COUNTS
from pybal.instrumentation.schema_kinds import LABELS as _LABELS
from pybal.instrumentation.schema_kinds import MAYBE_BOOLEAN as _MAYBE_BOOLEAN
from pybal.instrumentation.schema_kinds import MAYBE_NUMBER as _MAYBE_NUMBER
from pybal.instrumentation.schema_kinds import MAYBE_TEXT as _MAYBE_TEXT
from pybal.instrumentation.schema_kinds import MAYBE_WHOLE as _MAYBE_WHOLE
from pybal.instrumentation.schema_kinds import NUMBER as _NUMBER
from pybal.instrumentation.schema_kinds import TEXT as _TEXT
from pybal.instrumentation.schema_kinds import WHOLE as _WHOLE
from pybal.instrumentation.schema_kinds import Schema
from pybal.instrumentation.schema_kinds import list_of as _list
from pybal.instrumentation.schema_kinds import maybe as _maybe
from pybal.instrumentation.schema_kinds import object_of as _object
from pybal.instrumentation.schema_kinds import ref as _ref
from pybal.instrumentation.verbs import VERBS, Verb

_MOMENT = _maybe(_ref("Moment"))
_PATH_NAMES = ("service", "host")

SCHEMAS: dict[str, Schema] = {
    "Moment": _object(iso=_TEXT, epoch=_NUMBER),
    "Error": _object(error=_TEXT, remedy=_TEXT),
    "Director": _object(name=_TEXT, router_id=_MAYBE_TEXT, version=_TEXT),
    "Alert": _object(
        id=_TEXT,
        severity={"enum": ["ok", "warning", "critical"]},
        service=_MAYBE_TEXT,
        text=_TEXT,
        age_s=_NUMBER,
        acknowledged=_maybe(
            _object(
                by=_TEXT,
                reason=_TEXT,
                since=_MOMENT,
                until=_MOMENT,
                severity={"enum": ["warning", "critical"]},
            )
        ),
        docs=_TEXT,
    ),
    "Source": _object(
        url=_TEXT,
        stale=_BOOLEAN,
        last_good=_MOMENT,
        last_error=_MAYBE_TEXT,
        damage=_list(_TEXT),
        kept=_list(_TEXT),
    ),
    "ServiceSummary": _object(
        name=_TEXT,
        protocol=_TEXT,
        address=_TEXT,
        port=_WHOLE,
        scheduler=_TEXT,
        depool_threshold=_NUMBER,
        can_depool=_BOOLEAN,
        could_not_depool_total=_WHOLE,
        source=_ref("Source"),
        counts=_COUNTS,
    ),
    "Service": {
        "allOf": [
            _ref("ServiceSummary"),
            _object(
                held=_list(_ref("HeldChange")),
                held_total=_WHOLE,
                hold_downs_total=_WHOLE,
                servers=_list(_ref("Server")),
            ),
        ],
    },
    "HeldChange": _object(
        servers=_list(_TEXT),
        since=_MOMENT,
        waiting=_BOOLEAN,
        left=_WHOLE,
        required=_WHOLE,
        taken=_list(_object(server=_TEXT, at=_MOMENT)),
        window_s=_NUMBER,
    ),
    "Server": _object(
        service=_TEXT,
        host=_TEXT,
        address=_MAYBE_TEXT,
        weight=_WHOLE,
        enabled=_BOOLEAN,
        ready=_BOOLEAN,
        up=_BOOLEAN,
        partially_up=_BOOLEAN,
        pooled=_BOOLEAN,
        status=_TEXT,
        state=_TEXT,
        draining=_maybe(_object(connections=_MAYBE_WHOLE, seconds_left=_MAYBE_NUMBER)),
        why=_maybe(_ref("Why")),
        override=_maybe(_ref("Override")),
        held=_maybe(_ref("HeldChange")),
        monitors=_list(_ref("Monitor")),
    ),
    "Override": _object(
        service=_TEXT,
        host=_TEXT,
        action={"enum": ["drain", "disable", "enable"]},
        by=_TEXT,
        reason=_TEXT,
        since=_MOMENT,
        until=_MOMENT,
        force=_BOOLEAN,
        text=_TEXT,
        in_effect=_BOOLEAN,
        suspended=_MAYBE_TEXT,
        listed=_maybe(_object(weight=_WHOLE, enabled=_BOOLEAN)),
    ),
    "Why": _object(
        text=_TEXT,
        verdict=_TEXT,
        cause=_TEXT,
        configured=_WHOLE,
        up=_WHOLE,
        pooled=_WHOLE,
        threshold=_NUMBER,
        required=_NUMBER,
        at=_MOMENT,
        hold_down=_maybe(_object(flaps=_WHOLE, window_s=_NUMBER, until=_MOMENT)),
    ),
    "Monitor": _object(
        name=_TEXT,
        up=_MAYBE_BOOLEAN,
        since=_MOMENT,
        last_result=_maybe(_object(up=_BOOLEAN, reason=_TEXT, duration_s=_NUMBER, at=_MOMENT)),
        in_a_row=_WHOLE,
        rise=_WHOLE,
        fall=_WHOLE,
        up_transitions=_WHOLE,
        down_transitions=_WHOLE,
        up_results=_WHOLE,
        down_results=_WHOLE,
        samples=_list(_object(metric=_TEXT, labels=_LABELS, value=_NUMBER)),
    ),
    "Traffic": _COUNTS,
    "Health": _object(
        gaps=_WHOLE,
        longest_stall_s=_NUMBER,
        stalls=_list(_WHOLE),
        stall_buckets=_list(_object(up_to_s=_MAYBE_NUMBER, beats=_WHOLE)),
        stalls_sum_s=_NUMBER,
        local_fault=_TEXT,
        local_faults=_COUNTS,
        expedited_total=_WHOLE,
        delayed_calls=_WHOLE,
        isolation={"type": "object"},
    ),
    "IPVSService": _object(
        name=_MAYBE_TEXT,
        service=_TEXT,
        traffic=_ref("Traffic"),
        servers=_list(
            _object(
                server=_TEXT,
                host=_MAYBE_TEXT,
                weight=_WHOLE,
                active_connections=_WHOLE,
                inactive_connections=_WHOLE,
                persistent_connections=_WHOLE,
                traffic=_ref("Traffic"),
            )
        ),
    ),
    "Config": _object(
        path=_TEXT,
        sha256=_TEXT,
        modified_at=_MOMENT,
        loaded_at=_MOMENT,
        is_last_good=_BOOLEAN,
        needs_restart=_list(_TEXT),
        differs_since=_MOMENT,
        last_reload=_maybe(
            _object(at=_MOMENT, successful=_BOOLEAN, errors=_list(_TEXT), steps=_list(_TEXT))
        ),
        last_success_at=_MOMENT,
        last_error_at=_MOMENT,
    ),
    "Peer": _object(
        address=_TEXT,
        asn=_MAYBE_WHOLE,
        state=_TEXT,
        established=_BOOLEAN,
        since=_MOMENT,
        last_error=_maybe(_object(text=_TEXT, at=_MOMENT)),
        capabilities=_object(sent=_list(_TEXT), received=_list(_TEXT)),
        hold_time_s=_MAYBE_WHOLE,
        timers_s={"type": "object", "additionalProperties": _NUMBER},
        bfd=_MAYBE_TEXT,
        prefixes=_list(_TEXT),
        heard=_MAYBE_WHOLE,
        not_kept=_WHOLE,
        sessions_lost=_WHOLE,
        connections_refused=_WHOLE,
        messages={"type": "object", "additionalProperties": _COUNTS},
        connections=_list(_LABELS),
    ),
    "OwnAddress": _object(
        address=_TEXT,
        announced=_BOOLEAN,
        preferred={"enum": [None, "us", "others", "both", "alike", "nobody"]},
        others=_list(
            _object(
                peer=_TEXT,
                prefix=_TEXT,
                next_hop=_MAYBE_TEXT,
                med=_MAYBE_WHOLE,
                local_pref=_MAYBE_WHOLE,
                as_path=_list(_WHOLE),
                path_length=_WHOLE,
                communities=_list(_TEXT),
                preferred={"enum": ["us", "others", "alike"]},
            )
        ),
    ),
    **HISTORY_SCHEMAS,
}

DOCUMENTS: dict[str, tuple[str, Schema]] = {
    "/api/v1/services": ("All services", _object(services=_list(_ref("ServiceSummary")))),
    "/api/v1/services/{service}": ("A service and its servers", _ref("Service")),
    "/api/v1/services/{service}/servers/{host}": ("A server of a service", _ref("Server")),
    "/api/v1/overrides": (
        "What operators want of servers for a time",
        _object(overrides=_list(_ref("Override"))),
    ),
    "/api/v1/ipvs": (
        "The kernel's table and what passes through it",
        _object(
            in_sync=_BOOLEAN,
            dry_run=_BOOLEAN,
            services=_WHOLE,
            destinations=_WHOLE,
            names=_LABELS,
            changes_total=_WHOLE,
            errors_total=_WHOLE,
            last_error=_maybe(_object(text=_TEXT, at=_MOMENT)),
            audit=_object(
                audits_total=_WHOLE,
                finished=_MOMENT,
                drift=_list({"type": "object"}),
                drift_total=_COUNTS,
                repairs_total=_WHOLE,
            ),
            missing=_list(
                _object(
                    service=_TEXT,
                    name=_MAYBE_TEXT,
                    servers=_list(_TEXT),
                    hosts=_list(_MAYBE_TEXT),
                    others=_WHOLE,
                )
            ),
            unmanaged=_list(_TEXT),
            ownership_error=_MAYBE_TEXT,
            draining=_list(
                _object(
                    service=_TEXT,
                    name=_MAYBE_TEXT,
                    server=_TEXT,
                    host=_MAYBE_TEXT,
                    seconds_left=_NUMBER,
                    connections=_MAYBE_WHOLE,
                )
            ),
            statistics=_maybe(_object(at=_MOMENT, services=_list(_ref("IPVSService")))),
        ),
    ),
    "/api/v1/bgp": (
        "The BGP speaker",
        _object(
            enabled=_BOOLEAN,
            local_asn=_MAYBE_WHOLE,
            peers=_list(_ref("Peer")),
            prefixes=_list({"type": "object"}),
            **{"import": _BOOLEAN},
            addresses=_list(_ref("OwnAddress")),
            unknown_peers_total=_WHOLE,
            maintenance=_list(_object(service=_MAYBE_TEXT, since=_MOMENT, state=_TEXT)),
            held=_list(_object(service=_TEXT, withdrawals=_WHOLE, wait_s=_NUMBER)),
        ),
    ),
    "/api/v1/daemon": (
        "The process and its health",
        _object(
            version=_TEXT,
            started_at=_MOMENT,
            config_path=_TEXT,
            dry_run=_BOOLEAN,
            health=_ref("Health"),
            host=_TEXT,
            config=_ref("Config"),
            history=_ref("History"),
        ),
    ),
    "/api/v1/config": (
        "Which configuration runs, and its text without secrets",
        {"allOf": [_ref("Config"), _object(text=_TEXT)]},
    ),
    "/api/v1/alerts": (
        "What an operator must look at",
        _object(status=_TEXT, msg=_TEXT, alerts=_list(_ref("Alert"))),
    ),
    **HISTORY_DOCUMENTS,
}
"""What each path answers, beside `director`, which all have."""


def openapi_document(version: str) -> dict[str, Any]:
    """`/api/v1/openapi.json`."""
    paths: dict[str, dict[str, Any]] = {}
    for path, (summary, shown) in DOCUMENTS.items():
        signed = {"allOf": [_object(director=_ref("Director")), shown]}
        paths[path] = {"get": _operation(path, summary, signed)}
    for verb in VERBS:
        paths.setdefault(verb.path, {})["post"] = _verb(verb)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PyBal",
            "version": version,
            "description": "Stable: fields may come, none goes or changes its meaning. What "
            "changes something (POST) is answered on the control socket alone.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _operation(path: str, summary: str, shown: Schema) -> dict[str, Any]:
    names = [name for name in _PATH_NAMES if f"{{{name}}}" in path]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
    ]
    parameters.append(
        {
            "name": "pretty",
            "in": "query",
            "description": "Indented for people, unless it is 0, no or false",
            "allowEmptyValue": True,
            "schema": {},
        }
    )
    responses = {"200": _answer("As it is now", shown)}
    asked = parameters_of(tuple(path.split("/")[3:]))
    if asked is not None:
        parameters += query_parameters(asked)
        responses["400"] = _answer("The query is not understood", _ref("Error"))
        responses["503"] = _answer("Too many ask, or it takes too long", _ref("Error"))
        if "follow" in asked:
            responses["200"]["content"]["text/event-stream"] = STREAM
    if names:
        responses["404"] = _answer("No such name", _ref("Error"))
    return {"summary": summary, "parameters": parameters, "responses": responses}


def _verb(verb: Verb) -> dict[str, Any]:
    done = {"allOf": [_object(director=_ref("Director")), {"type": "object"}]}
    operation = _operation(verb.path, verb.summary, done)
    operation["parameters"] = [each for each in operation["parameters"] if each["in"] == "path"]
    operation["requestBody"] = {
        "required": any(field.required for field in verb.fields.values()),
        "content": {"application/json": {"schema": schema(verb.fields)}},
    }
    for status, words in (
        ("400", "The body is not what is wanted"),
        ("403", "Not on the control socket"),
        ("404", "No such name"),
        ("409", "It cannot be done as things are"),
        ("413", "The body is too long"),
    ):
        operation["responses"][status] = _answer(words, _ref("Error"))
    return operation


def _answer(words: str, shown: Schema) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": shown}}}
