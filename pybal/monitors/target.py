"""What a monitor is given: the server to check, and its ports to the outside."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pybal.config.settings import DEFAULT_CONCURRENCY
from pybal.health.local_faults import LocalFaults
from pybal.health.recoveries import Recoveries
from pybal.health.stalls import StallMeter
from pybal.http.port import HTTPClient
from pybal.model import IPAddress
from pybal.monitors.first_checks import FirstChecks
from pybal.monitors.memory import MonitorMemory
from pybal.monitors.processes import Processes
from pybal.monitors.spread import Spread
from pybal.net.addresses import endpoint
from pybal.net.port import Network
from pybal.runtime.slots import Slots
from pybal.runtime.storm_log import StormLogs
from pybal.runtime.time_slices import TimeSlices
from pybal.runtime.turn_clock import lately
from pybal.state.file_access import FileAccess


@dataclass(frozen=True, slots=True)
class Target:
    """The real server under check.

    `describe()` gives the server's name and status for log lines: `h (enabled/up/pooled)`;
    `touched()` is called when a monitor differs from its last snapshot. `incarnation` goes into
    the monitor's reports, see HealthReport. `is_trial`: the pool hears of success alone, and its
    log tells of no failure.
    """

    service: str
    host: str
    address: IPAddress
    port: int
    describe: Callable[[], str]
    touched: Callable[[], None] = lambda: None
    incarnation: int = 0
    is_trial: bool = False

    @property
    def endpoint(self) -> str:
        """`address:port` for a human, an IPv6 address in brackets."""
        return endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPorts:
    """All that a monitor touches outside of itself. `now()` is the wall clock in Unix seconds;
    timers are the reactor's (any object that provides IReactorTime). `stall_meter` tells whether
    this process was stalled during a check; `recoveries` and `faults` are shared by all
    monitors."""

    reactor: Any
    now: Callable[[], float]
    random: random.Random
    network: Network
    processes: Processes
    http: HTTPClient
    stall_meter: StallMeter
    recoveries: Recoveries
    faults: LocalFaults
    files: FileAccess
    """How commands are looked at before they are run."""
    spread: Spread = field(init=False)
    """When those that keep a beat check."""
    first_checks: FirstChecks = field(init=False)
    time_slices: TimeSlices = field(init=False)
    """For what thousands of monitors may have to do in the same moment."""
    beats: TimeSlices = field(init=False)
    """For checks that are due in the same moment. Of their own: they do not wait for what a storm
    has to do."""
    memory: MonitorMemory | None = field(default=None, kw_only=True)
    """What the process before us knew, and the next one will."""
    commands_at_once: int = field(default=DEFAULT_CONCURRENCY, kw_only=True)
    logs: StormLogs = field(init=False)
    """For what thousands of monitors may have to say in the same moment."""
    command_slots: Slots = field(init=False)
    """One for each command that may run at once."""
    cpu_s: Callable[[], float] = field(default=lambda: 0.0, kw_only=True)
    """The processor time that the reactor's thread has used; where that is not known, its turns
    count as short."""
    lately: Callable[[], float] = field(init=False)
    """The reactor's time, as good as now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lately", lately(self.reactor))
        object.__setattr__(self, "spread", Spread(self.random))
        object.__setattr__(self, "first_checks", FirstChecks(self.reactor, self.faults, self.cpu_s))
        object.__setattr__(self, "time_slices", TimeSlices(self.reactor))
        object.__setattr__(self, "beats", TimeSlices(self.reactor))
        object.__setattr__(self, "logs", StormLogs(self.reactor))
        object.__setattr__(self, "command_slots", Slots(self.reactor, self.commands_at_once))
