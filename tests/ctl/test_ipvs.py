"""What `pybalctl ipvs` prints."""

from __future__ import annotations

from pathlib import Path

from pybal.ipvs.snapshot import AuditSnapshot, DrainSnapshot, DriftSnapshot, MissingSnapshot
from tests.ctl.served import ServedSite
from tests.fakes.view import NOON, FakeView, ipvs


def test_ipvs_shows_drift_draining_and_what_is_not_ours(tmp_path: Path) -> None:
    snapshot = ipvs()._replace(
        in_sync=False,
        audit=AuditSnapshot(
            drift=(DriftSnapshot("tcp 192.0.2.1:80", NOON, ("weight 1, not 10",), True),)
        ),
        unmanaged=("tcp 192.0.2.7:80",),
        draining=(DrainSnapshot("text_443", "cp1", 150.0, 12),),
    )
    with ServedSite(tmp_path / "s", FakeView(ipvs_snapshot=snapshot)) as site:
        out = site.ctl("ipvs")[1]
        status, diff, _ = site.ctl("ipvs", "diff")
    assert "1 service, 2 destinations: not yet as it should be" in out
    assert "changed by others (repaired): tcp 192.0.2.1:80: weight 1, not 10" in out
    assert "not configured, left alone: tcp 192.0.2.7:80" in out
    assert "draining: cp1 of text_443: 12 connections, 2 min left" in out
    assert status == 2
    assert "changed by others (repaired): tcp 192.0.2.1:80: weight 1, not 10" in diff
    assert "the table is not yet as it should be" in diff
    assert "draining" not in diff


def test_a_difference_of_the_kernels_table_is_an_exit_status(tmp_path: Path) -> None:
    view = FakeView(ipvs_snapshot=ipvs())
    with ServedSite(tmp_path / "s", view) as site:
        status, out, _ = site.ctl("ipvs", "diff")
        assert (status, "as it should be" in out) == (0, True)
        missing = MissingSnapshot("tcp 192.0.2.1:80", ("192.0.2.9:80",), 2)
        view.ipvs_snapshot = ipvs()._replace(missing=(missing,))
        status, out, _ = site.ctl("ipvs", "diff")
        assert status == 2
        assert "not taken by the kernel: 192.0.2.9:80 of tcp 192.0.2.1:80" in out
        otherwise = MissingSnapshot("tcp 192.0.2.1:80", otherwise=True)
        view.ipvs_snapshot = ipvs()._replace(missing=(otherwise,))
        _, out, _ = site.ctl("ipvs", "diff")
        assert "not taken by the kernel: a change of tcp 192.0.2.1:80" in out
