"""What a changed configuration makes of the services that run. Pure.

The steps lead from one configuration to another. What runs may be otherwise, if an earlier reload
has failed amid its steps: it counts, so that the next reload mends what that one has left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.reload.difference import (
    AddService,
    AdjustService,
    ReloadStep,
    RemoveService,
    RenameService,
    ReplaceService,
)

_LEAVE = (ReplaceService, RenameService, RemoveService)
_COME = (AddService, ReplaceService, RenameService)
_SUCCEED = (ReplaceService, RenameService)


class Running(Protocol):
    """A service that runs, as far as it counts here."""

    @property
    def key(self) -> ServiceKey: ...


_R = TypeVar("_R", bound=Running)


@dataclass(frozen=True, slots=True)
class ServiceChanges(Generic[_R]):
    """Services by their names, and in the order in which they are to be looked at."""

    leaving: Mapping[str, _R]
    """Those that run and are to run no longer."""
    coming: tuple[ServiceSettings, ...]
    """Those that begin."""
    adopting: Collection[str]
    """Those of them that find servers of their own in the kernel, not another service's."""
    followed: Mapping[str, _R]
    """By the name of one that comes: the one that leaves, with whose list it goes on."""
    adjusted: tuple[ServiceSettings, ...]
    """Those that go on with other settings."""
    gone: tuple[ServiceKey, ...]
    """What is to leave the kernel at last."""
    names_gone: tuple[str, ...]
    """Under which names something may be announced that is to be so no longer, at last."""


def service_changes(
    steps: Iterable[ReloadStep], services: Collection[ServiceSettings], running: Mapping[str, _R]
) -> ServiceChanges[_R]:
    """`services` are those of the new configuration, to which the steps lead."""
    steps = tuple(steps)
    before = [step.before for step in steps if isinstance(step, _LEAVE)]
    coming = [step.after for step in steps if isinstance(step, _COME)]
    coming += _missing(services, coming, running)
    come = {settings.name: service_key(settings) for settings in coming}
    stay = {settings.name for settings in services} - come.keys()
    leaving = {name: service for name, service in running.items() if name not in stay}
    heirs = {step.after.name: step.before for step in steps if isinstance(step, _SUCCEED)}
    owners = {service_key(settings): settings.name for settings in before}
    # Who takes the address of another service finds that one's servers in the kernel.
    adopting = {
        name
        for name, key in come.items()
        if key not in owners or (name in heirs and heirs[name].name == owners[key])
    }
    by_key = {service.key: service for service in leaving.values()}
    followed = {}
    for name, key in come.items():
        former = _as(heirs.get(name), leaving) or (by_key.get(key) if name in adopting else None)
        if former is not None:
            followed[name] = former
    adjusted = (step.after for step in steps if isinstance(step, AdjustService))
    taken = set(come.values())
    return ServiceChanges(
        leaving=leaving,
        coming=tuple(coming),
        adopting=adopting,
        followed=followed,
        adjusted=tuple(settings for settings in adjusted if settings.name in stay),
        gone=tuple(key for key in dict.fromkeys((*owners, *by_key)) if key not in taken),
        names_gone=tuple(dict.fromkeys((*owners.values(), *leaving, *come))),
    )


def _missing(
    services: Iterable[ServiceSettings],
    coming: Iterable[ServiceSettings],
    running: Mapping[str, _R],
) -> Iterator[ServiceSettings]:
    """What should run, besides what is coming, and does not, or as another virtual service."""
    come = {settings.name for settings in coming}
    return (s for s in services if s.name not in come and _as(s, running) is None)


def _as(settings: ServiceSettings | None, services: Mapping[str, _R]) -> _R | None:
    """The one of that name, if it is the same in the kernel."""
    service = None if settings is None else services.get(settings.name)
    is_same = service is not None and settings is not None and service.key == service_key(settings)
    return service if is_same else None
