"""A service's page: what the kernel counts, what drains, how many are shown."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pybal.ipvs.snapshot import (
    DestinationStatistics,
    DrainSnapshot,
    IPVSSnapshot,
    ServiceStatistics,
    Traffic,
)
from pybal.page.service_page import SERVERS_SHOWN, InKernel, kernel_part
from tests.fakes.view import NOON, FakeView, ipvs, monitor, server, service
from tests.page.visitor import Visitor

KEY = "tcp 198.51.100.1:443"


def counted(*drains: DrainSnapshot) -> IPVSSnapshot:
    """A kernel that holds 192.0.2.10 and 192.0.2.11 of a_443."""
    addresses = {n: ip_address(f"192.0.2.{n}") for n in (10, 11)}
    destinations = tuple(
        DestinationStatistics(f"{address}:443", address, n, 2 * n, 0, Traffic())
        for n, address in addresses.items()
    )
    statistics = (
        ServiceStatistics(KEY, Traffic(), destinations),
        ServiceStatistics("tcp 198.51.100.9:443", Traffic(), destinations[:1]),
    )
    names = ((KEY, "a_443"), ("tcp 198.51.100.9:443", "b_443"))
    return ipvs()._replace(statistics=statistics, names=names, draining=drains)


def test_each_server_has_its_connections_of_this_service() -> None:
    part = kernel_part(counted(), "a_443", NOON)
    assert part.servers["192.0.2.11:443"] == InKernel(11, 22)
    assert part.ports["192.0.2.11"] == "192.0.2.11:443"
    assert kernel_part(counted(), "b_443", NOON).servers.keys() == {"192.0.2.10:443"}
    assert kernel_part(ipvs(), "a_443", NOON).servers == {}
    snapshots = FakeView([service("a_443", [server("cp1")])], ipvs_snapshot=counted())
    text = Visitor(snapshots).page("/status/a_443")
    assert "<b>10</b> + 20 ending" in text
    assert snapshots.refreshed == 1


@pytest.mark.parametrize(("seconds_left", "until"), [(60.0, 60), (62.4, 60), (62.6, 65)])
def test_when_a_drain_ends_is_told_to_five_seconds(seconds_left: float, until: int) -> None:
    # As it is counted down it would be another moment each second, and be sent anew.
    part = kernel_part(
        counted(DrainSnapshot(KEY, "192.0.2.10:443", seconds_left, 7)), "a_443", NOON
    )
    assert part.servers["192.0.2.10:443"] == InKernel(10, 20, True, 7, int(NOON) + until)


@pytest.mark.parametrize("address", ["192.0.2.10", "2001:db8::10"])
def test_a_server_that_drains_says_how_many_connections_are_left(address: str) -> None:
    where = f"[{address}]:443" if ":" in address else f"{address}:443"
    drains = counted(DrainSnapshot(KEY, where, 61.0, 1234))
    draining = server("cp1", up=False)._replace(address=ip_address(address))
    text = Visitor(FakeView([service("a_443", [draining])], ipvs_snapshot=drains)).page(
        "/status/a_443"
    )
    assert ">draining</span>" in text and "<b>1,234</b> left, until" in text
    assert "not in the list any more" not in text
    listed_no_more = FakeView([service("a_443", [])], ipvs_snapshot=drains)
    text = Visitor(listed_no_more).page("/status/a_443")
    assert where in text and "not in the list any more" in text
    assert "<b>1,234</b> left" in text


def test_a_drained_server_with_weight_0_is_draining() -> None:
    snapshots = FakeView([service("a_443", [server("cp1", weight=0)])], ipvs_snapshot=counted())
    text = Visitor(snapshots).page("/status/a_443")
    assert "draining, weight 0" in text and "<b>10</b> + 20 ending" in text


def test_the_counts_are_read_less_often_the_more_there_are() -> None:
    table = ipvs()._replace(destinations=2000)  # 10 s, and 10 ms for each
    snapshots = FakeView([service("a_443", [server("cp1")])], ipvs_snapshot=table)
    visitor = Visitor(snapshots)
    visitor.stream("?of=a_443")
    for _ in range(29):
        visitor.advance(1)
    assert snapshots.refreshed == 1
    for _ in range(3):
        visitor.advance(1)
    assert snapshots.refreshed == 2


def test_of_thousands_of_servers_the_worst_are_shown() -> None:
    many = [server(f"cp{n}") for n in range(SERVERS_SHOWN + 5)]
    many[-1] = server("last", up=False, monitors=(monitor(up=False, reason="refused"),))
    text = Visitor(FakeView([service("a_443", many)])).page("/status/a_443")
    assert text.count('<tr id="server-') == SERVERS_SHOWN + 1
    assert "last" in text and "and 5 more, none of them worse" in text
