"""A daemon with two services and two routers, whose configuration changes."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pybal.bgp.messages import Keepalive, Open
from tests.bgp.memory import Router, RouterEnd
from tests.bgp.peeringcase import CAPABILITIES
from tests.fakes.daemon import DaemonBench

STEP_S = 0.2
ONE, TWO = "192.0.2.11", "192.0.2.12"


@dataclass(frozen=True)
class Walk:
    """A key's value before and after, as lines; `with_` are lines that go with both."""

    before: str
    after: str
    with_: str = ""


BASE = {
    "global": f"""state-directory = none
control-socket = no
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = ['{ONE}', '{TWO}']
bgp-nexthop-ipv4 = 192.0.2.254""",
    "peer": "",
    "service": """protocol = tcp
ip = 198.51.100.1
port = 80
scheduler = wrr
config = file://FOLDER/pool
monitors = ['IdleConnection', 'TCPCheck']""",
}

OTHER = """[other]
protocol = tcp
ip = 203.0.113.2
port = 80
scheduler = wrr
config = file://FOLDER/pool
monitors = ['IdleConnection', 'TCPCheck']
"""

POOL = "{ 'host': '10.0.0.1' }\n{ 'host': '10.0.0.2', 'weight': 5 }\n"


class AnsweringRouter:
    """A router that opens its half of each session."""

    def __init__(self, bench: DaemonBench, address: str) -> None:
        self.address = address
        self.router = Router(bench.routers, address)
        self.answered: set[int] = set()
        self.router.listen()

    @property
    def sessions(self) -> int:
        return len(self.answered)

    def answer(self) -> None:
        for end in self.router.ends:
            if id(end) not in self.answered and end.heard:
                self.answered.add(id(end))
                self._open(end)

    def _open(self, end: RouterEnd) -> None:
        capabilities = replace(CAPABILITIES, four_octet_asn=64601, roles=(0,))
        end.say(Open(64601, 180, IPv4Address(self.address), capabilities), Keepalive())


class Site:
    """A daemon with two services and two routers."""

    def __init__(self, folder: Path, lines: dict[str, str]) -> None:
        self.folder = folder
        self.ports = {name: str(_free_port()) for name in ("OTHER_PORT", "PORT")}
        (folder / "secret").write_text("two\n")
        (folder / "secret").chmod(0o600)
        for name in ("pool", "same"):
            (folder / name).write_text(POOL)
        self.bench = DaemonBench(folder, self.text(lines), running_s=0.0)
        self.routers = [AnsweringRouter(self.bench, address) for address in (ONE, TWO)]
        self.run(12)

    def text(self, lines: dict[str, str]) -> str:
        text = "\n".join(
            (
                "[global]", lines["global"], f"[[peer {ONE}]]", lines["peer"],
                "[one]", lines["service"], OTHER,
            )
        )  # fmt: skip
        for name, value in (*self.ports.items(), ("FOLDER", str(self.folder))):
            text = re.sub(rf"\b{name}\b", value, text)
        return text

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.bench.clock.advance(STEP_S)
            for router in self.routers:
                router.answer()

    def reload(self, lines: dict[str, str], then_s: float = 20.0) -> tuple[str, ...]:
        """What it has done, so long after it; some parts go over while they go on."""
        self.bench.path.write_text(self.text(lines))
        done = self.bench.daemon.reload()
        while not done.called:
            self.run(STEP_S)
        outcome: Any = done.result
        assert outcome.successful, outcome.errors
        self.run(then_s)
        return tuple(outcome.steps)

    def service(self, name: str) -> object:
        return self.bench.daemon._services[name]

    def monitors(self, name: str) -> dict[tuple[str, str], float | None]:
        service = self.bench.daemon.view.service(name)
        assert service is not None
        return {(s.host, m.name): m.since for s in service.servers for m in s.monitors}

    def entries(self, address: str) -> dict[str, Any]:
        table = self.bench.state()["table"]
        return {key: entry for key, entry in table.items() if address in key}

    @property
    def sessions(self) -> tuple[int, ...]:
        return tuple(router.sessions for router in self.routers)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lines_of(where: str, walk: Walk) -> tuple[dict[str, str], dict[str, str]]:
    """The lines of all sections before and after; what is set takes the place of the base's."""
    both = []
    for changed in (walk.before, walk.after):
        own = "\n".join(filter(None, (walk.with_, changed)))
        keys = {line.split("=")[0].strip() for line in own.splitlines()}
        base = BASE[where].splitlines()
        kept = [line for line in base if line.split("=")[0].strip() not in keys]
        both.append({**BASE, where: "\n".join((*kept, own))})
    return both[0], both[1]
