from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from typing import Any

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from pybal.instrumentation.metrics import Snapshot, exposition, process_metrics
from pybal.instrumentation.monitor_text import MonitorText
from pybal.ipvs.snapshot import DestinationStatistics, ServiceStatistics, Traffic
from pybal.kept_change import KeptSnapshot
from pybal.model import (
    Alert,
    HealthSnapshot,
    HoldDown,
    IsolationSnapshot,
    MetricSample,
    MonitorSnapshot,
    Severity,
    SourceSnapshot,
)
from tests.fakes.view import (
    DAEMON,
    MONITOR_FAMILIES,
    NOON,
    FakeView,
    bgp,
    ipvs,
    large_view,
    monitor,
    server,
    service,
)

Labels = tuple[tuple[str, str], ...]
CONTRACT = {
    **{
        f"pybal_service_{name}": ("service",)
        for name in (
            "servers",
            "servers_enabled",
            "servers_up",
            "servers_pooled",
            "can_depool",
            "pooled_down_servers",
            "depool_threshold",
            "could_not_depool_total",
        )
    },
    **{
        f"pybal_monitor_{name}": ("service", "host", "monitor")
        for name in (
            "up_transitions_total",
            "down_transitions_total",
            "up_results_total",
            "down_results_total",
            "status",
        )
    },
    **{
        f"pybal_monitor_{name}": ("service", "host", "monitor", *extra)
        for name, extra in {
            "proxyfetch_request_duration_seconds": ("result", "url"),
            "idleconnection_connections_failed_total": ("reason",),
            "idleconnection_connections_lost_total": ("reason",),
            "dnsquery_request_duration_seconds": ("result",),
            "runcommand_run_duration_seconds": ("result", "exitcode"),
        }.items()
    },
    "pybal_bgp_enabled": (),
    "pybal_bgp_session_established": ("local_asn", "peer"),
    "pybal_bgp_session_state_count": ("local_asn", "state", "local_ip", "remote_ip", "side"),
}
"""The contract's table."""


def render(view: FakeView, *, as_openmetrics: bool = False) -> str:
    """All that there is."""
    pieces = exposition(
        snapshot_of(view),
        monitors=MonitorText(MONITOR_FAMILIES),
        as_openmetrics=as_openmetrics,
        with_servers=True,
    )
    return b"".join(pieces).decode("utf-8")


def snapshot_of(view: FakeView) -> Snapshot:
    return Snapshot(
        tuple(view.services()), view.bgp(), view.ipvs(), view.daemon(), view.config(), 7
    )


def series(families: Iterable[Metric]) -> dict[tuple[str, Labels], float]:
    """All samples; no two may have the same name and labels."""
    found: dict[tuple[str, Labels], float] = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def scrape(view: FakeView) -> dict[tuple[str, Labels], float]:
    return series(text_string_to_metric_families(render(view)))


def full_view() -> FakeView:
    """A view that has a series of every metric."""
    samples = tuple(
        family.sample(1.5, *("x" for _ in family.labels)) for family in MONITOR_FAMILIES
    )
    faults = (
        MetricSample("pybal_monitor_internal_errors_total", (), 1.0),
        MetricSample("pybal_monitor_discarded_results_total", (), 1.0),
    )
    servers = [
        server("a", monitors=(monitor("ProxyFetch", samples=(*samples, *faults)),)),
        server("b", enabled=False, monitors=(monitor("ProxyFetch", up=False),)),
        server("c", up=False, pooled=True),
        server("d", up=False),
    ]
    return FakeView([service("text_443", servers)], bgp_snapshot=bgp(("192.0.2.1", True)))


def test_every_metric_of_the_contract_is_there_with_its_labels() -> None:
    shown: dict[str, set[tuple[str, ...]]] = {}
    for name, labels in scrape(full_view()):
        shown.setdefault(name, set()).add(tuple(label for label, _ in labels))
    assert len(CONTRACT) == 21
    for name, expected in CONTRACT.items():
        assert shown[name] == {tuple(sorted(expected))}, name


def test_types_and_help_are_declared() -> None:
    text = render(full_view())
    for name in CONTRACT:
        kind = "counter" if name.endswith("_total") else "gauge"
        assert f"# TYPE {name} {kind}\n" in text
        assert f"# HELP {name} " in text


