"""Directors behind BIRD, whose routes the client's traffic follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

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
    """A stage of two directors, two real servers that answer, and BIRD; pybal is started by the
    tests. What BIRD has logged, and the connections, are those of this site alone."""

    def __init__(self, stage: Stage, folder: Path, stack: ExitStack) -> None:
        self.stage = stage
        self.first, self.second = stage.directors
        self.load = Load(stage.client, VIP4, PORT)
        self._stack, self._folder = stack, folder
        self.router = stack.enter_context(BirdRouter(stage, folder))
        self.greeters = [Greeter(real, PORT) for real in stage.reals]
        for greeter in self.greeters:
            greeter.start()
            stack.callback(greeter.stop)
        self._before = {director: _connections(director) for director in stage.directors}
        for director in stage.directors:
            stack.callback(director.run, "ipvsadm", "-C")

    def configure(
        self,
        host: Host,
        *,
        med: int = 0,
        options: str = "",
        without_pool: str = "",
        **own: str,
    ) -> tuple[Path, str]:
        """A folder with the pools, and a pybal.conf; `own` are further lines of a service, whose
        pool may be missing."""
        folder = self.folder(host)
        assert self.stage.router is not None
        config = CONFIG.format(
            asn=DIRECTOR_ASN, router=self.stage.router.ipv4, director=host, med=med, options=options
        )
        for name, vip in VIPS.items():
            config += SERVICE.format(name=name, vip=vip, folder=folder, own=own.get(name, ""))
            if name != without_pool:
                self.write_pool(host, name)
        return folder, config

    def folder(self, host: Host) -> Path:
        """A new one for what a director reads and writes."""
        folder = self._folder / host.name
        folder.mkdir()
        return folder

    def director(self, host: Host, **wanted: Any) -> RunningPybal:
        """A running pybal, with what `configure` makes of `wanted`."""
        return self._stack.enter_context(RunningPybal(host.wrap, *self.configure(host, **wanted)))

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
            until(is_so)
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

    def connections(self, director: Host) -> int:
        """How many that director's kernel has been given for VIP4. Its table of connections is
        never late, as its statistics are, and forgets no connection within a test."""
        return len(_connections(director) - self._before[director])


def _connections(director: Host) -> set[tuple[str, ...]]:
    """Of VIP4: (client's address, client's port)."""
    vip = f"{int(VIP4):08X}"
    # No program for it: dozens of questions would take most of a guest's one processor.
    with director.inside():
        lines = Path("/proc/thread-self/net/ip_vs_conn").read_text().splitlines()
    table = [line.split() for line in lines[1:]]
    return {(line[1], line[2]) for line in table if line[3] == vip}


@contextmanager
def open_site(stage: Stage, folder: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stage, folder, stack)
