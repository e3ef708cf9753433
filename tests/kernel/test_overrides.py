"""An operator's overrides on the real kernel, with connections that are open."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.test_daemon import PORT, answers, pool_status, table, wait_settled, write_config
from tests.kernel.test_ipvs_care import hold
from tests.running import RunningPybal, until
from tests.stage import VIP4, Stage

pytestmark = pytest.mark.usefixtures("greeters")


def ask_for(pybal: RunningPybal, verb: str, host: str, **more: Any) -> None:
    body = json.dumps({"host": host, **more}).encode()
    status, answer = pybal.ask_control(f"/api/v1/overrides/{verb}", "POST", body)
    assert status == 200, answer


def test_a_drained_server_keeps_its_connections_and_gets_no_new_ones_over_a_crash(
    stage: Stage, tmp_path: Path
) -> None:
    drained = str(stage.reals[0].ipv4)
    out = f"-a -t {VIP4}:{PORT} -r {drained}:{PORT} -g -w 0"
    with RunningPybal(stage.director.wrap, tmp_path, write_config(tmp_path, stage, VIP4)) as pybal:
        wait_settled(pybal, pool_status(stage, VIP4))

        def left() -> Any:
            shown = pybal.json(f"/api/v1/services/web/servers/{drained}")
            return shown["state"], shown["draining"] and shown["draining"]["connections"]

        with ExitStack() as stack:
            for _ in stage.reals:
                stack.enter_context(hold(stage.client, VIP4))
            ask_for(pybal, "begin", drained, action="drain", for_s=3600, reason="new kernel")
            until(lambda: out in table(stage))
            until(lambda: left() == ("enabled/up/draining", 1), timeout_s=15)
            assert answers(stage, VIP4) == {"real2", "real3"}
            until(lambda: drained in (tmp_path / "state/overrides.json").read_text())
            pybal.kill()
            pybal.start()
            wait_settled(pybal, pool_status(stage, VIP4))
            assert pybal.json("/api/v1/ipvs")["changes_total"] == 0
            until(lambda: left() == ("enabled/up/draining", 1), timeout_s=15)
            assert answers(stage, VIP4) == {"real2", "real3"}
            assert pybal.get("/alerts").startswith("OK - All pools are healthy")
        ask_for(pybal, "end", drained)
        until(lambda: out.replace("-w 0", "-w 1") in table(stage))
        assert answers(stage, VIP4) == {"real1", "real2", "real3"}
        ask_for(pybal, "begin", drained, action="disable", for_s=2, reason="a short time")
        until(lambda: drained not in table(stage))
        assert "disabled/up/not pooled" in pybal.get(f"/pools/web/{drained}")
        until(lambda: drained in table(stage), timeout_s=15)