def test_a_services_gauges_count_its_servers() -> None:
    change = KeptSnapshot(("a", "b"), NOON, False, 2, 3, (), 900.0)
    text_443 = full_view().service_list[0]
    text_443 = text_443._replace(
        could_not_depool_total=5,
        can_depool=False,
        held=(change,),
        held_total=7,
        hold_downs_total=3,
    )
    flapping = text_443.servers[0]._replace(hold_down=HoldDown(4, 300.0, NOON))
    text_443 = text_443._replace(servers=(flapping, *text_443.servers[1:]))
    values = scrape(FakeView([text_443]))
    expected = {
        "servers": 4,
        "servers_enabled": 3,
        "servers_up": 2,
        "servers_pooled": 2,
        "can_depool": 0,
        "pooled_down_servers": 1,
        "depool_threshold": 0.5,
        "could_not_depool_total": 5,
        "held_servers": 2,
        "overridden_servers": 0,
        "held_changes_total": 7,
        "held_down_servers": 1,
        "hold_downs_total": 3,
    }
    for name, value in expected.items():
        assert values[f"pybal_service_{name}", (("service", "text_443"),)] == value, name


def test_a_monitors_counters_and_status_are_shown_and_nothing_before_its_first_result() -> None:
    counted = MonitorSnapshot("ProxyFetch", False, NOON, None, 1, 2, 30, 4)
    silent = monitor("IdleConnection", up=None)
    values = scrape(FakeView([service("s", [server("h", monitors=(counted, silent))])]))

    def value(name: str, kind: str) -> float | None:
        labels = (("host", "h"), ("monitor", kind), ("service", "s"))
        return values.get((f"pybal_monitor_{name}", labels))

    names = ("up_transitions", "down_transitions", "up_results", "down_results")
    assert [value(f"{name}_total", "ProxyFetch") for name in names] == [1, 2, 30, 4]
    assert [value(f"{name}_total", "IdleConnection") for name in names] == [0, 0, 0, 0]
    assert value("status", "ProxyFetch") == 0
    assert value("status", "IdleConnection") is None


def test_series_of_a_server_that_left_disappear() -> None:
    view = full_view()
    assert 'host="a"' in render(view)
    view.service_list = [service("text_443", [server("b")])]
    assert 'host="a"' not in render(view)


def test_two_monitors_with_the_same_labels_make_one_series() -> None:
    def twin(up: bool, duration: float, lost: int) -> MonitorSnapshot:
        own = (
            MetricSample(
                "pybal_monitor_proxyfetch_request_duration_seconds",
                (("result", "successful"), ("url", "u")),
                duration,
            ),
            MetricSample(
                "pybal_monitor_idleconnection_connections_lost_total", (("reason", "r"),), lost
            ),
        )
        return monitor("M", up=up, samples=own)

    for first, second in ((True, False), (False, True)):
        twins = (twin(first, 0.1, 2), twin(second, 0.2, 3))
        values = scrape(FakeView([service("s", [server("h", monitors=twins)])]))
        common = (("host", "h"), ("monitor", "M"))
        assert values["pybal_monitor_status", (*common, ("service", "s"))] == 0
        assert values["pybal_monitor_up_results_total", (*common, ("service", "s"))] == 1
        lost = (*common, ("reason", "r"), ("service", "s"))
        assert values["pybal_monitor_idleconnection_connections_lost_total", lost] == 5


def test_a_monitor_that_hands_over_other_labels_or_metrics_breaks_nothing() -> None:
    name = "pybal_monitor_dnsquery_request_duration_seconds"
    odd = (
        MetricSample(name, (("rcode", "NOERROR"), ("result", "successful")), 0.5),
        MetricSample("pybal_monitor_new_total", (("kind", "x"),), 1),
        MetricSample("pybal_monitor_new_total", (), 2),
    )
    values = scrape(FakeView([service("s", [server("h", monitors=(monitor("M", samples=odd),))])]))
    common = (("host", "h"), ("monitor", "M"))
    assert values[name, (*common, ("result", "successful"), ("service", "s"))] == 0.5
    new = {labels: v for (metric, labels), v in values.items() if metric.endswith("_new_total")}
    assert new == {
        (("host", "h"), ("kind", "x"), ("monitor", "M"), ("service", "s")): 1,
        (("host", "h"), ("kind", ""), ("monitor", "M"), ("service", "s")): 2,
    }


def test_names_are_escaped_and_odd_ones_do_not_fail_the_scrape() -> None:
    view = FakeView([service('a"\n\\\ud800é', [server("h\udfff", monitors=(monitor(),))])])
    names = {dict(labels).get("service") for _, labels in scrape(view)} - {None}
    assert names == {'a"\n\\\\ud800é'}


