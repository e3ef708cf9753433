"""A hundred services change in one reload, under traffic to all of them and to one that does not
change: no request is lost, and of that one nothing is touched. And what a dry run shows before."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from tests.birdrouter import DIRECTOR_ASN
from tests.kernel.bgpsite import CONFIG, Site
from tests.kernel.test_bgp import updates
from tests.running import RunningPybal, until
from tests.stage import VIP4, VIP6, Host

COUNT = 100
PORTS = range(8000, 8000 + COUNT)
CLIENTS = 3
SERVICE = """
[s{port}]
protocol = tcp
ip = {vip}
port = {port}
scheduler = rr
tunneling = false
config = file://{pool}
depool-threshold = .5
depool-method = remove
monitors = ["IdleConnection", "TCPCheck"]
tcpcheck.interval = 20
"""
CHANGES = (
    ("scheduler = rr", "scheduler = wrr"),
    ("scheduler = rr", "scheduler = sh"),
    ("tunneling = false", "tunneling = true"),
    ("depool-threshold = .5", "depool-threshold = .6"),
    ("depool-method = remove", "depool-method = drain"),
    ("tcpcheck.interval = 20", "tcpcheck.interval = 30"),
    ('["IdleConnection", "TCPCheck"]', '["TCPCheck"]'),
    ("/pool4", "/same4"),
    ("[s", "[renamed"),
    ("config", "persistence-timeout = 60\nconfig"),
)


class Servers:
    """On all of these ports of a host: who says something is told the host's name, who is silent
    may stay."""

    def __init__(self, host: Host) -> None:
        self._name = host.name.encode()
        self._selector = selectors.DefaultSelector()
        self._listeners = []
        with host.inside():
            for port in (*PORTS, 80):
                listener = socket.create_server(
                    ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64
                )
                self._listeners.append(listener)
                self._selector.register(listener, selectors.EVENT_READ)
        self._waker, self._end = socket.socketpair()
        self._selector.register(self._end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                ready: Any = key.fileobj
                if ready is self._end:
                    return
                with contextlib.suppress(OSError):
                    if ready in self._listeners:
                        self._selector.register(ready.accept()[0], selectors.EVENT_READ)
                    else:
                        self._selector.unregister(ready)
                        if ready.recv(100):
                            ready.sendall(self._name)
                        ready.close()

    def stop(self) -> None:
        self._waker.close()
        self._thread.join()
        for key in tuple(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


class Clients:
    """Ask all services in turn, without a pause."""

    def __init__(self, client: Host) -> None:
        self._client = client
        self._end = threading.Event()
        self.answered = 0
        self.failures: list[str] = []
        asked: list[tuple[IPv4Address | IPv6Address, int]] = [(VIP6, 80)]
        self._turn = itertools.cycle([*asked, *((VIP4, port) for port in PORTS)])
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join()

    def rounds(self, count: int) -> None:
        """Until each service has been asked so often from now on."""
        wanted = self.answered + count * (COUNT + 1)
        until(lambda: self.answered + len(self.failures) >= wanted)

    def _run(self) -> None:
        with self._client.inside():
            while not self._end.is_set():
                where = next(self._turn)
                try:
                    assert _answer(*where).startswith("real")
                    self.answered += 1
                except (OSError, AssertionError) as error:
                    self.failures.append(f"{where}: {error!r}")


def _answer(address: IPv4Address | IPv6Address, port: int) -> str:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect((str(address), port))
        connection.sendall(b"?")
        return b"".join(iter(lambda: connection.recv(100), b"")).decode()


def services(folder: str, *, changed: bool) -> str:
    text = ""
    for number, port in enumerate(PORTS):
        section = SERVICE.format(port=port, vip=VIP4, pool=f"{folder}/pool4")
        before, after = CHANGES[number % len(CHANGES)]
        assert before in section
        text += section.replace(before, after) if changed else section
    untouched = SERVICE.format(port=80, vip=VIP6, pool=f"{folder}/pool6")
    return text + untouched.replace("[s80]", "[untouched]").replace("val = 20", "val = 2")


def untouched(site: Site, pybal: RunningPybal) -> Any:
    """All that there is of it: in the kernel, at the servers, and what its monitors know."""
    kernel = site.first.run("ipvsadm", "-Sn").splitlines()
    idle = [
        line.split()[4]
        for real in site.stage.reals
        for line in real.run("ss", "-tnH", "sport = :80").splitlines()
        if str(site.first.ipv6) in line
    ]
    found = pybal.json("/api/v1/services/untouched")
    known = [
        (server["host"], server["pooled"], monitor["name"], monitor["up"], monitor["since"])
        for server in found["servers"]
        for monitor in server["monitors"]
    ]
    assert len(known) == 4
    assert all(since for *_, since in known), "not all have checked it"
    return [line for line in kernel if str(VIP6) in line], sorted(idle), known


def _first_of(site: Site, pybal: RunningPybal) -> Any:
    """None while its monitors do not know all."""
    with contextlib.suppress(AssertionError):
        return untouched(site, pybal)
    return None


def test_a_hundred_services_change_and_no_request_is_lost(site: Site) -> None:
    host = site.first
    for greeter in site.greeters:
        greeter.stop()
    servers = [Servers(real) for real in site.stage.reals]
    folder = site.folder(host)
    for name, vip in (("pool4", VIP4), ("same4", VIP4), ("pool6", VIP6)):
        lines = (f"{{'host': '{real.address(vip)}'}}\n" for real in site.stage.reals)
        (folder / name).write_text("".join(lines))
    assert site.stage.router is not None
    head = CONFIG.format(
        asn=DIRECTOR_ASN, router=site.stage.router.ipv4, director=host, med=0, options=""
    )
    before, after = (head + services(str(folder), changed=each) for each in (False, True))
    try:
        with RunningPybal(host.wrap, folder, before) as pybal:
            site.wait_routed(host)
            until(lambda: pybal.get("/alerts").startswith("OK"))
            until(lambda: pybal.json("/api/v1/ipvs")["in_sync"])
            clients = Clients(site.stage.client)
            with clients.running():
                clients.rounds(1)
                was, told = until(partial(_first_of, site, pybal)), updates(pybal)
                control = f"[global]\ncontrol-socket = {pybal.control_path}\n"
                pybal.config_path.write_text(after.replace("[global]\n", control, 1))
                pybal.send_signal(signal.SIGHUP)
                pybal.wait_said(f"Reloaded {pybal.config_path}: 100 changes")
                clients.rounds(2)
                assert untouched(site, pybal) == was
            assert clients.failures == []
            assert updates(pybal) == told
            assert site.withdrawals(host) == 0
            assert "pybal_config_last_reload_successful 1.0\n" in pybal.get("/metrics")
            kernel = host.run("ipvsadm", "-Sn")
            counts = [kernel.count(words) for words in (" -i ", "-s wrr", "-p 60")]
            assert counts == [20, 10, 10]
            print(f"{clients.answered} requests of {COUNT + 1} services, none lost")
    finally:
        for each in servers:
            each.stop()


def test_a_dry_run_beside_the_director_changes_nothing_that_others_could_see(
    site: Site, tmp_path: Path
) -> None:
    host = site.first
    pybal = site.director(host)
    site.wait_routed(host)
    until(lambda: updates(pybal) == 4)
    folder = tmp_path / "new"
    folder.mkdir()
    live = pybal.config_path.read_text()
    state = folder / "state"
    new = live.replace(str(VIP4), "198.51.100.9").replace("= rr", "= wrr")
    new = new.replace("state-directory = none", f"state-directory = {state}")
    assert f"control-socket = {pybal.control_path}" in new
    kernel, before = host.run("ipvsadm", "-Sn"), site.router.log
    with RunningPybal(host.wrap, folder, new, "--dryrun") as dry:
        dry.wait_said("ipvsadm -A -t 198.51.100.9:80 -s wrr")
        dry.wait_said("Dry run: would announce 198.51.100.9/32")
        time.sleep(3)
        assert pybal.json("/api/v1/daemon")["dry_run"] is False
        assert pybal.ask_control("/api/v1/daemon")[0] == 200
        assert dry.stop() == 0
    (peer,) = pybal.json("/api/v1/bgp")["peers"]
    assert (peer["sessions_lost"], updates(pybal)) == (0, 4)
    assert "established" not in site.router.log.removeprefix(before)
    assert site.router.next_hop(VIP4) == str(host.ipv4)
    assert host.run("ipvsadm", "-Sn") == kernel
    assert not state.exists()
    assert pybal.ask_control("/api/v1/daemon")[0] == 200
