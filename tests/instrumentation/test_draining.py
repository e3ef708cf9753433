"""Draining servers, as the rich views show them."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

from pybal.instrumentation.api import document, reads_kernel
from pybal.ipvs.snapshot import (
    DestinationStatistics,
    DrainSnapshot,
    IPVSSnapshot,
    ServiceStatistics,
    Traffic,
)
from pybal.model import ServerSnapshot
from tests.fakes.view import FakeView, ipvs, server, service
from tests.instrumentation.whole_json import json_bytes

KEY = "tcp 198.51.100.1:443"


def at(host: str, address: str, **values: Any) -> ServerSnapshot:
    return server(host)._replace(address=ip_address(address), **values)


def counted(address: str, active: int, inactive: int) -> DestinationStatistics:
    where = ip_address(address)
    return DestinationStatistics(f"[{address}]:443", where, active, inactive, 0, Traffic())


def kernel(*found: DestinationStatistics, draining: tuple[DrainSnapshot, ...] = ()) -> IPVSSnapshot:
    statistics = (ServiceStatistics(KEY, Traffic(), found),)
    return ipvs()._replace(names=((KEY, "web"),), statistics=statistics, draining=draining)


def shown(view: FakeView, host: str) -> tuple[str, str, Any]:
    found = json.loads(json_bytes(document(view, lambda: (), ("services", "web", "servers", host))))
    return found["status"], found["state"], found["draining"]


def test_weight_0_is_draining_with_the_connections_that_the_kernel_counts() -> None:
    view = FakeView([service("web", [at("a", "2001:db8::1", weight=0), at("b", "2001:db8::2")])])
    view.ipvs_snapshot = kernel(counted("2001:db8::1", 3, 4), counted("2001:db8::2", 9, 9))
    left = {"connections": 7, "seconds_left": None}
    assert shown(view, "a") == ("enabled/up/pooled", "enabled/up/draining", left)
    assert shown(view, "b") == ("enabled/up/pooled", "enabled/up/pooled", None)


def test_who_has_left_the_pool_drains_for_as_long_as_it_may() -> None:
    gone = at("a", "2001:db8::1", enabled=False, pooled=False)
    view = FakeView([service("web", [gone])])
    drain = DrainSnapshot(KEY, "[2001:db8::1]:443", 30.5, 2)
    other = drain._replace(service="tcp 198.51.100.2:443", connections=99)
    view.ipvs_snapshot = kernel(draining=(drain, other))
    left = {"connections": 2, "seconds_left": 30.5}
    assert shown(view, "a") == ("disabled/up/not pooled", "disabled/up/draining", left)


def test_who_is_pooled_again_or_has_nothing_left_does_not_drain() -> None:
    drain = DrainSnapshot(KEY, "[2001:db8::1]:443", 30.5, 2)
    view = FakeView(
        [service("web", [at("a", "2001:db8::1"), at("b", "2001:db8::2", pooled=False)])]
    )
    view.ipvs_snapshot = kernel(draining=(drain,))
    assert shown(view, "a")[2] is None
    assert shown(view, "b")[2] is None


def test_what_is_not_counted_is_not_known() -> None:
    view = FakeView([service("web", [at("a", "192.0.2.1", weight=0)])])
    view.ipvs_snapshot = ipvs()._replace(statistics=None)
    assert shown(view, "a")[2] == {"connections": None, "seconds_left": None}


def test_the_kernel_is_asked_only_where_a_server_has_weight_0() -> None:
    view = FakeView(
        [service("web", [at("a", "192.0.2.1", weight=0)]), service("dns", [server("b")])]
    )
    assert reads_kernel(view, ("services", "web"))
    assert reads_kernel(view, ("services", "web", "servers", "a"))
    assert not reads_kernel(view, ("services", "dns"))
    assert not reads_kernel(view, ("services", "nosuch"))
    assert not reads_kernel(view, ("services",))
    assert reads_kernel(view, ("ipvs",))