def test_the_daemon_its_kernel_and_its_sources_are_shown() -> None:
    stale = SourceSnapshot("file:///x", True, NOON, "gone", damage=("line 1: x",))
    never = SourceSnapshot("file:///y", False, None, None)
    values = scrape(FakeView([service("old", source=stale), service("new", source=never)]))
    assert values["pybal_build_info", (("version", "9.8.7"),)] == 1
    assert values["pybal_start_time_seconds", ()] == NOON
    assert values["pybal_instrumentation_errors_total", ()] == 7
    assert values["pybal_ipvs_in_sync", ()] == 1
    assert values["pybal_ipvs_changes_total", ()] == 3
    assert values["pybal_ipvs_errors_total", ()] == 0
    assert values["pybal_source_stale", (("service", "old"),)] == 1
    assert values["pybal_source_stale", (("service", "new"),)] == 0
    assert values["pybal_source_damaged_entries", (("service", "old"),)] == 1
    assert values["pybal_source_damaged_entries", (("service", "new"),)] == 0
    dated = {k: v for k, v in values.items() if k[0].startswith("pybal_source_last_good")}
    assert dated == {("pybal_source_last_good_timestamp_seconds", (("service", "old"),)): NOON}


@pytest.mark.parametrize("enabled", [True, False])
def test_bgp_enabled_has_no_labels_and_is_always_there(enabled: bool) -> None:
    view = FakeView(bgp_snapshot=replace(bgp(), enabled=enabled))
    assert f"\npybal_bgp_enabled {float(enabled)}\n" in render(view)


def test_the_threshold_is_shown_as_written() -> None:
    exact = service("s")._replace(depool_threshold=Fraction("0.07"))
    assert 'pybal_service_depool_threshold{service="s"} 0.07\n' in render(FakeView([exact]))


def test_openmetrics_is_valid_by_its_own_strict_parser_and_says_the_same() -> None:
    text = render(full_view(), as_openmetrics=True)
    assert text.endswith("# EOF\n")
    families = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    assert series(families) == scrape(full_view())


def test_other_collectors_follow_ours() -> None:
    snapshot = snapshot_of(FakeView())
    pieces = exposition(
        snapshot,
        process_metrics()(),
        monitors=MonitorText(MONITOR_FAMILIES),
        as_openmetrics=False,
    )
    text = b"".join(pieces).decode()
    assert "\nprocess_cpu_seconds_total " in text
    assert "\nprocess_open_fds " in text
    # The same serve one scrape after another.
    metrics = process_metrics()
    for _ in range(2):
        again = exposition(
            snapshot, metrics(), monitors=MonitorText(MONITOR_FAMILIES), as_openmetrics=False
        )
        assert b"process_open_fds" in b"".join(again)


@pytest.mark.slow
def test_the_largest_configuration_is_shown_whole() -> None:
    view = large_view()
    servers = [s for one in view.service_list for s in one.servers]
    monitors = [m for one in servers for m in one.monitors]
    assert (len(view.service_list), len(servers), len(monitors)) == (116, 11_095, 11_538)
    text = render(view)
    assert text.count("\npybal_monitor_status{") == 11_538


def test_a_renderer_that_has_rendered_before_says_the_same_as_a_new_one() -> None:
    old = MonitorText(MONITOR_FAMILIES)
    busy, idle = server("a", monitors=(monitor(),)), server("b", monitors=(monitor(),))
    changed = server("a", monitors=(monitor(up=False),))
    gone = server("c", monitors=(monitor("UDP"),))
    for servers in ([busy, idle, gone], [changed, idle], [idle]):
        services = [service("s", servers)]
        expected = b"".join(MonitorText(MONITOR_FAMILIES).render(services, as_openmetrics=False))
        assert b"".join(old.render(services, as_openmetrics=False)) == expected


@pytest.mark.parametrize("as_openmetrics", [True, False])
def test_labels_are_sorted_by_name_in_every_line(as_openmetrics: bool) -> None:
    lines = render(full_view(), as_openmetrics=as_openmetrics).splitlines()
    labelled = [line for line in lines if "{" in line and not line.startswith("#")]
    assert len(labelled) > 60
    for line in labelled:
        names = re.findall(r'([a-z_]+)="', line)
        assert names == sorted(names), line


