"""The daemon, BIRD as the router in front of it, and real traffic by the routes it is told."""

from __future__ import annotations

import re
import signal
import subprocess
from functools import partial

import pytest

from tests.kernel.bgpsite import PEER_LABELS, PORT, VIPS, Site
from tests.kernel.test_ipvs_faults import without_module_loading
from tests.running import RunningPybal, until
from tests.stage import VIP4, VIP6, ask


def test_the_router_learns_a_vip_once_its_service_stands_and_forgets_it_before_the_end(
    site: Site,
) -> None:
    host = site.first
    pybal = site.director(host, without_pool="web6")
    site.wait_routed(host, VIP4)
    assert site.answers(VIP4) == {"real1", "real2"}
    assert site.router.has_session(host)
    # The session has stood for a while, and web6 is configured; but no pool was ever assigned.
    assert site.router.next_hop(VIP6) is None
    with pytest.raises(OSError, match=r"unreachable|timed out|No route"):
        ask(site.stage.client, VIP6, PORT, timeout_s=1)
    site.write_pool(host, "web6")
    site.wait_routed(host)
    assert site.answers(VIP6) == {"real1", "real2"}
    metrics = pybal.get("/metrics")
    assert f"pybal_bgp_session_established{{{PEER_LABELS}}} 1.0\n" in metrics
    assert f"pybal_bgp_prefixes_announced{{{PEER_LABELS}}} 2.0\n" in metrics
    (peer,) = pybal.json("/api/v1/bgp")["peers"]
    assert sorted(peer["prefixes"]) == [f"{VIP4}/32", f"{VIP6}/128"]

    change_all_that_no_router_needs_to_know(site, pybal)
    assert pybal.stop() == 0
    site.wait_routed(None)
    until(lambda: "PyBal is stopping" in site.router.log)
    # What BIRD clears up by itself once the session has ended would come later in its log.
    log, shutdown, _ = site.router.log.partition("Received: Administrative shutdown")
    assert shutdown
    for vip in VIPS.values():
        assert re.search(rf"{host.name}.*(withdrawn|removed) .*{vip}/", log), log
    assert "[bgp] INFO: Withdrawing 2 prefixes" in pybal.log


def test_services_that_the_kernel_does_not_take_back_are_withdrawn_until_it_does(
    site: Site,
) -> None:
    host = site.first
    pybal = site.director(host)
    site.wait_routed(host)

    def is_gone() -> bool:
        """PyBal puts them back within a second, as long as the module is there."""
        for vip in (f"{VIP4}:{PORT}", f"[{VIP6}]:{PORT}"):
            subprocess.run(host.wrap("ipvsadm", "-D", "-t", vip), check=False)
        return subprocess.run(["modprobe", "-r", "ip_vs_rr"], check=False).returncode == 0

    # A stranger's, for which ip_vs itself stays.
    host.run("ipvsadm", "-A", "-t", "198.51.100.9:25", "-s", "wlc")
    with without_module_loading():
        until(is_gone)
        site.wait_routed(None)
        assert "modprobe ip_vs_rr" in pybal.get("/alerts")
    site.wait_routed(host)
    assert site.answers(VIP4) == {"real1", "real2"}


def change_all_that_no_router_needs_to_know(site: Site, pybal: RunningPybal) -> None:
    host, greeter = site.first, site.greeters[0]
    # Two routes and two End-of-RIB: all has been said.
    until(lambda: updates(pybal) == 4)
    greeter.stop()
    greeter.host.run("ss", "-K", "sport", "=", f":{PORT}")
    until(lambda: pybal.get("/pools/web").count("/not pooled") == 1)
    site.write_pool(host, "web", weight=7)
    until(lambda: "-w 7" in host.run("ipvsadm", "-Sn"))
    greeter.start()
    until(lambda: pybal.get("/pools/web").count("/up/pooled") == 2)
    assert updates(pybal) == 4
    assert pybal.json("/api/v1/bgp")["peers"][0]["sessions_lost"] == 0
    assert site.seen(host, "BGP session established") == 1
    assert site.withdrawals(host) == 0


def test_the_director_with_the_lower_med_has_the_traffic_and_passes_it_on_when_it_stops(
    site: Site,
) -> None:
    first, second = site.stage.directors
    primary = site.director(first, med=0)
    site.director(second, med=100)
    until(lambda: [site.seen(host, "> added") for host in (first, second)] == [2, 2])
    site.wait_routed(first)
    with site.load.running():
        until(lambda: site.connections(first) > 20)
        assert site.connections(second) == 0
        primary.stop()
        site.wait_routed(second)
        taken_over = until(lambda: site.connections(second))
        moved = site.connections(first)
        until(lambda: site.connections(second) > taken_over)
        assert site.connections(first) == moved
        primary.start()
        site.wait_routed(first)
        until(lambda: site.connections(first) > moved)
    # Only a connection that was open in the moment of a change can be lost, and there are two.
    assert len(site.load.failures) <= 2, site.load.failures
    print(f"two changes: {len(site.load.failures)} of {site.load.answered} requests lost")


