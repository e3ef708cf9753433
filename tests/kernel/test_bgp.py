"""The daemon, BIRD as the router in front of it, and real traffic by the routes it is told."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.birdrouter import DIRECTOR_ASN, BirdRouter
from tests.load import Load
from tests.running import RunningPybal, until
from tests.stage import VIP4, VIP6, Greeter, Host, IPAddress, Stage, ask

PORT = 80
VIPS: dict[str, IPAddress] = {"web": VIP4, "web6": VIP6}

CONFIG = """
[global]
instrumentation = yes
instrumentation_ips = ["127.0.0.1"]
state-directory = none
bgp = yes
bgp-local-asn = {asn}
bgp-peer-address = {router}
bgp-nexthop-ipv4 = {director.ipv4}
bgp-nexthop-ipv6 = {director.ipv6}
bgp-med = {med}
bgp-connect-retry = 1
{options}
"""
SERVICE = """
[{name}]
protocol = tcp
ip = {vip}
port = 80
scheduler = rr
config = file://{folder}/{name}
depool-threshold = .5
monitors = ["IdleConnection"]
idleconnection.max-delay = 1
{own}
"""
PEER_LABELS = 'local_asn="64600",peer="192.0.2.1"'


class Site:
    """A stage with BIRD and real servers that answer; directors are started by the tests."""

    def __init__(self, stack: ExitStack, folder: Path, directors: int) -> None:
        self._stack, self._folder = stack, folder
        self.stage = stack.enter_context(
            Stage("bgp", reals=2, directors=directors, router=True, told_routes=True)
        )
        self.router = stack.enter_context(BirdRouter(self.stage, folder))
        self.greeters = [Greeter(real, PORT) for real in self.stage.reals]
        for greeter in self.greeters:
            greeter.start()
            stack.callback(greeter.stop)
        self.load = Load(self.stage.client, VIP4, PORT)

    def director(
        self,
        host: Host,
        *,
        med: int = 0,
        options: str = "",
        without_pool: str = "",
        **own: str,
    ) -> RunningPybal:
        """A running pybal; `own` are further lines of a service, whose pool may be missing."""
        folder = self._folder / host.name
        folder.mkdir()
        assert self.stage.router is not None
        config = CONFIG.format(
            asn=DIRECTOR_ASN, router=self.stage.router.ipv4, director=host, med=med, options=options
        )
        for name, vip in VIPS.items():
            config += SERVICE.format(name=name, vip=vip, folder=folder, own=own.get(name, ""))
            if name != without_pool:
                self.write_pool(host, name)
        return self._stack.enter_context(RunningPybal(host.wrap, folder, config))

    def write_pool(self, host: Host, name: str, weight: int = 1) -> None:
        lines = [
            f"{{'host': '{real.address(VIPS[name])}', 'weight': {weight}}}\n"
            for real in self.stage.reals
        ]
        (self._folder / host.name / name).write_text("".join(lines))

    def wait_routed(self, host: Host | None, *vips: IPAddress) -> None:
        """Until the router sends packets for the VIPs to that director, or nowhere."""
        wanted = {
            vip: None if host is None else str(host.address(vip))
            for vip in vips or tuple(VIPS.values())
        }

        def is_so() -> bool:
            return all(self.router.next_hop(vip) == hop for vip, hop in wanted.items())

        try:
            until(is_so, 30.0)
        except AssertionError as error:
            raise AssertionError(f"{wanted}: {error}; BIRD:\n{self.router.log}") from error

    def answers(self, vip: IPAddress) -> set[str]:
        return {ask(self.stage.client, vip, PORT) for _ in range(4)}

    def seen(self, director: Host, what: str) -> int:
        """How often BIRD has logged something of a session: a route, a change of its state."""
        pattern = rf"^.*{director.name}[.:].*{what}.*$"
        return len(re.findall(pattern, self.router.log, re.MULTILINE))

    def withdrawals(self, director: Host) -> int:
        return self.seen(director, "(withdrawn|removed) ")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path, directors=1)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path, directors=2)


def connections(host: Host) -> int:
    """The connections that a director's kernel has seen for VIP4."""
    lines = host.run("ipvsadm", "-Ln", "--stats", "--exact").splitlines()
    return sum(int(line.split()[2]) for line in lines if line.startswith(f"TCP  {VIP4}:{PORT}"))


