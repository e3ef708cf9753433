"""pybalctl, as a program, against a real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dry_run import CONFIG, here
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration


def run(module: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_every_command_works_from_status_to_a_reload(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.10'}\n")
    config = CONFIG.replace("{folder}", str(tmp_path))
    with RunningPybal(here, tmp_path, config, "-n") as pybal:
        until(lambda: "192.0.2.10" in pybal.ask_control("/pools/web_80")[1])

        def ctl(*words: str) -> tuple[int, str, str]:
            return run("pybal.ctl", f"--socket={pybal.control_path}", *words)

        for words, said in {
            "status": "web_80",
            "pool web_80": "192.0.2.10",
            "server 192.0.2.10": "web_80",
            "why 192.0.2.10": "192.0.2.10 is ",
            "why 192.0.2.10 web_80": "192.0.2.10 is ",
            "bgp": "BGP is off",
            "ipvs": "1 service",
            "ipvs diff": "as it should be",
            "overrides": "no overrides",
            "sources": "good",
            "alerts": "OK - ",
            "config": "[web_80]",
            "config diff": "Nothing would change",
            "reload": "Nothing has changed",
            "names hosts": "192.0.2.10",
        }.items():
            status, out, errors = ctl(*words.split())
            assert (status, errors, said in out) == (0, "", True), (words, out)
            if words != "alerts":
                assert json.loads(ctl(*words.split(), "--json")[1])
        assert ctl("confirm", "web_80")[0] == 1, "nothing is held"
        assert ctl("pool", "web")[2].endswith("Did you mean web_80?\n")
        assert ctl("check", "web_80", "192.0.2.10")[0] == 1, "it has no monitors"
        wish = ("drain", "192.0.2.10", "--for", "1h", "--reason", "a new disk")
        status, _, errors = ctl(*wish)
        assert (status, errors.count("\n"), "say --force" in errors) == (1, 1, True)
        assert ctl(*wish, "--force")[0] == 0
        assert "enabled/up/draining" in ctl("pool", "web_80")[1]
        assert "a new disk" in ctl("overrides")[1]
        assert ctl("undo", "192.0.2.10")[0] == 0
        assert "no overrides" in ctl("overrides")[1]
        assert "enabled/up/pooled" in ctl("pool", "web_80")[1]
        # 200 KiB of comments: real files are long, too.
        text = pybal.config_path.read_text().replace("wrr", "sh") + "# a comment\n" * 20_000
        pybal.config_path.write_text(text)
        status, out, _ = ctl("config", "diff")
        assert (status, "web_80" in out) == (2, True)
        assert run("pybal", "--diff", "-c", str(pybal.config_path)) == (2, out, "")
        assert ctl("reload") == (0, out, "")
        assert run("pybal", "--diff", "-c", str(pybal.config_path))[0] == 0
        pybal.config_path.write_text(text.replace("sh", "shh").replace("= 80", "= x"))
        status, _, errors = ctl("reload")
        assert status == 1
        assert [line for line in errors.splitlines() if "[web_80] port" in line]
        assert run("pybal", "--diff", "-c", str(pybal.config_path))[0] == 1
        pybal.stop()
        assert ctl("status")[0] == 3
