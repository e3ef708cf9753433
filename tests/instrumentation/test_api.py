from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pybal.instrumentation.api import NoSuchDocumentError, document
from pybal.instrumentation.history_query import parameters_of
from pybal.instrumentation.pending_alert import Dated
from pybal.instrumentation.routes import path_segments
from pybal.ipvs.snapshot import (
    AuditSnapshot,
    DestinationStatistics,
    DrainSnapshot,
    DriftSnapshot,
    IPVSSnapshot,
    KernelErrorSnapshot,
    ServiceStatistics,
    Traffic,
)
from pybal.kept_change import KeptSnapshot
from pybal.model import (
    Alert,
    HealthSnapshot,
    HoldDown,
    MetricSample,
    Severity,
    SourceSnapshot,
)
from pybal.override import Action, LaidOver, Override
from tests.fakes.view import NOON, FakeView, bgp, held, ipvs, monitor, server, service
from tests.instrumentation.exchange import Client
from tests.instrumentation.whole_json import json_bytes

SAMPLE = MetricSample("pybal_monitor_x_total", (("reason", "refused"),), 2.0)
FETCH = monitor("ProxyFetch", up=False, reason="timed out", samples=(SAMPLE,))._replace(
    in_a_row=2, fall=3
)
STALE = SourceSnapshot("http://config-master/pool", True, NOON, "connection refused")
VIEW = FakeView(
    [
        service(
            "text_443",
            [
                server(
                    "cp1",
                    up=False,
                    pooled=True,
                    monitors=(FETCH, monitor("IdleConnection", up=None)),
                    decision=held("ProxyFetch reported down: timed out"),
                ),
                server("cp2"),
            ],
            threshold="0.66",
            source=STALE,
        ),
    ],
    bgp_snapshot=bgp(("192.0.2.1", True), ("192.0.2.2", False)),
)
ALERTS = (
    Dated(Alert("too-small", Severity.WARNING, "text_443", "Pool text_443 is too small"), 9.5),
    Dated(Alert("isolated", Severity.CRITICAL, None, "Cut off"), 0.0),
)
AT = {"iso": "2023-11-14T22:13:20.000Z", "epoch": NOON}


def get(path: str, view: FakeView = VIEW) -> Any:
    segments = path_segments(path.encode())
    assert segments is not None
    assert segments[:2] == ("api", "v1")
    return json.loads(json_bytes(document(view, lambda: ALERTS, segments[2:])))


def test_the_index_names_the_other_paths_and_they_exist() -> None:
    paths = get("/api/v1/")["paths"]
    assert paths == get("/api/v1")["paths"]
    assert len(paths) == 14
    for path in paths:
        if parameters_of(tuple(path.split("/")[3:])):
            continue  # the history's
        assert get(path.format(service="text_443", host="cp1"))


def test_the_list_of_services_counts_their_servers() -> None:
    (summary,) = get("/api/v1/services")["services"]
    assert summary == {
        "name": "text_443",
        "protocol": "tcp",
        "address": "198.51.100.1",
        "port": 443,
        "scheduler": "wrr",
        "depool_threshold": 0.66,
        "can_depool": True,
        "could_not_depool_total": 0,
        "source": {
            "url": "http://config-master/pool",
            "stale": True,
            "last_good": AT,
            "last_error": "connection refused",
            "damage": [],
            "kept": [],
        },
        "counts": {
            "servers": 2,
            "enabled": 2,
            "up": 1,
            "pooled": 2,
            "pooled_down": 1,
            "held": 0,
            "held_down": 0,
            "draining": 0,
            "overridden": 0,
        },
    }


def test_a_server_tells_each_monitors_last_result() -> None:
    document = get("/api/v1/services/text_443/servers/cp1")
    fetch, idle = document["monitors"]
    assert fetch == {
        "name": "ProxyFetch",
        "up": False,
        "since": AT,
        "last_result": {"up": False, "reason": "timed out", "duration_s": 0.25, "at": AT},
        "in_a_row": 2,
        "rise": 1,
        "fall": 3,
        "up_transitions": 0,
        "down_transitions": 1,
        "up_results": 0,
        "down_results": 1,
        "samples": [
            {"metric": "pybal_monitor_x_total", "labels": {"reason": "refused"}, "value": 2.0}
        ],
    }
    assert (idle["up"], idle["since"], idle["last_result"]) == (None, None, None)
    assert document["status"] == "enabled/down/pooled"
    assert document["address"] == "192.0.2.10"


