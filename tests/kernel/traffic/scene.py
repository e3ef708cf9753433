"""What the tests of real traffic work with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.traffic.services import CHOICES, Service
from tests.kernel.traffic.talk import PORT, Line
from tests.running import RunningPybal, until
from tests.stage import Host, IPAddress, Stage

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Scene:
    """The network, the daemon and the folder of its pool lists. `clients` are further addresses
    of the client."""

    stage: Stage
    pybal: RunningPybal
    folder: Path
    clients: Sequence[IPAddress]

    def line(
        self, service: Service, client: IPAddress | None = None, own_port: int = 0, port: int = PORT
    ) -> Line:
        """A connection to a service, or a flow of datagrams, from one of the client's addresses
        and ports."""
        source = (client, own_port)
        return Line(
            self.stage.client, service.vip, port, protocol=service.ip_protocol, source=source
        )

    def who(
        self,
        service: Service,
        client: IPAddress | None = None,
        own_port: int = 0,
        *,
        port: int = PORT,
        text: bytes = b"?",
    ) -> str:
        """Who answers to a new client of a service, or NOBODY."""
        try:
            with self.line(service, client, own_port, port) as line:
                return line.ask(text)
        except ConnectionRefusedError:
            return NOBODY

    def table(self) -> list[str]:
        """What is in the director's kernel."""
        return sorted(self.stage.director.run("ipvsadm", "-Sn").splitlines())

    def connections(self, service: Service) -> list[str]:
        """What the director's kernel remembers of a service's clients."""
        listed = self.stage.director.run("ipvsadm", "-Lnc").splitlines()
        return [line for line in listed if f" {service.vip}:{PORT} " in line]

    def wait_until_settled(self) -> None:
        """Until all servers of all services are pooled and stand in the kernel."""

        def settled() -> bool:
            services = self.pybal.json("/api/v1/services")["services"]
            counts = [service["counts"] for service in services]
            pooled = sum(count["pooled"] for count in counts)
            ipvs = self.pybal.json("/api/v1/ipvs")
            return (
                all(count["pooled"] == count["servers"] > 0 for count in counts)
                and bool(ipvs["in_sync"])
                and ipvs["destinations"] == pooled
            )

        until(settled)

    @contextmanager
    def real1(self, pool: str, change: dict[str, object] | None) -> Iterator[None]:
        """Meanwhile real1 is changed in a pool, and so in the kernel; None: it is not in it."""
        before = self.table()
        texts = {path: path.read_text() for path in self.folder.glob(f"{pool}?.json")}
        for path, text in texts.items():
            hosts = json.loads(text)
            first = next(iter(hosts))
            if change is None:
                del hosts[first]
            else:
                hosts[first] |= change
            write(path, json.dumps(hosts))
        users = sum(service.pool == pool for service in CHOICES.values())
        until(lambda: len(set(before) - set(self.table())) == users)
        yield
        for path, text in texts.items():
            write(path, text)
        until(lambda: self.table() == before)


def write(path: Path, text: str) -> None:
    """Put a file in place at once."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def ip(host: Host, version: int, *lines: str) -> None:
    """Run lines of `ip` in a host, for an address family."""
    host.run("ip", f"-{version}", "-batch", "-", input="".join(f"{line}\n" for line in lines))