def test_the_router_learns_a_vip_once_its_service_stands_and_forgets_it_before_the_end(
    site: Site,
) -> None:
    host = site.stage.director
    pybal = site.director(host, without_pool="web6")
    site.wait_routed(host, VIP4)
    assert site.answers(VIP4) == {"real1", "real2"}
    assert site.router.has_session(host)
    # The session has stood for a while, and web6 is configured; but no pool was ever assigned.
    assert site.router.next_hop(VIP6) is None
    with pytest.raises(OSError, match=r"unreachable|timed out|No route"):
        ask(site.stage.client, VIP6, PORT)
    site.write_pool(host, "web6")
    site.wait_routed(host)
    assert site.answers(VIP6) == {"real1", "real2"}
    metrics = pybal.get("/metrics")
    assert f"pybal_bgp_session_established{{{PEER_LABELS}}} 1.0\n" in metrics
    assert f"pybal_bgp_prefixes_announced{{{PEER_LABELS}}} 2.0\n" in metrics
    (peer,) = pybal.json("/api/v1/bgp")["peers"]
    assert sorted(peer["prefixes"]) == [f"{VIP4}/32", f"{VIP6}/128"]

    assert pybal.stop() == 0
    site.wait_routed(None)
    # What BIRD clears up by itself once the session has ended would come later in its log.
    log, _, _ = site.router.log.partition("Received: Administrative shutdown")
    assert log != site.router.log
    for vip in VIPS.values():
        assert re.search(rf"{host.name}.*(withdrawn|removed) .*{vip}/", log), log
    assert "PyBal is stopping" in site.router.log
    assert "[bgp] INFO: Withdrawing 2 prefixes" in pybal.log


def test_the_director_with_the_lower_med_has_the_traffic_and_passes_it_on_when_it_stops(
    pair: Site,
) -> None:
    first, second = pair.stage.directors
    primary = pair.director(first, med=0)
    pair.director(second, med=100)
    until(lambda: [pair.seen(host, "> added") for host in (first, second)] == [2, 2])
    pair.wait_routed(first)
    with pair.load.running():
        until(lambda: connections(first) > 20)
        assert connections(second) == 0
        primary.stop()
        pair.wait_routed(second)
        taken_over = until(lambda: connections(second))
        # The kernel adds its counters up every two seconds: this is the last of the first one.
        moved = connections(first)
        until(lambda: connections(second) > taken_over)
        assert connections(first) == moved
        primary.start()
        pair.wait_routed(first)
        until(lambda: connections(first) > moved)
    # Only a connection that was open in the moment of a change can be lost, and there are two.
    assert len(pair.load.failures) <= 2, pair.load.failures
    assert pair.load.answered > 40
    print(f"two changes: {len(pair.load.failures)} of {pair.load.answered} requests lost")


def test_without_graceful_restart_the_routes_go_with_the_session(site: Site) -> None:
    host = site.stage.director
    pybal = site.director(host)
    site.wait_routed(host)
    pybal.kill()
    site.wait_routed(None)
    pybal.start()
    site.wait_routed(host)
    assert site.answers(VIP4) == {"real1", "real2"}
    assert pybal.stop(signal.SIGUSR2) == 0
    site.wait_routed(None)
    assert "Exiting, for a restart..." in pybal.log


@pytest.mark.parametrize("ending", ["kill", "restart"])
def test_with_graceful_restart_the_routes_stay_and_no_request_is_lost(
    site: Site, ending: str
) -> None:
    host = site.stage.director
    careful = "bgp-withdraw-on-down = yes"
    pybal = site.director(host, options="bgp-graceful-restart = yes", web=careful)
    site.wait_routed(host)
    with site.load.running():
        until(lambda: connections(host) > 20)
        if ending == "kill":
            pybal.kill()
        else:
            # What `systemctl restart` sends.
            assert pybal.stop(signal.SIGUSR2) == 0
        until(lambda: not site.router.has_session(host))
        during = connections(host)
        assert site.router.next_hop(VIP4) == str(host.ipv4)
        until(lambda: connections(host) > during + 20)
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


def test_changes_of_a_service_touch_neither_the_session_nor_any_route(site: Site) -> None:
    host = site.stage.director
    pybal = site.director(host)
    site.wait_routed(host)
    # Two routes and two End-of-RIB: all has been said.
    until(lambda: updates(pybal) == 4)
    greeter = site.greeters[0]
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


def updates(pybal: RunningPybal) -> int:
    """How many UPDATEs the router was sent."""
    return int(pybal.json("/api/v1/bgp")["peers"][0]["messages"]["sent"].get("update", 0))


def test_a_service_that_wants_it_is_withdrawn_while_its_servers_are_down(site: Site) -> None:
    host = site.stage.director
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
    assert "1 of 2 enabled servers are up: no longer announced" in pybal.log
    first.start()
    until(lambda: "/up/pooled" in pybal.get("/pools/web"))
    assert site.router.next_hop(VIP4) is None
    second.start()
    site.wait_routed(host, VIP4)
    assert pybal.json("/api/v1/bgp")["peers"][0]["sessions_lost"] == 0


def test_a_service_whose_servers_are_all_down_at_the_start_is_never_announced(site: Site) -> None:
    host = site.stage.director
    for greeter in site.greeters:
        greeter.stop()
    pybal = site.director(host, web="bgp-withdraw-on-down = yes")
    site.wait_routed(host, VIP6)
    until(lambda: pybal.get("/pools/web").count("/down/") == 2)
    assert site.router.next_hop(VIP4) is None
    assert site.seen(host, f"added {VIP4}") == 0
