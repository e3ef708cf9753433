"""The description of /api/v1 holds of what is answered, and leaves nothing out."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pybal.bgp.snapshot import BGPSnapshot, MaintenanceSnapshot, OthersRoute, OwnAddress
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.history.event import Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.ledger import Ledger, Note
from pybal.instrumentation.verbs import VERBS
from pybal.ipvs.snapshot import (
    AuditSnapshot,
    DestinationStatistics,
    DrainSnapshot,
    DriftSnapshot,
    KernelErrorSnapshot,
    MissingSnapshot,
    ServiceStatistics,
    Traffic,
)
from pybal.model import MetricSample, SourceSnapshot
from tests.fakes.view import (
    CONFIG,
    NOON,
    FakeView,
    bgp,
    decision_inputs,
    held,
    ipvs,
    ledger,
    monitor,
    server,
    service,
)
from tests.instrumentation.exchange import Client

TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}


class Description:
    """Checks values by the part of JSON Schema that the description uses."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def check(
        self, value: Any, schema: dict[str, Any], where: str, *, is_whole: bool = True
    ) -> None:
        """`is_whole`: it says all that the value has."""
        schema = self.resolved(schema)
        for part in schema.get("allOf", ()):
            self.check(value, part, where, is_whole=False)
        names = self.names(schema)
        if is_whole and names and "additionalProperties" not in schema:
            assert value.keys() <= names, where
        if "oneOf" in schema:
            schema = schema["oneOf"][value is None]
            return self.check(value, schema, where)
        if "enum" in schema:
            assert value in schema["enum"], where
        kinds = schema.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds:
            assert any(self.is_of(value, kind) for kind in kinds), (where, value, kinds)
        if isinstance(value, list) and "items" in schema:
            for number, each in enumerate(value):
                self.check(each, schema["items"], f"{where}[{number}]")
        if isinstance(value, dict):
            assert set(schema.get("required", ())) <= value.keys(), where
            properties = schema.get("properties", {})
            for name, each in value.items():
                known = properties.get(name) or schema.get("additionalProperties")
                if isinstance(known, dict):
                    self.check(each, known, f"{where}.{name}")
        return None

    def is_of(self, value: Any, kind: str) -> bool:
        is_boolean = isinstance(value, bool)
        return isinstance(value, TYPES[kind]) and (kind in ("boolean",)) == is_boolean

    def names(self, schema: dict[str, Any]) -> set[str]:
        """All that an object is said to have."""
        schema = self.resolved(schema)
        found = set(schema.get("properties", {}))
        return found.union(*(self.names(part) for part in schema.get("allOf", ())))

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        reference = schema.get("$ref")
        if reference is None:
            return schema
        found: dict[str, Any] = self.document["components"]["schemas"][reference.split("/")[-1]]
        return found


def eventful_ledger() -> Ledger:
    """A server's failure, with all that there is to say of one."""
    found = ledger()
    concern = Concern(Subject("host", "cp1"), "web Ping")
    inputs: dict[str, Any] = {"up": False, "reason": "silent"}
    report = Note(Kind.REPORT, "down", "web", "cp1", inputs=inputs, concern=concern)
    decision = decision_inputs("held")
    found.note(Note(Kind.DECISION, "held", "web", "cp1", found.note(report), decision))
    return found


def full_bgp() -> BGPSnapshot:
    """A speaker that has something of everything."""
    peers = bgp(("192.0.2.1", True), ("192.0.2.2", False))
    return replace(
        peers,
        router_id="192.0.2.9",
        imports=True,
        own=(
            OwnAddress(
                "198.51.100.1",
                announced=True,
                preferred="others",
                others=(
                    OthersRoute(
                        "192.0.2.1",
                        "198.51.100.1/32",
                        "192.0.2.8",
                        0,
                        100,
                        (64600,),
                        1,
                        ("64600:7",),
                        "others",
                    ),
                ),
            ),
        ),
        maintenance=(MaintenanceSnapshot(None, NOON, withdrawn=False),),
        peers=tuple(
            peer._replace(
                last_error="x",
                last_error_at=NOON,
                messages=(("open", "sent", 1),),
                timers=(("hold", 1.5),),
            )
            for peer in peers.peers
        ),
    )


