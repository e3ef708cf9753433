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
from pybal.instrumentation.schema_kinds import (
    BOOLEAN,
    COUNTS,
    LABELS,
    MAYBE_BOOLEAN,
    MAYBE_NUMBER,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    list_of,
    maybe,
    object_of,
    ref,
)
from pybal.instrumentation.verbs import VERBS, Verb

_PATH_NAMES = ("service", "host")

SCHEMAS: dict[str, Schema] = {
    "Moment": object_of(iso=TEXT, epoch=NUMBER),
    "Error": object_of(error=TEXT, remedy=TEXT),
    "Director": object_of(name=TEXT, router_id=MAYBE_TEXT, version=TEXT),
    "Alert": object_of(
        id=TEXT,
        severity={"enum": ["ok", "warning", "critical"]},
        service=MAYBE_TEXT,
        text=TEXT,
        age_s=NUMBER,
        acknowledged=maybe(
            object_of(
                by=TEXT,
                reason=TEXT,
                since=MOMENT,
                until=MOMENT,
                severity={"enum": ["warning", "critical"]},
            )
        ),
        docs=TEXT,
    ),
    "Source": object_of(
        url=TEXT,
        stale=BOOLEAN,
        last_good=MOMENT,
        last_error=MAYBE_TEXT,
        damage=list_of(TEXT),
        kept=list_of(TEXT),
    ),
    "ServiceSummary": object_of(
        name=TEXT,
        protocol=TEXT,
        address=TEXT,
        port=WHOLE,
        scheduler=TEXT,
        depool_threshold=NUMBER,
        can_depool=BOOLEAN,
        could_not_depool_total=WHOLE,
        source=ref("Source"),
        counts=COUNTS,
    ),
    "Service": {
        "allOf": [
            ref("ServiceSummary"),
            object_of(
                held=list_of(ref("HeldChange")),
                held_total=WHOLE,
                list_error=MAYBE_TEXT,
                hold_downs_total=WHOLE,
                standing=list_of(TEXT),
                servers=list_of(ref("Server")),
            ),
        ],
    },
    "HeldChange": object_of(
        servers=list_of(TEXT),
        since=MOMENT,
        waiting=BOOLEAN,
        left=WHOLE,
        required=WHOLE,
        taken=list_of(object_of(server=TEXT, at=MOMENT)),
        window_s=NUMBER,
    ),
    "Server": object_of(
        service=TEXT,
        host=TEXT,
        address=MAYBE_TEXT,
        weight=WHOLE,
        enabled=BOOLEAN,
        ready=BOOLEAN,
        up=BOOLEAN,
        partially_up=BOOLEAN,
        pooled=BOOLEAN,
        status=TEXT,
        state=TEXT,
        draining=maybe(object_of(connections=MAYBE_WHOLE, seconds_left=MAYBE_NUMBER)),
        why=maybe(ref("Why")),
        same_address=maybe(object_of(hosts=list_of(TEXT), text=TEXT)),
        override=maybe(ref("Override")),
        held=maybe(ref("HeldChange")),
        monitors=list_of(ref("Monitor")),
    ),
    "Override": object_of(
        service=TEXT,
        host=TEXT,
        action={"enum": ["drain", "disable", "enable"]},
        by=TEXT,
        reason=TEXT,
        since=MOMENT,
        until=MOMENT,
        force=BOOLEAN,
        text=TEXT,
        in_effect=BOOLEAN,
        suspended=MAYBE_TEXT,
        listed=maybe(object_of(weight=WHOLE, enabled=BOOLEAN)),
    ),
    "Why": object_of(
        text=TEXT,
        verdict=TEXT,
        cause=TEXT,
        configured=WHOLE,
        up=WHOLE,
        pooled=WHOLE,
        threshold=NUMBER,
        required=NUMBER,
        at=MOMENT,
        hold_down=maybe(object_of(flaps=WHOLE, window_s=NUMBER, until=MOMENT)),
    ),
    "Monitor": object_of(
        name=TEXT,
        up=MAYBE_BOOLEAN,
        since=MOMENT,
        last_result=maybe(object_of(up=BOOLEAN, reason=TEXT, duration_s=NUMBER, at=MOMENT)),
        in_a_row=WHOLE,
        rise=WHOLE,
        fall=WHOLE,
        up_transitions=WHOLE,
        down_transitions=WHOLE,
        up_results=WHOLE,
        down_results=WHOLE,
        samples=list_of(object_of(metric=TEXT, labels=LABELS, value=NUMBER)),
    ),
    "Traffic": COUNTS,
    "Health": object_of(
        gaps=WHOLE,
        longest_stall_s=NUMBER,
        stalls=list_of(WHOLE),
        stall_buckets=list_of(object_of(up_to_s=MAYBE_NUMBER, beats=WHOLE)),
        stalls_sum_s=NUMBER,
        local_fault=TEXT,
        local_faults=COUNTS,
        expedited_total=WHOLE,
        delayed_calls=WHOLE,
        isolation={"type": "object"},
    ),
    "IPVSService": object_of(
        name=MAYBE_TEXT,
        service=TEXT,
        traffic=ref("Traffic"),
        servers=list_of(
            object_of(
                server=TEXT,
                host=MAYBE_TEXT,
                weight=WHOLE,
                active_connections=WHOLE,
                inactive_connections=WHOLE,
                persistent_connections=WHOLE,
                traffic=ref("Traffic"),
            )
        ),
    ),
    "Config": object_of(
        path=TEXT,
        sha256=TEXT,
        modified_at=MOMENT,
        loaded_at=MOMENT,
        is_last_good=BOOLEAN,
        needs_restart=list_of(TEXT),
        differs_since=MOMENT,
        last_reload=maybe(
            object_of(
                at=MOMENT,
                successful=BOOLEAN,
                outcome=TEXT,
                errors=list_of(TEXT),
                steps=list_of(TEXT),
                warnings=list_of(TEXT),
            )
        ),
        last_success_at=MOMENT,
        last_error_at=MOMENT,
        in_part=list_of(TEXT),
    ),
    "Peer": object_of(
        address=TEXT,
        description=TEXT,
        asn=MAYBE_WHOLE,
        state=TEXT,
        established=BOOLEAN,
        since=MOMENT,
        away_since=MOMENT,
        last_error=maybe(object_of(text=TEXT, at=MOMENT)),
        capabilities=object_of(sent=list_of(TEXT), received=list_of(TEXT)),
        hold_time_s=MAYBE_WHOLE,
        timers_s={"type": "object", "additionalProperties": NUMBER},
        bfd=MAYBE_TEXT,
        prefixes=list_of(TEXT),
        not_told=list_of(object_of(reason=TEXT, prefixes=WHOLE)),
        heard=MAYBE_WHOLE,
        not_kept=WHOLE,
        sessions_lost=WHOLE,
        connections_refused=WHOLE,
        messages={"type": "object", "additionalProperties": COUNTS},
        connections=list_of(LABELS),
    ),
    "OwnAddress": object_of(
        address=TEXT,
        announced=BOOLEAN,
        preferred={"enum": [None, "us", "others", "both", "alike", "nobody"]},
        others=list_of(
            object_of(
                peer=TEXT,
                prefix=TEXT,
                next_hop=MAYBE_TEXT,
                med=MAYBE_WHOLE,
                local_pref=MAYBE_WHOLE,
                as_path=list_of(WHOLE),
                path_length=WHOLE,
                communities=list_of(TEXT),
                preferred={"enum": ["us", "others", "alike"]},
            )
        ),
    ),
    **HISTORY_SCHEMAS,
}

