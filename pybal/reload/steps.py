"""The steps of a reload: from one configuration to another, and each in words. Pure.

They come in the order in which people are shown them; how those about services are taken is for
`ServiceSet.go_over` (service_set.py) to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from pybal.config.settings import BGPSettings, IPNetwork, ServiceSettings
from pybal.model import IPAddress
from pybal.net.addresses import endpoint

PeerName = Union[IPAddress, IPNetwork, str]
"""A peer by its address, those out of a prefix, or the one on an interface."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs: its key, and both values as people may see them."""

    key: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.key} {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class NeedsRestart:
    """A key that the running daemon cannot change; the rest of the file counts all the same."""

    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"needs a restart: {_joined(self.changes)}"


@dataclass(frozen=True, slots=True)
class AdjustGlobal:
    """Values of [global] that the running parts take over."""

    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"adjust [global]: {_joined(self.changes)}"


@dataclass(frozen=True, slots=True)
class AdjustBGP:
    """BGP from `before` to `after` settings; None: it is off. `peers_anew` are those whose
    sessions end and begin again; those of `peers_adjusted` go on. `silent`: a dry run, which only
    shows what would be announced."""

    before: BGPSettings | None
    after: BGPSettings | None
    changes: tuple[Change, ...] = ()
    peers_added: tuple[PeerName, ...] = ()
    peers_removed: tuple[PeerName, ...] = ()
    peers_anew: tuple[tuple[PeerName, tuple[Change, ...]], ...] = ()
    peers_adjusted: tuple[tuple[PeerName, tuple[Change, ...]], ...] = ()
    silent: bool = False

    def lines(self) -> Iterator[str]:
        """One for each thing that is touched."""
        if self.before is None or self.after is None:
            what = "to show what BGP would announce" if self.silent else "BGP"
            yield f"{'stop' if self.after is None else 'start'} {what}"
            return
        if self.changes:
            yield f"adjust BGP: {_joined(self.changes)}"
        yield from (f"add BGP peer {address}" for address in self.peers_added)
        for address, changes in self.peers_anew:
            yield f"replace BGP peer {address}: {_joined(changes)}"
        for address, changes in self.peers_adjusted:
            yield f"adjust BGP peer {address}: {_joined(changes)}"
        yield from (f"remove BGP peer {address}" for address in self.peers_removed)


@dataclass(frozen=True, slots=True)
class AddService:
    """A section that is new, on a virtual service that nobody had."""

    after: ServiceSettings

    def __str__(self) -> str:
        return f"add service {self.after.name}: {_where(self.after)}"


@dataclass(frozen=True, slots=True)
class AdjustService:
    """A service that goes on with other values."""

    before: ServiceSettings
    after: ServiceSettings
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"adjust service {self.after.name}: {_joined(self.changes)}"


@dataclass(frozen=True, slots=True)
class ReplaceService:
    """A service that begins anew: the new one stands before the old one goes. If both are the
    same virtual service in the kernel, that one is adopted and not touched."""

    before: ServiceSettings
    after: ServiceSettings
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"replace service {self.after.name}: {_joined(self.changes)}"


@dataclass(frozen=True, slots=True)
class RenameService:
    """A section with another name for the same virtual service: by name a new one, in the kernel
    the same, which is adopted and not touched, but for what else has changed."""

    before: ServiceSettings
    after: ServiceSettings
    changes: tuple[Change, ...] = ()

    def __str__(self) -> str:
        names = f"{self.before.name} to {self.after.name}"
        also = f"; {_joined(self.changes)}" if self.changes else ""
        return f"rename service {names}: {_where(self.after)} stays{also}"


@dataclass(frozen=True, slots=True)
class RemoveService:
    """A section that is gone: its address is withdrawn, then it leaves the kernel."""

    before: ServiceSettings

    def __str__(self) -> str:
        return f"remove service {self.before.name}: {_where(self.before)}"


ReloadStep = Union[
    NeedsRestart,
    AdjustGlobal,
    AdjustBGP,
    AddService,
    AdjustService,
    ReplaceService,
    RenameService,
    RemoveService,
]


def lines(steps: Iterable[ReloadStep]) -> list[str]:
    """For people: one line for each thing that is touched."""
    found: list[str] = []
    for step in steps:
        found += step.lines() if isinstance(step, AdjustBGP) else [str(step)]
    return found


def _where(service: ServiceSettings) -> str:
    return f"{service.protocol.value} {endpoint(service.address, service.port)}"


def _joined(changes: Iterable[Change]) -> str:
    return ", ".join(map(str, changes))