def test_without_graceful_restart_the_routes_go_with_the_session(site: Site) -> None:
    host = site.first
    pybal = site.director(host, options="handover = no")
    site.wait_routed(host)
    pybal.kill()
    site.wait_routed(None)
    pybal.start()
    site.wait_routed(host)
    assert site.answers(VIP4) == {"real1", "real2"}
    assert pybal.stop(signal.SIGUSR2) == 0
    site.wait_routed(None)
    assert "Exiting, for a restart..." in pybal.log


def _has_gone_on(pybal: RunningPybal, times: int) -> bool:
    return pybal.log.count("goes on from the process before us") == times


def test_without_a_manager_usr2_makes_the_process_the_next_one_and_no_router_notices(
    site: Site,
) -> None:
    host = site.first
    pybal = site.director(host)
    site.wait_routed(host)
    until(lambda: updates(pybal) == 4)
    since = pybal.json("/api/v1/bgp")["peers"][0]["since"]["epoch"]
    pid, good = pybal.pid, pybal.config_path.read_text()

    pybal.config_path.write_text(good.replace("scheduler = rr", "scheduler = rrr"))
    pybal.send_signal(signal.SIGUSR2)
    pybal.wait_said("No restart, as the next one could not start")
    pybal.wait_said("scheduler = 'rrr'")
    pybal.config_path.write_text(good)

    with site.load.running():
        for times in (1, 2):
            pybal.send_signal(signal.SIGUSR2)
            until(partial(_has_gone_on, pybal, times))
            until(lambda: pybal.get("/pools/web").count("/up/pooled") == 2)
    assert site.load.failures == []
    (peer,) = pybal.json("/api/v1/bgp")["peers"]
    assert (pybal.pid, updates(pybal)) == (pid, 0)
    assert abs(peer["since"]["epoch"] - since) < 0.1
    assert site.seen(host, "BGP session established") == 1
    assert site.withdrawals(host) == 0
    assert pybal.stop() == 0
    site.wait_routed(None)


def test_with_graceful_restart_the_routes_survive_us_and_no_request_is_lost(site: Site) -> None:
    """Of a crash; test_systemd.py has the planned restart."""
    host = site.first
    careful = "bgp-withdraw-on-down = yes"
    pybal = site.director(host, options="bgp-graceful-restart = yes", web=careful)
    site.wait_routed(host)
    with site.load.running():
        until(lambda: site.connections(host) > 20)
        pybal.kill()
        until(lambda: not site.router.has_session(host))
        during = site.connections(host)
        assert site.router.next_hop(VIP4) == str(host.ipv4)
        until(lambda: site.connections(host) > during + 20)
        pybal.start()
        until(lambda: site.router.has_session(host))
        # With End-of-RIB the router forgets what was not said again.
        until(lambda: len(pybal.json("/api/v1/bgp")["peers"][0]["prefixes"]) == 2)
        until(lambda: "stale" not in site.router.ask("show route all"))
    assert site.load.failures == []
    assert site.withdrawals(host) == 0
    assert site.router.next_hop(VIP4) == str(host.ipv4)
    assert pybal.stop() == 0
    site.wait_routed(None)


def updates(pybal: RunningPybal) -> int:
    """How many UPDATEs the router was sent."""
    return int(pybal.json("/api/v1/bgp")["peers"][0]["messages"]["sent"].get("update", 0))


def test_a_service_that_wants_it_is_withdrawn_while_its_servers_are_down(site: Site) -> None:
    host = site.first
    pybal = site.director(host, web="bgp-withdraw-on-down = .6")
    site.wait_routed(host)
    first, second = site.greeters
    for greeter in (first, second):
        greeter.stop()
        greeter.host.run("ss", "-K", "sport", "=", f":{PORT}")
        # One of two is less than .6 already; web6 says nothing, and so stays.
        site.wait_routed(None, VIP4)
        assert site.router.next_hop(VIP6) == str(host.ipv6)
    assert pybal.get("/pools/web").count("/pooled") == 1
    pybal.wait_said("1 of 2 enabled servers are up: no longer announced")
    first.start()
    until(lambda: "/up/pooled" in pybal.get("/pools/web"))
    assert site.router.next_hop(VIP4) is None
    second.start()
    site.wait_routed(host, VIP4)
    assert pybal.json("/api/v1/bgp")["peers"][0]["sessions_lost"] == 0


def test_a_service_whose_servers_are_all_down_at_the_start_is_never_announced(site: Site) -> None:
    host = site.first
    for greeter in site.greeters:
        greeter.stop()
    pybal = site.director(host, web="bgp-withdraw-on-down = yes")
    site.wait_routed(host, VIP6)
    until(lambda: pybal.get("/pools/web").count("/down/") == 2)
    assert site.router.next_hop(VIP4) is None
    assert site.seen(host, f"added {VIP4}") == 0