DOCUMENTS: dict[str, tuple[str, Schema]] = {
    "/api/v1/services": ("All services", object_of(services=list_of(ref("ServiceSummary")))),
    "/api/v1/services/{service}": ("A service and its servers", ref("Service")),
    "/api/v1/services/{service}/servers/{host}": ("A server of a service", ref("Server")),
    "/api/v1/overrides": (
        "What operators want of servers for a time",
        object_of(overrides=list_of(ref("Override"))),
    ),
    "/api/v1/ipvs": (
        "The kernel's table and what passes through it",
        object_of(
            in_sync=BOOLEAN,
            dry_run=BOOLEAN,
            services=WHOLE,
            destinations=WHOLE,
            names=LABELS,
            changes_total=WHOLE,
            errors_total=WHOLE,
            last_error=maybe(object_of(text=TEXT, at=MOMENT)),
            audit=object_of(
                audits_total=WHOLE,
                finished=MOMENT,
                drift=list_of({"type": "object"}),
                drift_total=COUNTS,
                repairs_total=WHOLE,
            ),
            missing=list_of(
                object_of(
                    service=TEXT,
                    name=MAYBE_TEXT,
                    servers=list_of(TEXT),
                    hosts=list_of(MAYBE_TEXT),
                    others=WHOLE,
                    error=TEXT,
                    otherwise=BOOLEAN,
                )
            ),
            unmanaged=list_of(TEXT),
            ownership_error=MAYBE_TEXT,
            draining=list_of(
                object_of(
                    service=TEXT,
                    name=MAYBE_TEXT,
                    server=TEXT,
                    host=MAYBE_TEXT,
                    seconds_left=NUMBER,
                    connections=MAYBE_WHOLE,
                )
            ),
            statistics=maybe(object_of(at=MOMENT, services=list_of(ref("IPVSService")))),
        ),
    ),
    "/api/v1/bgp": (
        "The BGP speaker",
        object_of(
            enabled=BOOLEAN,
            local_asn=MAYBE_WHOLE,
            peers=list_of(ref("Peer")),
            prefixes=list_of({"type": "object"}),
            **{"import": BOOLEAN},
            addresses=list_of(ref("OwnAddress")),
            unknown_peers_total=WHOLE,
            maintenance=list_of(
                object_of(service=MAYBE_TEXT, since=MOMENT, state=TEXT, withdrawn_at=MOMENT)
            ),
            held=list_of(object_of(service=TEXT, withdrawals=WHOLE, wait_s=NUMBER)),
        ),
    ),
    "/api/v1/daemon": (
        "The process and its health",
        object_of(
            version=TEXT,
            started_at=MOMENT,
            config_path=TEXT,
            dry_run=BOOLEAN,
            health=ref("Health"),
            host=TEXT,
            unwritten=list_of(object_of(file=TEXT, error=TEXT)),
            config=ref("Config"),
            history=ref("History"),
        ),
    ),
    "/api/v1/config": (
        "Which configuration runs, and its text without secrets",
        {"allOf": [ref("Config"), object_of(text=TEXT)]},
    ),
    "/api/v1/alerts": (
        "What an operator must look at",
        object_of(status=TEXT, msg=TEXT, alerts=list_of(ref("Alert"))),
    ),
    **HISTORY_DOCUMENTS,
}
"""What each path answers, beside `director`, which all have."""


def openapi_document(version: str) -> dict[str, Any]:
    """`/api/v1/openapi.json`."""
    paths: dict[str, dict[str, Any]] = {}
    for path, (summary, shown) in DOCUMENTS.items():
        signed = {"allOf": [object_of(director=ref("Director")), shown]}
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
        {"name": name, "in": "path", "required": True, "schema": TEXT} for name in names
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
    responses = {
        "200": _answer("As it is now", shown),
        "400": _answer("The query is not understood", ref("Error")),
    }
    asked = parameters_of(tuple(path.split("/")[3:]))
    if asked is not None:
        parameters += query_parameters(asked)
        responses["503"] = _answer("Too many ask, or it takes too long", ref("Error"))
        if "follow" in asked:
            responses["200"]["content"]["text/event-stream"] = STREAM
    if names:
        responses["404"] = _answer("No such name", ref("Error"))
    return {"summary": summary, "parameters": parameters, "responses": responses}


def _verb(verb: Verb) -> dict[str, Any]:
    done = {"allOf": [object_of(director=ref("Director")), {"type": "object"}]}
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
        operation["responses"][status] = _answer(words, ref("Error"))
    return operation


def _answer(words: str, shown: Schema) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": shown}}}
