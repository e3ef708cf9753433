"""What goes into a step of the pooling policy (events), and what a person should hear of it
(notices). Frozen values; policy.py has the policy, log_lines.py the log lines. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Union

from pybal.model import ServerSpec
from pybal.override import LaidOver


class Candidate(NamedTuple):
    """One server of a new pool list.

    `stood_pooled` matters for a server that is new to the state: True or False tells how it
    stood in the kernel before the daemon started (warm start), None that nothing is known.
    So does `objection`, what speaks against it: then its monitors must find it up first.
    `over` is the override of an operator; where it is in effect `spec` is what that makes of it.
    """

    spec: ServerSpec
    ready: bool
    stood_pooled: bool | None = None
    objection: str = ""
    over: LaidOver | None = None


@dataclass(frozen=True, slots=True)
class ListChanged:
    """A new pool list is in force; hosts are unique. `others` are those of its candidates that are
    new, or otherwise than the state has them: so nobody has to look at all of thousands in one
    turn. None if that is not known."""

    candidates: tuple[Candidate, ...]
    others: tuple[Candidate, ...] | None = field(default=None, compare=False)

    @property
    def to_look_at(self) -> tuple[Candidate, ...]:
        """Those that may be new, or otherwise than the state has them."""
        return self.candidates if self.others is None else self.others


@dataclass(frozen=True, slots=True)
class ListPart:
    """These are new in a long pool list, or listed otherwise; hosts are unique. Those that are new
    come after all that there are, and who is not named stays as it is, until the whole list is in
    force."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """A server's address was found (`ready`), or has changed: what its monitors said of the
    former address no longer counts. With an `objection` to the address, its monitors must find it
    up there first. `proven`: they have."""

    host: str
    ready: bool
    objection: str = ""
    proven: bool = False


@dataclass(frozen=True, slots=True)
class AddressRefused:
    """The kernel refuses a server's address, or is to be asked again (not `refused`)."""

    host: str
    refused: bool


@dataclass(frozen=True, slots=True)
class MonitorReported:
    """A monitor's first result, or a change of its result."""

    host: str
    monitor: str
    up: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ReportRetracted:
    """A monitor's report of down is not believed after all, since this director was cut off.

    `result` is what the monitor had said before (None: nothing), `server_up` what the server was.
    """

    host: str
    monitor: str
    result: bool | None
    server_up: bool


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The service's settings were changed: its threshold, and its monitors by name. What a monitor
    said that stays counts on; a new one has said nothing yet."""

    threshold: Fraction
    monitors: tuple[str, ...]


Event = Union[
    ListChanged,
    ListPart,
    AddressChanged,
    AddressRefused,
    MonitorReported,
    ReportRetracted,
    SettingsChanged,
]


@dataclass(frozen=True, slots=True)
class ServerAdded:
    """A server is new in the pool list."""

    spec: ServerSpec


@dataclass(frozen=True, slots=True)
class ServerMerged:
    """A known server's weight or enabled changed."""

    spec: ServerSpec


@dataclass(frozen=True, slots=True)
class ServerRemoved:
    """A server is no longer in the pool list."""

    host: str


@dataclass(frozen=True, slots=True)
class ReportedDown:
    """A monitor says down; `status` is the server's before the step."""

    host: str
    status: str
    monitor: str
    reason: str


@dataclass(frozen=True, slots=True)
class RetractedDown:
    """A monitor's report of down was retracted; `status` is the server's before the step."""

    host: str
    status: str
    monitor: str


@dataclass(frozen=True, slots=True)
class BecameUp:
    """All monitors of a server say up now; `status` is the server's before the step."""

    host: str
    status: str


@dataclass(frozen=True, slots=True)
class CouldNotDepool:
    """A server is down and stays pooled: too many others are down."""

    host: str


@dataclass(frozen=True, slots=True)
class LeftPooled:
    """A server that was held stays held over a change of the pool list."""

    host: str


@dataclass(frozen=True, slots=True)
class PooledChanged:
    """A server was pooled or depooled by this step."""

    host: str
    pooled: bool
    up: bool


@dataclass(frozen=True, slots=True)
class TooFewEligible:
    """Fewer servers can be pooled than the threshold wants."""

    pooled: int
    required: Fraction


Notice = Union[
    ServerAdded,
    ServerMerged,
    ServerRemoved,
    ReportedDown,
    RetractedDown,
    BecameUp,
    CouldNotDepool,
    LeftPooled,
    PooledChanged,
    TooFewEligible,
]
