"""An operator moves traffic away over the control socket, and back; BIRD sees it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.bgp.pair import HOST, HOST6, Pair, wait_routes
from tests.bgp.rig import eventually
from tests.integration.test_bgp_examples import daemon, example, router

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


# How the routers of the examples show that their filters heed the community, or that it is there.
LAST_CHOICE = {
    "plain.bird.conf": r"local_pref: 0\b",
    "plain.frr.conf": r'"locPrf": ?0\b',
    "plain.gobgp.toml": r'"type": 5, "value": 1\b',
    "plain.openbgpd.conf": r'"localpref": 0\b',
    "plain.exabgp.conf": r"\[65535, 0\]",
}


@pytest.mark.parametrize("file", LAST_CHOICE)
def test_the_filters_of_the_examples_heed_it(pair: Pair, tmp_path: Path, file: str) -> None:
    there = router(pair, file)
    with daemon(pair, tmp_path, "plain", more="bgp-maintenance-withdraw = no\n") as pybal:
        before = wait_routes(there, HOST, HOST6, limit_s=60)
        assert not re.search(LAST_CHOICE[file], before[HOST])
        pybal.ask_control("/api/v1/bgp/maintenance/begin", "POST", b"{}")

        def shown() -> bool:
            return bool(re.search(LAST_CHOICE[file], there.routes().get(HOST, "")))

        eventually("it is the last choice", shown, 10)
        pybal.ask_control("/api/v1/bgp/maintenance/end", "POST", b"{}")
        eventually("it is as before", lambda: not shown() and HOST in there.routes(), 10)


def test_maintenance_over_the_control_socket(pair: Pair, tmp_path: Path) -> None:
    bird = pair.bird(text=example("plain.bird.conf"))
    keys = "bgp-maintenance-med = 900\nbgp-maintenance-withdraw = 5\n"
    with daemon(pair, tmp_path, "plain", more=keys) as pybal:
        wait_routes(bird, HOST, HOST6, limit_s=60)

        def ask(what: str, service: str | None) -> None:
            body = json.dumps({} if service is None else {"service": service}).encode()
            status, text = pybal.ask_control(f"/api/v1/bgp/maintenance/{what}", "POST", body)
            assert status == 200, text

        ask("begin", "web4")
        eventually("the last choice", lambda: "(65535,0)" in bird.routes().get(HOST, ""), 5)
        assert "BGP.med: 900" in bird.routes()[HOST]
        assert "BGP.local_pref: 0" in bird.routes()[HOST], "the example's filter heeds it"
        assert "(65535,0)" not in bird.routes()[HOST6]
        wait_routes(bird, HOST6, limit_s=15)
        [shown] = pybal.json("/api/v1/bgp")["maintenance"]
        assert (shown["service"], shown["state"]) == ("web4", "withdrawn")
        assert "Pool web4 is in maintenance" in pybal.get("/alerts")
        ask("end", "web4")
        wait_routes(bird, HOST, HOST6)
        ask("begin", None)
        wait_routes(bird, limit_s=15)
        assert pybal.json("/api/v1/bgp")["peers"][0]["sessions_lost"] == 0
