"""What --check-config says of files that the package's unit hides from the daemon."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pybal.config.unit_notes import unit_notes
from tests.config.texts import parse, service

UNIT = (Path(__file__).parents[2] / "debian/pybal.service").read_text("utf-8")


def notes(of_all: str = "", **of_service: str) -> list[str]:
    settings = parse(f"[global]\n{of_all}\n{service(**of_service)}").settings
    assert settings is not None
    return unit_notes(settings)


def test_the_usual_places_are_seen() -> None:
    assert notes() == []


@pytest.mark.parametrize("folder", ["/home/me", "/root", "/tmp", "/var/tmp", "/run/user/0"])
def test_what_is_hidden_is_named(folder: str) -> None:
    (pool,) = notes(config=f"file://{folder}/pool")
    assert pool.startswith(f"[svc] config: {folder}/pool: the package's unit has a ")
    (command,) = notes(monitors="['RunCommand']", runcommand__command=f"{folder}/check")
    assert command.startswith(f"[svc] RunCommand: {folder}/check: ")
    (state,) = notes(f"state-directory = {folder}/state")
    assert state.startswith(f"state-directory: {folder}/state: ")
    assert notes(config=f"file:///srv{folder}/pool") == []


def test_what_may_not_be_written_is_said_with_the_remedy() -> None:
    (state,) = notes("state-directory = /srv/pybal")
    assert "ReadWritePaths=/srv/pybal " in state
    (control,) = notes("control-socket = /srv/pybal/control.sock")
    assert "ReadWritePaths=/srv/pybal " in control
    assert notes("state-directory = /var/lib/pybal/a\ncontrol-socket = /run/pybal/b") == []
    assert notes("state-directory = /srv/pybal\ndryrun = yes") == []


def test_without_a_control_socket_it_is_said_that_the_units_reload_fails() -> None:
    (note,) = notes("control-socket = no")
    assert note.startswith("control-socket: without it systemctl reload fails")
    assert "-s HUP pybal" in note
    assert notes("dryrun = yes") == []


@pytest.mark.parametrize(
    "line",
    [
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "ProtectSystem=strict",
        "StateDirectory=pybal",
        "ExecReload=/usr/bin/pybalctl reload",
    ],
)
def test_the_unit_is_as_it_is_here(line: str) -> None:
    assert re.search(f"^{re.escape(line)}$", UNIT, re.M)
