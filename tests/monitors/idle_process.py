"""IdleConnections as a process of its own: each line that it is sent it answers with its state."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.internet.stdio import StandardIO
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver

from pybal.handover.legacy import Legacy
from pybal.handover.store import ManagerStore
from pybal.monitors.base import Monitor
from pybal.monitors.idleconnection import IdleConnectionSettings
from pybal.monitors.memory import MonitorMemory
from pybal.monitors.registry import create_monitor
from pybal.monitors.target import Target
from tests.fakes.environment import make_environment
from tests.fakes.http import FakeHTTPClient
from tests.fakes.reports import Results


class Commands(LineReceiver):
    """`leave` ends it for the next process, anything else asks."""

    delimiter = b"\n"

    def __init__(self, world: Any, monitors: list[Monitor], memory: MonitorMemory) -> None:
        self._world, self._monitors, self._memory = world, monitors, memory

    def lineReceived(self, line: bytes) -> None:
        counts = Counter(str(monitor.snapshot().up) for monitor in self._monitors)
        self.sendLine(json.dumps(counts).encode())  # type: ignore[no-untyped-call]
        if line == b"leave":
            self._memory.leave()
            for monitor in self._monitors:
                monitor.stop()
            self._world.callLater(0.2, self._world.stop)


def run(given: dict[str, Any]) -> None:
    """`store` is a manager's address, `left` what it has; `count` servers listen at `port` of
    127.1.0.1 and so on."""
    from twisted.internet import reactor

    world: Any = reactor
    world.seconds = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    left = {name: [each.detach() for each in own] for name, own in given["left"].items()}
    store = ManagerStore(given["store"])
    memory = MonitorMemory(Legacy(store, "here", left), world, Logger(), lambda call: call())
    memory.start()
    environment = replace(make_environment(world, FakeHTTPClient()), memory=memory)
    monitors = []
    for number in range(given["count"]):
        address = ip_address("127.1.0.1") + number
        target = Target("svc", str(address), address, given["port"], lambda: "")
        monitors.append(create_monitor(IdleConnectionSettings(), target, environment, Results()))
        monitors[-1].start()
    StandardIO(Commands(world, monitors, memory))
    world.run()
