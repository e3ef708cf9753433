"""The command line: a person's mistakes get a sentence and an exit status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
[global]

[svc_80]
protocol = tcp
ip = 192.0.2.1
port = 80
scheduler = wrr
config = file:///etc/pybal/svc
monitors = [ "IdleConnection" ]
"""


def pybal(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pybal", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_check_config_tells_what_would_run(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD)
    done = pybal("--check-config", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "svc_80" in done.stdout
    assert "192.0.2.1" in done.stdout


def test_check_config_names_file_line_section_and_key(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD.replace("port = 80", "port = http"))
    done = pybal("--check-config", "-c", str(path))
    assert done.returncode == 1
    assert f"{path}:7: [svc_80] port" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_wrong_configuration_is_not_started_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD.replace("scheduler = wrr", "scheduler = best"))
    done = pybal("-n", "-c", str(path))
    assert done.returncode == 1
    assert f"[pybal] ERROR: {path}:8: [svc_80] scheduler" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["missing", "directory", "binary", "truncated", "unreadable"])
def test_a_file_that_cannot_be_used_gets_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pybal.conf"
    match kind:
        case "directory":
            path.mkdir()
        case "binary":
            path.write_bytes(os.urandom(4096))
        case "truncated":
            path.write_text(GOOD[: GOOD.index("config")] + "confi")
        case "unreadable":
            # Root may read anything: a path below a regular file is unreadable to all.
            (tmp_path / "file").write_text("")
            path = tmp_path / "file" / "pybal.conf"
    for arguments in (["--check-config"], ["-n"]):
        done = pybal(*arguments, "-c", str(path))
        output = done.stdout + done.stderr
        assert done.returncode == 1, output
        assert str(path) in output
        assert "Traceback" not in output


def test_a_wrong_command_line_exits_with_2() -> None:
    done = pybal("--no-such-option")
    assert done.returncode == 2
    assert "usage: pybal" in done.stderr