def test_servers_that_are_held_are_not_those_that_serve() -> None:
    servers = [server("a"), server("b"), server("c", up=False, pooled=True)]
    values = scrape(FakeView([service("web", servers)]))
    name = (("service", "web"),)
    assert values["pybal_service_pooled_down_servers", name] == 1
    assert values["pybal_service_servers_pooled", name] == 3
    what = next(labels for found, labels in values if found == "pybal_service_info")
    assert dict(what) == {
        "address": "198.51.100.1",
        "port": "443",
        "protocol": "tcp",
        "scheduler": "wrr",
        "service": "web",
    }


def test_what_the_director_knows_of_itself_is_shown() -> None:
    health = HealthSnapshot(
        gaps=1,
        longest_stall_s=2.5,
        stalls=(7, 0, 0, 0, 0, 0, 0, 2, 0, 1),
        stalls_sum_s=40.0,
        local_faults=(("EMFILE", 3),),
        expedited_total=4,
        delayed_calls=5,
        isolation=IsolationSnapshot("cut off", NOON, 6, 8),
    )
    values = scrape(FakeView(daemon_snapshot=DAEMON._replace(health=health)))
    expected = {
        "reactor_stall_seconds_max": 2.5,
        "reactor_stall_seconds_sum": 40.0,
        "reactor_stall_seconds_count": 10,
        "lost_time_gaps_total": 1,
        "reactor_delayed_calls": 5,
        "expedited_checks_total": 4,
        "isolated": 1,
        "isolations_total": 6,
        "isolation_reports_kept": 8,
        "start_time_seconds": NOON,
        "instrumentation_errors_total": 7,
        "config_differs": 0,
    }
    assert {name: values[f"pybal_{name}", ()] for name in expected} == expected
    assert values["pybal_build_info", (("version", "9.8.7"),)] == 1
    assert values["pybal_local_faults_total", (("error", "EMFILE"),)] == 3
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in values.items()
        if name == "pybal_reactor_stall_seconds_bucket"
    }
    assert (buckets["0.01"], buckets["5.0"], buckets["30.0"], buckets["+Inf"]) == (7, 9, 9, 10)
    calm = scrape(FakeView())
    assert calm["pybal_isolated", ()] == 0
    assert any(name.startswith("pybal_history_") for name, _ in calm)


def test_alerts_are_counted_and_those_that_there_might_be_are_0() -> None:
    alerts = tuple(Alert("too-small", Severity.WARNING, name, "x") for name in ("a", "b"))
    odd = Alert("of its own", Severity.CRITICAL, None, "x")
    pieces = exposition(
        replace(snapshot_of(FakeView()), alerts=(*alerts, odd)),
        monitors=MonitorText(MONITOR_FAMILIES),
        as_openmetrics=False,
    )
    values = series(text_string_to_metric_families(b"".join(pieces).decode()))
    counts = {
        tuple(dict(labels).values()): value
        for (name, labels), value in values.items()
        if name == "pybal_alert"
    }
    assert counts["too-small", "warning"] == 2
    assert counts["of its own", "critical"] == 1
    assert counts["too-small", "critical"] == counts["drift", "warning"] == 0
    assert sum(counts.values()) == 3


@pytest.mark.parametrize("with_servers", [None, False, True])
def test_what_the_kernel_counts_of_servers_is_shown_if_that_is_asked_for(
    with_servers: bool | None,
) -> None:
    where = ip_address("192.0.2.10")
    counted = DestinationStatistics("192.0.2.10:443", where, 1, 2, 3, Traffic(7))
    table = ipvs()._replace(
        names=(("tcp 198.51.100.1:443", "web"),),
        statistics=(
            ServiceStatistics("tcp 198.51.100.1:443", Traffic(9), (counted,)),
            ServiceStatistics("tcp 198.51.100.2:443", Traffic(9), ()),
        ),
    )
    view = FakeView([service("web", [server("cp1")])], ipvs_snapshot=table)
    asked: dict[str, Any] = {} if with_servers is None else {"with_servers": with_servers}
    pieces = exposition(
        snapshot_of(view), monitors=MonitorText(MONITOR_FAMILIES), as_openmetrics=False, **asked
    )
    values = series(text_string_to_metric_families(b"".join(pieces).decode()))
    names = {name for name, labels in values if name.startswith("pybal_ipvs_")}
    of_servers = {
        name for name, labels in values if name.startswith("pybal_ipvs_") and "host" in dict(labels)
    }
    assert any(values[key] == 9 for key in values if key[0].startswith("pybal_ipvs_service"))
    assert names
    assert bool(of_servers) == bool(with_servers)