def full_view() -> FakeView:
    """A daemon that has something of everything."""
    samples = (MetricSample("pybal_monitor_x", (("a", "b"),), 1.5),)
    key = "tcp 198.51.100.1:443"
    statistics = ServiceStatistics(
        key,
        Traffic(),
        (DestinationStatistics("192.0.2.1:443", ip_address("192.0.2.1"), 1, 2, 3, Traffic()),),
    )
    drift = DriftSnapshot(key, NOON, ("the service is gone",), repaired=True)
    return FakeView(
        ledger=eventful_ledger(),
        config_snapshot=CONFIG._replace(
            last_reload=ReloadSnapshot(NOON, ReloadOutcome.APPLIED, (), ("x",), ("y",))
        ),
        service_list=[
            service(
                "web",
                [
                    server(
                        "cp1",
                        monitors=(monitor(samples=samples), monitor("Ping", up=None)),
                        decision=held("x"),
                    ),
                    server("cp2", up=False, pooled=True),
                ],
                source=SourceSnapshot("file:///x", True, NOON, "gone", ("line 3",), ("cp2",)),
            )
        ],
        bgp_snapshot=full_bgp(),
        ipvs_snapshot=ipvs()._replace(
            audit=AuditSnapshot(1, NOON, (drift,), (("x", 1),), 1),
            last_error=KernelErrorSnapshot(NOON, "refused"),
            missing=(MissingSnapshot(key, ("192.0.2.1:443",), 1),),
            draining=(DrainSnapshot(key, "192.0.2.1:443", 1.0, None),),
            statistics=(statistics,),
            statistics_at=NOON,
            names=((key, "web"),),
        ),
    )


CLIENT = Client(full_view())
DESCRIPTION = Description(json.loads(CLIENT.get("/api/v1/openapi.json").body))
DOCUMENTS = [path for path, what in DESCRIPTION.document["paths"].items() if "get" in what]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_each_document_is_as_described_and_all_of_it(path: str) -> None:
    answer = CLIENT.get(path.format(service="web", host="cp1"))
    document = json.loads(answer.body)
    responses = DESCRIPTION.document["paths"][path]["get"]["responses"]
    schema = responses["200"]["content"]["application/json"]["schema"]
    DESCRIPTION.check(document, schema, path)
    if "{" in path:
        missing = CLIENT.get(path.format(service="nosuch", host="x"))
        error = responses["404"]["content"]["application/json"]["schema"]
        assert missing.status == 404
        DESCRIPTION.check(json.loads(missing.body), error, path)


def check_schema(schema: object, where: str) -> None:
    """JSON Schema: an object, or true or false, and so are all that it is made of."""
    assert isinstance(schema, dict | bool), where
    if isinstance(schema, dict):
        parts = {"items": schema.get("items", True), **schema.get("properties", {})}
        parts["others"] = schema.get("additionalProperties", True)
        for word in ("oneOf", "anyOf", "allOf"):
            parts |= {f"{word} {n}": each for n, each in enumerate(schema.get(word, ()))}
        for name, part in parts.items():
            check_schema(part, f"{where}.{name}")


def test_each_schema_is_one_to_its_last_part() -> None:
    document = DESCRIPTION.document
    for name, schema in document["components"]["schemas"].items():
        check_schema(schema, name)
    for path, ways in document["paths"].items():
        for operation in ways.values():
            for status, answer in operation["responses"].items():
                for media in answer.get("content", {}).values():
                    check_schema(media["schema"], f"{path} {status}")


def test_every_path_of_the_index_is_described() -> None:
    index = json.loads(CLIENT.get("/api/v1").body)
    assert set(index["paths"]) - {"/api/v1/openapi.json"} == set(DOCUMENTS)
    posts = {path for path, what in DESCRIPTION.document["paths"].items() if "post" in what}
    assert posts == {verb.path for verb in VERBS} == {verb["path"] for verb in index["verbs"]}


def test_every_document_says_whose_it_is() -> None:
    for path in ("/api/v1", "/api/v1/bgp"):
        assert json.loads(CLIENT.get(path).body)["director"] == {
            "name": "",
            "router_id": "192.0.2.9",
            "version": "9.8.7",
        }