def test_a_server_tells_why_it_is_pooled_in_one_sentence_and_in_fields() -> None:
    assert get("/api/v1/services/text_443/servers/cp1")["why"] == {
        "text": "cp1 is kept pooled though down (decided at 2023-11-14T22:13:20.000Z, "
        "cause: ProxyFetch reported down: timed out): 2 of 4 servers were up and enabled, "
        "the threshold of 0.66 requires 2.64, and 3 were pooled then.",
        "verdict": "held",
        "cause": "ProxyFetch reported down: timed out",
        "configured": 4,
        "up": 2,
        "pooled": 3,
        "threshold": 0.66,
        "required": 2.64,
        "at": AT,
        "hold_down": None,
    }
    assert get("/api/v1/services/text_443/servers/cp2")["why"] is None


def test_a_server_that_flapped_tells_until_when_it_is_held_down() -> None:
    (pool,) = VIEW.service_list
    first, *others = pool.servers
    flapping = first._replace(hold_down=HoldDown(5, 300.0, NOON))
    view = FakeView([pool._replace(servers=(flapping, *others), hold_downs_total=3)])
    why = get("/api/v1/services/text_443/servers/cp1", view)["why"]
    assert why["hold_down"] == {"flaps": 5, "window_s": 300.0, "until": AT}
    assert why["text"].endswith(
        " It is up again, but went down 5 times within 300 s: it is pooled at"
        " 2023-11-14T22:13:20.000Z if it does not fail before, or once the pool needs it."
    )
    document = get("/api/v1/services/text_443", view)
    assert (document["counts"]["held_down"], document["hold_downs_total"]) == (1, 3)


def test_a_service_is_its_summary_and_its_servers() -> None:
    (summary,) = get("/api/v1/services")["services"]
    servers = [get(f"/api/v1/services/text_443/servers/{host}") for host in ("cp1", "cp2")]
    assert get("/api/v1/services/text_443") == {
        **summary,
        "held": [],
        "held_total": 0,
        "hold_downs_total": 0,
        "standing": [],
        "list_error": None,
        "servers": servers,
    }


def test_a_service_tells_what_stays_because_it_stood() -> None:
    pool = service("web", [server("a")])._replace(standing=("192.0.2.1",))
    assert get("/api/v1/services/web", FakeView([pool]))["standing"] == ["192.0.2.1"]


def test_a_service_tells_what_its_list_takes_away_and_what_is_held() -> None:
    change = KeptSnapshot(("a", "b"), NOON, False, 2, 3, (("c", NOON),), 900.0)
    pool = service("web", [server("a"), server("b")])._replace(held=(change,), held_total=4)
    document = get("/api/v1/services/web", FakeView([pool]))
    assert document["held_total"] == 4
    assert document["counts"]["held"] == 2
    assert document["held"] == [
        {
            "servers": ["a", "b"],
            "since": AT,
            "waiting": False,
            "left": 2,
            "required": 3,
            "taken": [{"server": "c", "at": AT}],
            "window_s": 900.0,
        }
    ]


def test_ipvs_shows_the_last_error_and_when_it_was() -> None:
    view = FakeView(
        ipvs_snapshot=IPVSSnapshot(False, True, 1, 2, 3, 4, KernelErrorSnapshot(NOON, "refused"))
    )
    assert get("/api/v1/ipvs", view) == {
        "in_sync": False,
        "dry_run": True,
        "services": 1,
        "destinations": 2,
        "names": {},
        "changes_total": 3,
        "errors_total": 4,
        "last_error": {"text": "refused", "at": AT},
        "audit": {
            "audits_total": 0,
            "finished": None,
            "drift": [],
            "drift_total": {},
            "repairs_total": 0,
        },
        "missing": [],
        "unmanaged": [],
        "ownership_error": None,
        "draining": [],
        "statistics": None,
    }
    assert get("/api/v1/ipvs")["last_error"] is None


