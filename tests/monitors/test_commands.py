"""Why a command cannot be run, told from the file alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.main import EXIT_OK, main
from pybal.monitors.processes import fault_of_command
from tests.config.texts import service


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"#!/bin/sh\nexit 0\n", ""),
        (b"#! /bin/sh -e\n", ""),
        (b"#!/usr/bin/env python3\n", ""),
        (b"#!/nonexistent/python2\n", "its interpreter /nonexistent/python2 is missing"),
        (b"#!/nonexistent/python2 -u", "its interpreter /nonexistent/python2 is missing"),
        (
            b"#!/bin/sh\r\nexit 0\r\n",
            r"its lines end as on Windows: there is no interpreter /bin/sh\r",
        ),
        (b"#!/etc/passwd\n", "its interpreter /etc/passwd may not be executed"),
        (b"#!\n", "its first line names no interpreter after #!"),
        (b"exit 0\n", "it has no first line such as #!/bin/sh"),
        (b"", "it has no first line such as #!/bin/sh"),
        (b"\x7fELF...", ""),
        (b"#!/\xff\n", r"its interpreter /\udcff is missing"),
    ],
)
def test_the_first_line_of_a_script_is_looked_at(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    command = tmp_path / "check"
    command.write_bytes(content)
    command.chmod(0o755)
    assert fault_of_command(command) == fault


def test_what_is_not_there_or_no_program_is_said(tmp_path: Path) -> None:
    command = tmp_path / "check"
    assert fault_of_command(command) == "there is no such file"
    assert fault_of_command(Path("/bin/sh -c true")) == (
        "there is no such file; arguments stand in runcommand.arguments"
    )
    assert fault_of_command(tmp_path) == "it is no file"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o644)
    assert fault_of_command(command) == "it may not be executed (chmod +x)"


def test_the_check_of_a_configuration_notes_what_this_host_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "check"
    command.write_text("#!/nonexistent/sh\n")
    command.chmod(0o755)
    path = tmp_path / "pybal.conf"
    path.write_text(
        "[global]\n"
        + service("a", monitors="['RunCommand']", runcommand__command=str(command))
        + service(
            "b",
            port="443",
            monitors="['ProxyFetch']",
            proxyfetch__url="https://h/",
            proxyfetch__tls_verify="yes",
            proxyfetch__ca_file="/nonexistent/ca.pem",
        )
    )
    assert main(["--check-config", "-c", str(path)]) == EXIT_OK
    printed = capsys.readouterr().out
    assert f"NOTE: [a] runcommand.command = {command}: its interpreter /nonexistent/sh" in printed
    assert "NOTE: [b] proxyfetch.ca-file = /nonexistent/ca.pem: there is no such file" in printed
