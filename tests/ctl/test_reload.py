"""What `pybalctl reload` prints: the steps or the errors, and what is wrong then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from tests.ctl.served import ServedSite
from tests.fakes.view import CONFIG, NOON, FakeView, server, service


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServedSite]:
    with ServedSite(tmp_path / "s", FakeView([service("text_443", [server("cp1")])])) as served:
        yield served


def test_reload_shows_the_steps_or_each_error(site: ServedSite) -> None:
    assert site.ctl("reload") == (0, "Nothing has changed\n", "")
    site.controls.steps = ["adds the service x"]
    assert site.ctl("reload") == (0, "adds the service x\n", "")
    site.controls.errors = ["pybal.conf:1: a", "pybal.conf:2: b"]
    last = ReloadSnapshot(NOON, ReloadOutcome.REFUSED, tuple(site.controls.errors), ())
    site.view.config_snapshot = CONFIG._replace(last_reload=last)
    status, out, errors = site.ctl("reload")
    assert (status, out) == (1, "")
    assert errors.splitlines() == [
        "pybalctl: pybal.conf:1: a",
        "pybalctl: pybal.conf:2: b",
        "pybalctl: Mend the file; nothing was changed",
    ]
    # Of another reload, which had others.
    site.controls.errors = ["PyBal is stopping"]
    assert site.ctl("reload")[2].splitlines()[0] == "pybalctl: PyBal is stopping"


def test_a_reload_and_a_difference_show_the_warnings_too(site: ServedSite, tmp_path: Path) -> None:
    site.controls.warnings = [f"{CONFIG.path}:3: [one] shceduler: unknown key"]
    assert site.ctl("reload") == (
        0, f"Nothing has changed\nWARNING: {CONFIG.path}:3: [one] shceduler: unknown key\n", "",
    )  # fmt: skip
    path = tmp_path / "new.conf"
    path.write_text("[global]\n")
    assert site.ctl("config", "diff", "-c", str(path)) == (
        0, f"Nothing would change\nWARNING: {path}:3: [one] shceduler: unknown key\n", "",
    )  # fmt: skip


def test_a_file_to_compare_comes_to_the_daemon_byte_by_byte(
    site: ServedSite, tmp_path: Path
) -> None:
    """It alone knows where those that are no UTF-8 do harm: not in comments."""
    path = tmp_path / "new.conf"
    content = "# Köln\n\U0001f4a1".encode() + bytes(range(256))
    path.write_bytes(content)
    assert site.ctl("config", "diff", "-c", str(path)) == (0, "Nothing would change\n", "")
    assert site.controls.asked == [("compare", content)]


def test_reload_shows_what_is_wrong_then(site: ServedSite) -> None:
    down = server("cp1", up=False, pooled=True)
    site.view.service_list = [service("text_443", [down, server("cp2")])]
    steps, wrong = site.ctl("reload")[1].splitlines()
    assert steps == "Nothing has changed"
    assert wrong == site.ctl("alerts")[1].splitlines()[0]
    assert wrong.startswith("CRITICAL - text_443: ")
