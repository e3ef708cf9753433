"""What BGP touches outside of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pybal.bgp.bfd.ports import BFDNetwork, Numbers
from pybal.bgp.network import BGPNetwork
from pybal.bgp.takeover import SessionKeeper


@dataclass(frozen=True, slots=True)
class BGPOutside:
    """What lasts for as long as the process: the networks, and the records of sessions for the next
    process, and those of the one before."""

    network: BGPNetwork
    bfd_network: BFDNetwork
    records: SessionKeeper


class BGPPorts(NamedTuple):
    """What BGP touches outside of itself. `clock` is IReactorTime, monotonic; `now` the wall
    clock in Unix seconds; `random` a random.Random; `log` a Logger."""

    clock: Any
    network: BGPNetwork
    random: Any
    now: Callable[[], float]
    log: Any
    bfd_network: BFDNetwork
    records: SessionKeeper
    session_changed: Callable[[str, bool, str], None] = lambda *_: None
    """Told the peer, whether there is a session with it from now on, and if not, why."""
    bfd_numbers: Numbers | None = None
    """None: the sequence numbers of authenticated BFD end with the process."""
