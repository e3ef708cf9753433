"""The values that all rooms share: what counts where nothing is said, and a server's status."""

from __future__ import annotations

import pytest

from pybal.bgp.snapshot import BGPSnapshot, OwnAddress, PeerSnapshot
from pybal.model import (
    HealthSnapshot,
    MetricFamily,
    MonitorSnapshot,
    ServerSpec,
    SourceList,
    status_text,
)
from tests.fakes.view import service


def test_a_server_has_weight_10_and_is_enabled() -> None:
    assert ServerSpec("cp1") == ServerSpec("cp1", 10, True)
    assert not SourceList(()).from_disk


@pytest.mark.parametrize(
    ("enabled", "up", "partially_up", "pooled", "text"),
    [
        (True, True, True, True, "enabled/up/pooled"),
        (True, False, True, False, "enabled/partially up/not pooled"),
        (False, False, False, False, "disabled/down/not pooled"),
        (True, False, False, True, "enabled/down/pooled"),
    ],
)
def test_a_servers_status_is_the_contracts(
    enabled: bool, up: bool, partially_up: bool, pooled: bool, text: str
) -> None:
    shown = status_text(enabled=enabled, up=up, partially_up=partially_up, pooled=pooled)
    assert shown == text


def test_a_sample_has_a_value_for_each_of_its_labels() -> None:
    family = MetricFamily("m_total", "help", ("url",))
    assert family.sample(2.0, "http://h/").labels == (("url", "http://h/"),)
    with pytest.raises(ValueError, match="zip"):
        family.sample(2.0)


def test_what_has_not_happened_has_the_count_0() -> None:
    monitor = MonitorSnapshot("Ping", None, None, None)
    counts = (monitor.up_transitions, monitor.down_transitions, monitor.up_results)
    assert (*counts, monitor.down_results, monitor.in_a_row) == (0, 0, 0, 0, 0)
    assert (monitor.rise, monitor.fall) == (1, 1)
    peer = PeerSnapshot("192.0.2.1", "Idle", False)
    assert (peer.prefixes_told, peer.sessions_lost, peer.connections_refused) == (0, 0, 0)
    assert peer.not_kept == 0
    health = HealthSnapshot()
    assert (health.gaps, health.longest_stall_s, health.stalls_sum_s) == (0, 0.0, 0.0)
    assert (health.expedited_total, health.delayed_calls) == (0, 0)
    assert (health.isolation.total, health.isolation.reports_kept) == (0, 0)
    bgp = BGPSnapshot(False, None, ())
    assert (bgp.unknown_peers_total, bgp.imports, bgp.clock_s) == (0, False, 0.0)
    assert not OwnAddress("192.0.2.1", announced=True, preferred=None).shared
    pool = service("web")
    assert (pool.held_total, pool.hold_downs_total) == (0, 0)
    assert bgp == BGPSnapshot(False, None, (), clock_s=5.0), "that the clock goes on is no change"
