"""What counts where pybal.conf says nothing, and what of the settings is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from pybal.config.settings import (
    BGPPeerOptions,
    ControlSettings,
    IsolationSettings,
    KubernetesSource,
    ListGuardSettings,
    MonitorSettings,
    User,
)
from tests.config.texts import GLOBAL_BGP, KINDS, only_service, service, settings


def test_a_monitor_checks_every_ten_seconds_and_one_result_is_enough() -> None:
    found = MonitorSettings()
    assert (found.interval_s, found.timeout_s) == (10.0, 5.0)
    assert (found.rise, found.fall) == (1, 1)
    assert (found.port, found.source_address) == (None, None)


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("checks_by_tcp", {"IdleConnection", "ProxyFetch", "TCPCheck"}),
        ("has_beat", {"ProxyFetch", "DNSQuery", "UDP", "RunCommand", "Ping", "TCPCheck"}),
        ("runs_commands", {"RunCommand"}),
    ],
)
def test_what_tells_monitors_apart(what: str, names: set[str]) -> None:
    found = {name for name, kind in KINDS.by_name.items() if getattr(kind.settings, what)}
    assert found == names


def test_a_service_of_which_nothing_else_is_said() -> None:
    found = only_service(service())
    assert (found.bgp.aggregate_only, found.flap_damping) == (False, True)
    assert found.list_guard == ListGuardSettings(None, 900.0, None)
    assert (found.drain_timeout_s, found.bgp.withdraw_below) == (None, None)
    assert found.bgp.communities is None


def test_a_peer_of_which_nothing_else_is_said() -> None:
    found = settings(GLOBAL_BGP + service()).bgp
    assert found is not None
    (peer,) = found.peers
    assert peer.options == BGPPeerOptions() == BGPPeerOptions(
        hold_time_s=180, connect_retry_s=10.0, graceful_restart=False, graceful_restart_time_s=120,
        bfd=False, bfd_interval_ms=300, bfd_multiplier=3, bfd_multihop=False, port=179,
        passive=False, connect_only=False, families=(4, 6), prepend=0, long_lived_stale_s=0,
        role_strict=False, limit=100, imports="no",
    )  # fmt: skip
    assert (found.local_pref, found.shutdown_delay_s, found.med) == (100, 0.0, 0)
    assert (found.maintenance_prepend, found.maintenance_withdraw_s) == (0, 30.0)


def test_a_file_of_which_nothing_else_is_said() -> None:
    found = settings("[global]\n" + service())
    assert found.isolation == IsolationSettings(Fraction(95, 100), 20.0, 120.0)
    assert (found.runcommand_concurrency, found.runcommand_user) == (20, None)
    assert (found.strict, found.dry_run, found.dry_run_bgp) == (False, False, False)
    assert (found.handover, found.flap_damping, found.log_level) == (True, True, "info")
    assert found.control is not None and not found.control.asked_for
    assert ControlSettings(Path("/run/x")).asked_for and ControlSettings(Path("/x")).group is None


def test_no_secret_is_shown() -> None:
    assert repr(KubernetesSource("h", 443, "hunter2")) == "KubernetesSource(host='h', port=443)"
    assert "hunter2" not in repr(BGPPeerOptions(password="hunter2", bfd_password="hunter2"))
    assert str(User("nobody", 1, 2)) == "nobody"
