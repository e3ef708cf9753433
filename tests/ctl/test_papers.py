"""The manual page and the completion say what the program takes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybal.ctl.main import main
from pybal.history.event import Kind
from tests.ctl.served import ServedSite
from tests.fakes.view import FakeView, bgp, server, service

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "debian/pybalctl.1").read_text("utf-8").replace("\\-", "-")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServedSite]:
    services = [service("text_443", [server("cp1"), server("cp$(id)")]), service("a_80")]
    view = FakeView(services, bgp_snapshot=bgp(("192.0.2.1", True)))
    with ServedSite(tmp_path / "s", view) as served:
        yield served


def usage(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    return capsys.readouterr().out


def commands(capsys: pytest.CaptureFixture[str]) -> set[str]:
    listed = usage(capsys).split("COMMAND\n", 1)[1].split("options:")[0]
    return set(re.findall(r"^    (\w+)", listed, re.MULTILINE))


def test_the_manual_has_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    known = commands(capsys)
    assert len(known) >= 14
    assert (
        known
        == set(re.findall(r'^\.BI? "?(\w+)', MANUAL, re.M)) & known
        | set(re.findall(r"^\.BR? \"?(\w+)", MANUAL, re.M)) & known
    )
    words = ((), ("config",), ("events",), ("why",))
    options = set(re.findall(r"--?[a-z][a-z-]*", " ".join(usage(capsys, *each) for each in words)))
    assert options <= set(re.findall(r"--?[a-z][a-z-]*", MANUAL))


def completed(site: ServedSite, *words: str) -> set[str]:
    script = f"""
    pybalctl() {{ "{sys.executable}" -m pybal.ctl "$@"; }}
    . debian/bash-completion/pybalctl
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    compopt() {{ true; }}
    _pybalctl pybalctl
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    line = ["pybalctl", "--socket", str(site.path), *words]
    done = subprocess.run(
        ["bash", "-euc", script, "bash", *line],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_commands_are_completed(site: ServedSite, capsys: pytest.CaptureFixture[str]) -> None:
    assert completed(site, "") == commands(capsys)
    assert completed(site, "m") == {"maintenance"}
    assert "--json" in completed(site, "pool", "--")
    assert completed(site, "config", "-c", "etc/pybal") == {"etc/pybal.conf"}


@pytest.mark.slow
def test_names_are_completed_by_asking_the_daemon(site: ServedSite) -> None:
    assert completed(site, "pool", "t") == {"text_443"}
    assert completed(site, "maintenance", "begin", "") == {"text_443", "a_80"}
    assert completed(site, "why", "cp1", "") == {"text_443", "a_80"}
    assert completed(site, "check", "t") == {"text_443"}
    assert "cp1" in completed(site, "check", "text_443", "")
    assert completed(site, "bgp", "") == {"192.0.2.1"}
    assert completed(site, "bgp", "x") == completed(site, "ack", "") == set()  # no word: not ''
    assert completed(site, "events", "--service", "") == {"text_443", "a_80"}
    assert completed(site, "events", "--since", "1h", "--host", "cp1") == {"cp1"}
    assert completed(site, "events", "--since", "") == set()
    kinds = {each.value for each in Kind}
    assert completed(site, "events", "--kind", "") == kinds
    assert kinds <= set(re.findall(r"\w+", MANUAL))
    assert completed(site, "why", "--at", "03:12", "cp1", "") == {"text_443", "a_80"}
    assert completed(site, "server", "cp") == {"cp1", r"cp\$\(id\)"}


@pytest.mark.slow
def test_an_override_completes_its_host_and_then_services(site: ServedSite) -> None:
    assert "cp1" in completed(site, "drain", "")
    assert completed(site, "undo", "cp1", "") == {"text_443", "a_80"}
    assert completed(site, "drain", "cp1", "--for", "1h", "--reason", "x y", "t") == {"text_443"}
    assert "1h" in completed(site, "drain", "cp1", "--for", "")
    assert {"--for", "--reason", "--force", "--all"} <= completed(site, "disable", "cp1", "--")
