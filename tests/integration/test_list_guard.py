"""What pool lists may take away, with a real daemon: held, shown, confirmed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dry_run import CONFIG, here
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

HOSTS = [f"198.51.100.{number}" for number in range(10, 20)]


def write(folder: Path, hosts: list[str], disabled: list[str] | None = None) -> None:
    """A new list, by rename."""
    lines = [f"{{'host': '{h}', 'enabled': {h not in (disabled or [])}}}\n" for h in hosts]
    (folder / "pool.new").write_text("".join(lines))
    (folder / "pool.new").replace(folder / "pool")


def pooled(pybal: RunningPybal) -> set[str]:
    lines = pybal.ask_control("/pools/web_80")[1].splitlines()
    return {line.split(":")[0] for line in lines if line.endswith("/pooled")}


def held(pybal: RunningPybal) -> list[str]:
    changes = json.loads(pybal.ask_control("/api/v1/services/web_80")[1])["held"]
    return [host for change in changes for host in change["servers"]]


def test_a_list_that_takes_too_many_is_held_until_it_is_confirmed(tmp_path: Path) -> None:
    write(tmp_path, HOSTS)
    with RunningPybal(here, tmp_path, CONFIG.replace("{folder}", str(tmp_path)), "-n") as pybal:
        until(lambda: "New enabled server" in pybal.log and pooled(pybal) == set(HOSTS))
        write(tmp_path, HOSTS, disabled=HOSTS[:2])
        until(lambda: pooled(pybal) == set(HOSTS[2:]))
        write(tmp_path, HOSTS[6:])
        until(lambda: held(pybal) == HOSTS[2:6])
        assert pooled(pybal) == set(HOSTS[2:])
        alert = pybal.ask_control("/alerts")[1]
        assert alert.startswith(f"WARNING - Pool web_80 holds {', '.join(HOSTS[2:6])}, which its")
        pybal.wait_said("CRITICAL: HELD: the pool list takes away")
        assert (
            'pybal_service_held_servers{service="web_80"} 4.0' in (pybal.ask_control("/metrics")[1])
        )
        status, body = pybal.ask_control("/api/v1/services/web_80/confirm", "POST")
        assert (status, json.loads(body)["confirmed"]) == (200, HOSTS[2:6])
        assert pooled(pybal) == set(HOSTS[6:])
        assert pybal.ask_control("/alerts")[1].startswith("OK - ")
        pybal.wait_said("root confirmed the pool list of web_80: ")


def test_names_that_do_not_resolve_take_nobody_out(tmp_path: Path) -> None:
    write(tmp_path, HOSTS[:2])
    with RunningPybal(here, tmp_path, CONFIG.replace("{folder}", str(tmp_path)), "-n") as pybal:
        until(lambda: "New enabled server" in pybal.log and pooled(pybal) == set(HOSTS[:2]))
        write(tmp_path, ["one.invalid", "two.invalid"])
        until(lambda: held(pybal) == HOSTS[:2])
        assert pooled(pybal) == set(HOSTS[:2])
        write(tmp_path, [HOSTS[5], "two.invalid"])
        until(lambda: pooled(pybal) == {HOSTS[5]})
