"""What a Coordinator touches outside of itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from pybal.ipvs.model import ServiceEntry
from pybal.kept_change import ListPast
from pybal.model import ServerSpec
from pybal.override import Overrides
from pybal.pool.events import Event, Notice
from pybal.pool.implausible_addresses import IsOwnAddress
from pybal.pool.list_guard import GuardNotice
from pybal.pool.monitor_sets import MonitorFactory
from pybal.pool.pool_state import PoolState
from pybal.pool.server import AddressWatcher
from pybal.pool.withdrawal import Health
from pybal.runtime.slots import Slots
from pybal.runtime.time_slices import TimeSlices


class DesiredTable(Protocol):
    """The IPVS table as all services want it."""

    def set_desired(self, entry: ServiceEntry, drain_timeout_s: float | None) -> None:
        """From now on the service should stand so. A server that leaves it keeps its connections
        for so long; None: it leaves at once."""


class ListStore(Protocol):
    """Keeps the pool list for the next start."""

    def in_force(self, servers: tuple[ServerSpec, ...], past: ListPast) -> None:
        """This is the list as it is in force now, and what lists have taken away."""


class PolicyStep(NamedTuple):
    """A step of a service's policy: the event, handled `at` (Unix seconds), the states before and
    after it (the same object if nothing has changed), what a person should hear of it."""

    event: Event
    before: PoolState
    after: PoolState
    notices: tuple[Notice, ...]
    at: float


StepObserver = Callable[[str, PolicyStep], None]
"""Takes a service's name and a step that its policy has taken."""


BecauseOf = Callable[[], AbstractContextManager[object]]
"""What is done within has that cause, for the history."""


def _nobody(service: str, step: PolicyStep) -> None:
    """Nobody observes the policy's steps."""


def _no_overrides(_: str) -> Overrides:
    """Operators want nothing of the service's servers."""
    return {}


FIRST_LISTS_AT_ONCE = 4
"""A long one does not hold up all others."""


class CoordinatorPorts(NamedTuple):
    """What a Coordinator touches outside of itself. `clock` provides IReactorTime, `now()` is Unix
    seconds; lists of hundreds of servers are applied in `time_slices`; `table` is told what
    should stand in IPVS, each time that it changes."""

    clock: Any
    time_slices: TimeSlices
    first_lists: Slots
    """All services share them: were all lists of a start applied side by side, all would be done at
    its end, and no check could begin before."""
    now: Callable[[], float]
    addresses: AddressWatcher
    create_monitor: MonitorFactory
    table: DesiredTable
    is_own_address: IsOwnAddress
    servers_changed: Callable[[str, Health], None]
    """Told the health of a service whose announcement depends on it after each of its events."""
    stepped: StepObserver = _nobody
    """Told of each event that the policy has handled, be it without any consequence, before
    anything follows from it."""
    overrides: Callable[[str], Overrides] = _no_overrides
    """What operators want for a time of the servers of a service."""
    list_kept: Callable[[str, GuardNotice], None] = lambda *_: None
    """Told a service's name, and that what its list takes away is kept, or no longer."""
    cause: Callable[[], BecauseOf | None] = lambda: None
    """Why what is done now is done: work that goes on in other turns does its pieces in that. None:
    for no reason that is noted."""
