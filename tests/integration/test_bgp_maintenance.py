"""An operator moves traffic away over the control socket, and back; BIRD sees it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.bgp.pair import HOST, HOST6, Pair, wait_routes
from tests.bgp.rig import eventually
from tests.integration.test_bgp_examples import daemon, example

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def test_maintenance_over_the_control_socket(pair: Pair, tmp_path: Path) -> None:
    bird = pair.bird(text=example("plain.bird.conf"))
    keys = "bgp-maintenance-med = 900\nbgp-maintenance-withdraw = 3\n"
    with daemon(pair, tmp_path, "plain", more=keys) as pybal:
        wait_routes(bird, HOST, HOST6, limit_s=60)

        def ask(what: str, service: str | None) -> None:
            body = json.dumps({} if service is None else {"service": service}).encode()
            status, text = pybal.ask_control(f"/api/v1/bgp/maintenance/{what}", "POST", body)
            assert status == 200, text

        ask("begin", "web4")
        eventually("the last choice", lambda: "(65535,0)" in bird.routes().get(HOST, ""), 2)
        assert "BGP.med: 900" in bird.routes()[HOST]
        assert "BGP.local_pref: 0" in bird.routes()[HOST], "the example's filter heeds it"
        assert "(65535,0)" not in bird.routes()[HOST6]
        wait_routes(bird, HOST6, limit_s=5)
        [shown] = pybal.json("/api/v1/bgp")["maintenance"]
        assert (shown["service"], shown["state"]) == ("web4", "withdrawn")
        assert "Pool web4 is in maintenance" in pybal.get("/alerts")
        ask("end", "web4")
        wait_routes(bird, HOST, HOST6)
        ask("begin", None)
        wait_routes(bird, limit_s=6)
        assert pybal.json("/api/v1/bgp")["peers"][0]["sessions_lost"] == 0
