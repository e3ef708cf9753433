"""A router and our speaker, started with what a test wants of them, and ended with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bgp.rig import OUR_IPV4, ROUTER_IPV4, Speaker, Wire, eventually
from tests.bgp.routers import PLAIN, Bird, Router, Terms

VIP, VIP6 = "192.0.2.1", "2001:db8::1"
HOST, HOST6 = f"{VIP}/32", f"{VIP6}/128"

AT_ONCE_S = 15.0
"""Enough for a busy machine, and half of the hold time, which what nobody tells would take."""

# Short, as no test is to wait for what it does not look at.
_FSM = {"connect_retry_s": 1, "idle_hold_s": 0.2, "idle_hold_max_s": 1}
_PASSIVE = {"passive": True, "connect_retry_s": 600}


def speaker_settings(*, passive: bool = False, **own: Any) -> dict[str, Any]:
    """For one peer, the router; `peer` and `fsm` change single settings of it."""
    fsm = _FSM | own.pop("fsm", {}) | (_PASSIVE if passive else {})
    peer = {"address": ROUTER_IPV4, "asn": 64600, "fsm": fsm} | own.pop("peer", {})
    return {"peers": [peer], "listen": [OUR_IPV4]} | own


class Pair:
    """Both are in `children`, in the order of their start."""

    def __init__(self, wire: Wire, directory: Path) -> None:
        self.wire = wire
        self.directory = directory
        self.children: list[Router | Speaker] = []

    def router(self, kind: type[Router], terms: Terms = PLAIN, **own: Any) -> Router:
        if not kind.installed():
            pytest.skip(f"{kind.program} is not installed")
        router = kind.start(self.wire, self.directory, terms, **own)
        self.children.append(router)
        return router

    def bird(self, terms: Terms = PLAIN, **own: Any) -> Bird:
        router = self.router(Bird, terms, **own)
        assert isinstance(router, Bird)
        return router

    def speaker(self, **wanted: Any) -> Speaker:
        """With `speaker_settings(...)`."""
        speaker = Speaker(self.wire, self.directory, **speaker_settings(**wanted))
        self.children.append(speaker)
        return speaker

    def close(self) -> None:
        for child in self.children:
            child.close()


def wait_routes(router: Router, *prefixes: str, limit_s: float = 60.0) -> dict[str, str]:
    """The router's routes, once they are exactly these."""
    found: dict[str, str] = {}

    def same() -> bool:
        found.clear()
        found.update(router.routes())
        return set(found) == set(prefixes)

    try:
        eventually(f"{len(prefixes)} routes", same, limit_s)
    except AssertionError as error:
        raise AssertionError(f"{error}, but {list(found)[:5]}\n{router.log[-2000:]}") from None
    return found