def test_ipvs_shows_drift_draining_and_traffic() -> None:
    traffic = Traffic(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    counted = DestinationStatistics("192.0.2.9:80", ip_address("192.0.2.9"), 5, 6, 7, traffic)
    drift = DriftSnapshot("tcp 192.0.2.1:80", NOON, ("the service is gone",), repaired=True)
    at_9 = server("cp9")._replace(address=ip_address("192.0.2.9"))
    view = FakeView(
        [service("text_80", [at_9])],
        ipvs_snapshot=ipvs()._replace(
            audit=AuditSnapshot(9, NOON, (drift,), (("service_missing", 1),), 3),
            draining=(DrainSnapshot("tcp 192.0.2.1:80", "192.0.2.8:80", 12.5, 4),),
            statistics=(ServiceStatistics("tcp 192.0.2.1:80", traffic, (counted,)),),
            statistics_at=NOON,
            names=(("tcp 192.0.2.1:80", "text_80"),),
        ),
    )
    found = get("/api/v1/ipvs", view)
    assert found["audit"] == {
        "audits_total": 9,
        "finished": AT,
        "drift": [
            {
                "service": "tcp 192.0.2.1:80",
                "since": AT,
                "differences": ["the service is gone"],
                "repaired": True,
            }
        ],
        "drift_total": {"service_missing": 1},
        "repairs_total": 3,
    }
    assert found["draining"] == [
        {
            "service": "tcp 192.0.2.1:80",
            "name": "text_80",
            "server": "192.0.2.8:80",
            "host": None,
            "seconds_left": 12.5,
            "connections": 4,
        }
    ]
    (counts,) = found["statistics"]["services"]
    assert (found["statistics"]["at"], counts["name"]) == (AT, "text_80")
    assert counts["traffic"]["bytes_out"] == 5
    (shown,) = counts["servers"]
    assert (shown["server"], shown["host"]) == ("192.0.2.9:80", "cp9")
    assert shown["active_connections"] == 5
    assert shown["traffic"]["bytes_out_per_s"] == 10


CONFIG = {
    "path": "/etc/pybal/pybal.conf",
    "sha256": "00ff",
    "modified_at": AT,
    "loaded_at": AT,
    "is_last_good": False,
    "needs_restart": [],
    "differs_since": None,
    "last_reload": None,
    "last_success_at": AT,
    "last_error_at": None,
    "in_part": [],
}


def test_bgp_and_daemon_show_all_that_is_known() -> None:
    bgp = get("/api/v1/bgp")
    assert (bgp["enabled"], bgp["local_asn"], bgp["prefixes"]) == (True, 64600, [])
    assert [(peer["address"], peer["state"], peer["established"]) for peer in bgp["peers"]] == [
        ("192.0.2.1", "Established", True),
        ("192.0.2.2", "Active", False),
    ]
    assert get("/api/v1/daemon") == {
        "version": "9.8.7",
        "started_at": AT,
        "config_path": "/etc/pybal/pybal.conf",
        "dry_run": False,
        "host": "",
        "unwritten": [],
        "history": {"events_total": 0, "in_memory": 0, "disk": None},
        "health": {
            "gaps": 0,
            "longest_stall_s": 0.0,
            "stalls": [],
            "stall_buckets": [],
            "stalls_sum_s": 0.0,
            "local_fault": "",
            "local_faults": {},
            "expedited_total": 0,
            "delayed_calls": 0,
            "isolation": {"phase": "off", "since": None, "total": 0, "reports_kept": 0},
        },
        "config": CONFIG,
    }
    assert get("/api/v1/config") == {**CONFIG, "text": "[global]\nbgp-password = ***\n"}


def test_the_limits_of_buckets_are_named() -> None:
    health = HealthSnapshot(stalls=(7, *[0] * 8, 1))
    daemon = FakeView().daemon_snapshot._replace(health=health)
    shown = get("/api/v1/daemon", FakeView(daemon_snapshot=daemon))["health"]
    assert shown["stalls"][0] == 7
    assert shown["stall_buckets"][0] == {"up_to_s": 0.01, "beats": 7}
    assert shown["stall_buckets"][-1] == {"up_to_s": None, "beats": 1}
    assert len(shown["stall_buckets"]) == 10


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nosuch",
        "/api/v1/services/nosuch",
        "/api/v1/services/nosuch/servers/cp1",
        "/api/v1/services/text_443/servers",
        "/api/v1/services/text_443/servers/nosuch",
        "/api/v1/services/text_443/cp1",
    ],
)
def test_unknown_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(NoSuchDocumentError):
        get(path)


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    client = Client(VIEW)
    for path, remedy in {
        "/api/v1/nosuch": "/api/v1 lists the paths that there are",
        "/api/v1/services/nosuch": "The services are text_443",
        "/api/v1/services/text_443/servers/x": "The servers of text_443 are cp1, cp2",
    }.items():
        answer = client.get(path)
        assert (answer.status, json.loads(answer.body)) == (
            404,
            {"error": "The desired url was not found", "remedy": remedy},
        )


