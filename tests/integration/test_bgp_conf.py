"""The daemon itself, with its BGP from pybal.conf, and BIRD. Dry, as no IPVS is needed for it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bgp.pair import HOST, HOST6, VIP, VIP6, Pair, wait_routes
from tests.bgp.rig import OUR_IPV4, OUR_IPV6, ROUTER_IPV4, eventually
from tests.bgp.routers import Bird, Terms
from tests.running import RunningPybal

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

PASSWORD = "s3cret"
CONFIG = f"""
[global]
dryrun = yes
dry-run-bgp = yes
state-directory = none
instrumentation = yes
instrumentation_ips = ["127.0.0.1"]
bgp = yes
bgp-local-asn = 64512
bgp-peer-address = ["{ROUTER_IPV4}", "10.77.0.9"]
bgp-nexthop-ipv4 = {OUR_IPV4}
bgp-nexthop-ipv6 = {OUR_IPV6}
bgp-local-ips = ["{OUR_IPV4}"]
bgp-communities = 64600:7
bgp-connect-retry = 1
bgp-hold-time = 9
bgp-shutdown-delay = 2
bgp-password = of nobody
  [[peer {ROUTER_IPV4}]]
  bgp-peer-asn = 64600
  bgp-password-file = {{password}}
  bgp-ttl-security = yes
  bgp-bfd = yes
  bgp-bfd-interval = 100
  bgp-graceful-restart = yes
  [[peer 10.77.0.9]]
  bgp-password =
"""
SERVICE = """
[web{version}]
protocol = tcp
ip = {vip}
port = 80
scheduler = rr
config = file://{pool}
"""


@pytest.fixture
def pybal(pair: Pair, tmp_path: Path) -> Iterator[RunningPybal]:
    password, pool = tmp_path / "password", tmp_path / "pool"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    config = CONFIG.format(password=password)
    for version, (vip, server) in {4: (VIP, "192.0.2.80"), 6: (VIP6, "2001:db8::80")}.items():
        own = pool.with_suffix(f".{version}")
        own.write_text(f"{{'host': '{server}', 'weight': 1}}\n")
        config += SERVICE.format(version=version, vip=vip, pool=own)

    with RunningPybal(pair.wire.in_ours, tmp_path, config) as running:
        yield running


@pytest.fixture
def bird(pair: Pair, pybal: RunningPybal) -> Bird:
    """With all that the configuration speaks of, or there is no session."""
    terms = Terms(password=PASSWORD, ttl_security=True, graceful_restart=True)
    bfd = 'protocol bfd { interface "v0" { interval 100 ms; multiplier 3; }; }'
    router = pair.bird(terms, globals=bfd, extra="bfd on;")
    try:
        wait_routes(router, HOST, HOST6)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pybal.log}") from error
    return router


def test_all_that_is_configured_for_a_peer_is_spoken(pybal: RunningPybal, bird: Bird) -> None:
    assert "BGP.community: (64600,7)" in bird.routes()[HOST]
    assert re.search(r"Hold timer: .*/9\n", bird.cli("show protocols all pybal"))
    eventually("BFD is up", lambda: " Up " in bird.cli("show bfd sessions"))
    (peer, other) = pybal.json("/api/v1/bgp")["peers"]
    assert (peer["bfd"], peer["asn"], other["established"]) == ("UP", 64600, False)
    pybal.send_signal(signal.SIGSTOP)
    wait_routes(bird, limit_s=5)  # long before the hold time is over
    pybal.send_signal(signal.SIGCONT)
    wait_routes(bird, HOST, HOST6)


def test_a_stop_warns_the_router_for_the_configured_time(pybal: RunningPybal, bird: Bird) -> None:
    # RFC 8326.
    pybal.send_signal(signal.SIGTERM)
    eventually("the community", lambda: "(65535,0)" in bird.routes().get(HOST, ""), 2)
    wait_routes(bird, limit_s=5)
    eventually("and why", lambda: "PyBal is stopping" in bird.log)
