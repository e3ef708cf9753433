"""The consumers' table of the contract: all that concerns HTTP, over HTTP."""

from __future__ import annotations

from tests.fakes.view import FakeView, bgp, monitor, server, service
from tests.instrumentation import consumers
from tests.instrumentation.exchange import Client

FINE, FAILED, OUT = "cp1.esams.wmnet", "cp2.esams.wmnet", "cp3.esams.wmnet"
POOL = "textlb6_443"


def production() -> FakeView:
    """One pool with a server that is fine, one that is down and one that is disabled."""
    good, bad = monitor("ProxyFetch"), monitor("ProxyFetch", up=False, reason="refused")
    servers = [
        server(FINE, monitors=(good, monitor("IdleConnection")), weight=100),
        server(FAILED, up=False, partially_up=True, monitors=(bad, monitor("IdleConnection"))),
        server(OUT, enabled=False, monitors=(good,), weight=0),
    ]
    services = [
        service(POOL, servers, address="2001:db8::1"),
        service("dns_rec6_53_udp", [server("ns1.esams.wmnet")]),
    ]
    peers = bgp(("192.0.2.1", True), ("2001:db8::2", False), local_asn=64600)
    return FakeView(services, bgp_snapshot=peers)


def reader(view: FakeView) -> consumers.Get:
    client = Client(view)

    def get(path: str, accept: str) -> tuple[int, str]:
        answer = client.get(path, {"Accept": accept, "User-Agent": "check"})
        return answer.status, answer.text

    return get


def test_backends_check_tells_ok_warning_and_critical_apart() -> None:
    view = production()
    assert consumers.backends_check(reader(view)) == "OK"
    small = service("small_80", [server("a"), server("b")], threshold="1")
    view.service_list = [*view.service_list, small]
    assert consumers.backends_check(reader(view)) == "WARNING"
    view.service_list = [service("held_80", [server("a", up=False, pooled=True), server("b")])]
    assert consumers.backends_check(reader(view)) == "CRITICAL"


def test_ipvs_difference_check_finds_the_pooled_servers_and_no_other() -> None:
    assert consumers.ipvs_difference_check(reader(production())) == {
        POOL: {FINE},
        "dns_rec6_53_udp": {"ns1.esams.wmnet"},
    }


def test_safe_restart_reads_its_own_server_and_is_told_of_unknown_ones() -> None:
    get = reader(production())
    fine = {"enabled": True, "pooled": True, "up": True, "weight": 100}
    assert consumers.safe_restart(get, POOL, FINE) == fine
    out = consumers.safe_restart(get, POOL, OUT)
    assert out == {"enabled": False, "pooled": False, "up": True, "weight": 0}
    assert consumers.safe_restart(get, POOL, "inactive.esams.wmnet") is None
    assert consumers.safe_restart(get, "nosuch_443", FINE) is None


def test_pooler_loop_splits_the_status_into_three_words() -> None:
    get = reader(production())
    assert consumers.pooler_loop(get, POOL, FINE) == ("enabled", "up", "pooled")
    assert consumers.pooler_loop(get, POOL, FAILED) == ("enabled", "partially up", "not pooled")
    assert consumers.pooler_loop(get, POOL, OUT) == ("disabled", "up", "not pooled")


def test_lag_updater_finds_pooled_servers_by_fqdn() -> None:
    assert consumers.lag_updater(reader(production()), POOL) == {FINE}


def test_prometheus_reads_every_series_once() -> None:
    samples = consumers.prometheus(reader(production()))
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in samples]
    assert len(keys) == len(set(keys)) > 50


def test_bgp_alert_names_the_peers_that_are_down_while_bgp_is_on() -> None:
    view = production()
    assert consumers.bgp_alert(reader(view)) == ["2001:db8::2"]
    view.bgp_snapshot = bgp(("192.0.2.1", True))
    assert consumers.bgp_alert(reader(view)) == []
    assert consumers.bgp_alert(reader(FakeView())) == []


def test_backend_alert_names_the_monitor_that_is_down() -> None:
    assert consumers.backend_alert(reader(production())) == {(POOL, FAILED, "ProxyFetch")}


def test_restart_procedure_sees_exactly_one_point_zero_for_an_established_session() -> None:
    sessions = consumers.restart_procedure(reader(production()))
    assert sessions == {"192.0.2.1": "1.0", "2001:db8::2": "0.0"}
