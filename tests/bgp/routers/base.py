"""What all routers of the tests have in common."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bgp.rig import Process, Wire, run


@dataclass(frozen=True, slots=True)
class Terms:
    """What a router is to do besides: `passive` never opens a connection; `ttl_security` takes
    a neighbour only; `graceful_restart` keeps our routes over a restart (RFC 4724), after a
    NOTIFICATION as well (RFC 8538) if the router can."""

    peer_asn: int = 64512
    passive: bool = False
    password: str | None = None
    ttl_security: bool = False
    graceful_restart: bool = False


PLAIN = Terms()


class Router(Process):
    """A router in its namespace: AS 64600, identifier 10.77.0.2, a hold time of 30 s; it takes
    both families from us over one IPv4 session, and nothing reaches a kernel. It has been
    started, and answers, when the constructor returns."""

    program: str
    shows_shutdown_text = True

    @classmethod
    def start(cls, wire: Wire, directory: Path, terms: Terms = PLAIN, **own: Any) -> Router:
        """`own` are further arguments of its constructor."""
        return cls(wire, directory, terms, **own)  # type: ignore[arg-type]

    @classmethod
    def installed(cls) -> bool:
        return shutil.which(cls.program) is not None

    def established(self) -> bool:
        raise NotImplementedError

    def routes(self) -> dict[str, str]:
        """Prefix -> what the router says of it."""
        raise NotImplementedError

    def count_routes(self) -> int:
        return len(self.routes())

    def ask_refresh(self) -> None:
        """Make it send ROUTE-REFRESH; NotImplementedError if it cannot."""
        raise NotImplementedError

    def close(self) -> None:
        self.end(signal.SIGTERM)

    def _ask(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.namespace, *command)


def lines_if(wanted: object, *lines: str) -> str:
    """Lines of a configuration, or none."""
    return "".join(f"{line}\n" for line in lines) if wanted else ""
