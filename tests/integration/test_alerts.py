"""`/alerts` of a real daemon: what is wrong is told, and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

GOOD = "{'host': '127.0.0.1'}\n{'host': '127.0.0.2'}\n"
WRONG = {
    "dead": (GOOD, "['IdleConnection']", "critical", "none of its servers is up"),
    "nameless": ("{'host': 'nosuch.invalid'}\n", "[]", "critical", "no address is known"),
    "off": ("{'host': '127.0.0.1', 'enabled': False}\n", "[]", "warning", "are disabled"),
    "light": ("{'host': '127.0.0.1', 'weight': 0}\n", "[]", "warning", "weights of all"),
    "gone": (None, "[]", "critical", "its list cannot be had"),
}
"""A service's list, its monitors, and what is to be said of it."""


def daemon(folder: Path, services: dict[str, tuple[str | None, str]]) -> RunningPybal:
    """A dry run of services by name, with their lists and monitors."""
    config = "\n[global]\nstate-directory = none\nisolation = no\n"
    for number, (name, (text, monitors)) in enumerate(services.items(), 1):
        config += (
            f"[{name}]\nprotocol = tcp\nip = 192.0.2.{number}\nport = 9\nscheduler = wrr\n"
            f"config = file://{folder}/{name}\ndepool-threshold = 0\nmonitors = {monitors}\n"
        )
        if text is not None:
            (folder / name).write_text(text)
    return RunningPybal(lambda *command: [*command], folder, config, "-n")


def alerts(pybal: RunningPybal, kind: str) -> dict[str, dict[str, str]]:
    """Those of a kind by the service concerned."""
    status, body = pybal.ask_control("/api/v1/alerts")
    assert status == 200
    found = json.loads(body)["alerts"]
    return {each["service"]: each for each in found if each["id"] == kind}


def test_nothing_is_said_of_a_daemon_in_which_nothing_is_wrong(tmp_path: Path) -> None:
    with daemon(tmp_path, {"web": (GOOD, "[]"), "dns": (GOOD, "[]")}) as pybal:
        said = set()
        until(lambda: pybal.ask_control("/pools")[0] == 200)
        ends_at = time.monotonic() + 20  # longer than what is passed over at a start
        while time.monotonic() < ends_at:
            said.add(pybal.ask_control("/alerts")[1])
            time.sleep(0.2)
        assert said == {"OK - All pools are healthy"}


def test_a_pool_that_serves_nobody_is_told_with_the_reason(tmp_path: Path) -> None:
    services = {name: (text, monitors) for name, (text, monitors, *_) in WRONG.items()}
    with daemon(tmp_path, {"web": (GOOD, "[]"), **services}) as pybal:

        def all_told() -> bool:
            found = alerts(pybal, "nobody-served")
            return all(
                name in found
                and found[name]["severity"] == severity
                and words in found[name]["text"]
                for name, (_, _, severity, words) in WRONG.items()
            )

        until(all_told)
        assert "web" not in alerts(pybal, "nobody-served")
        line = pybal.ask_control("/alerts")[1]
        assert line.startswith("CRITICAL - Pool ")
        metrics = pybal.ask_control("/metrics")[1]
        assert '\npybal_alert{id="nobody-served",severity="critical"} 3.0\n' in metrics
        for name in WRONG:
            (tmp_path / name).write_text(GOOD)
        # What listens on port 9 nobody knows: that service stays as it is.
        until(lambda: alerts(pybal, "nobody-served").keys() == {"dead"})


def test_a_damaged_line_is_told(tmp_path: Path) -> None:
    with daemon(tmp_path, {"web": (GOOD + "nonsense\n", "[]")}) as pybal:
        until(lambda: "web" in alerts(pybal, "list-damaged"))
        assert pybal.ask_control("/alerts")[1].startswith("WARNING - Pool web has a damaged list: ")