def test_alerts_are_listed_with_what_to_do_the_worst_first() -> None:
    assert get("/api/v1/alerts") == {
        "status": "critical",
        "msg": "Cut off",
        "alerts": [
            {
                "id": "isolated",
                "severity": "critical",
                "service": None,
                "text": "Cut off",
                "age_s": 0.0,
                "acknowledged": None,
                "docs": "docs/operating.md#isolated",
            },
            {
                "id": "too-small",
                "severity": "warning",
                "service": "text_443",
                "text": "Pool text_443 is too small",
                "age_s": 9.5,
                "acknowledged": None,
                "docs": "docs/operating.md#too-small",
            },
        ],
    }


def test_many_names_are_not_all_listed() -> None:
    many = FakeView([service(f"s{n}") for n in range(500)])
    with pytest.raises(NoSuchDocumentError) as caught:
        get("/api/v1/services/x", many)
    assert caught.value.remedy.endswith(", s199 and 300 more")


def test_pretty_is_the_same_document_for_people() -> None:
    client = Client(VIEW)
    plain, pretty = (client.get(f"/api/v1/services/text_443{q}").body for q in ("", "?pretty"))
    assert json.loads(plain) == json.loads(pretty)
    assert plain.count(b"\n") == 0
    assert pretty.count(b"\n") > 50


def test_an_absurd_date_of_the_file_is_shown_all_the_same() -> None:
    for at in (-1e18, 0.0, 1e12, 1e18):
        view = FakeView(config_snapshot=FakeView().config_snapshot._replace(modified_at=at))
        assert get("/api/v1/config", view)["modified_at"]["epoch"] == at


DRAINED = Override("web", "cp1", Action.DRAIN, "alice", "new kernel", NOON, NOON + 3600)


def test_an_override_is_shown_with_its_server_and_with_what_the_list_says() -> None:
    over = LaidOver(DRAINED, 10, True, suspended="too few")
    view = FakeView([service("web", [server("cp1")._replace(over=over), server("cp2")])])
    gone = replace(DRAINED, host="gone")
    view.override_list = (DRAINED, gone)
    shown = get("/api/v1/services/web/servers/cp1", view)["override"]
    assert shown["until"]["epoch"] == NOON + 3600
    assert (shown["by"], shown["reason"], shown["action"]) == ("alice", "new kernel", "drain")
    assert (shown["in_effect"], shown["suspended"]) == (False, "too few")
    assert shown["listed"] == {"weight": 10, "enabled": True}
    assert get("/api/v1/services/web/servers/cp2", view)["override"] is None
    first, second = get("/api/v1/overrides", view)["overrides"]
    assert first == shown
    assert (second["host"], second["listed"]) == ("gone", None)
    assert get("/api/v1/services", view)["services"][0]["counts"]["overridden"] == 1
