"""What a changed configuration makes of the services that run. Pure.

What counts is what runs, not which configuration is said to: an earlier reload may have failed amid
its steps, and the next one mends what that one has left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import ServiceKey
from pybal.pool.desired import service_key
from pybal.reload.difference import begins_anew


class RunningService(Protocol):
    """A service that runs, or has run, as far as it counts here."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> ServiceKey: ...

    @property
    def settings(self) -> ServiceSettings: ...


_R = TypeVar("_R", bound=RunningService)


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
    """By the name of one that comes: the one that has left, or leaves, with whose list it goes on.
    """
    adjusted: tuple[ServiceSettings, ...]
    """Those that go on with other settings."""
    gone: tuple[ServiceKey, ...]
    """What is to leave the kernel at last."""
    names_gone: tuple[str, ...]
    """Under which names something may be announced that is to be so no longer, at last."""


def service_changes(
    services: Collection[ServiceSettings],
    running: Mapping[str, _R],
    left: Collection[_R],
    unsound: Collection[str],
) -> ServiceChanges[_R]:
    """`services` are those of the new configuration. Of earlier reloads that failed: `left` are the
    services that run no longer, oldest first, of which something may still stand in the kernel or
    be announced; `unsound` the names of those that run, nobody knows just how."""
    leaving = dict(running)
    coming, adjusted = [], []
    for settings in services:
        service = running.get(settings.name)
        if service is None or settings.name in unsound or _is_another(service, settings):
            coming.append(settings)
            continue
        del leaving[settings.name]
        if service.settings != settings:
            adjusted.append(settings)
    former = (*left, *leaving.values())
    # Who takes the address of another service finds that one's servers in the kernel.
    owners = {service.key: service for service in former}
    heirs = _heirs(coming, former, owners, {settings.name for settings in services})
    adopting = set()
    for settings in coming:
        owner, heir = owners.get(service_key(settings)), heirs.get(settings.name)
        if owner is None or (heir is not None and heir.name == owner.name):
            adopting.add(settings.name)
    taken = {service_key(settings) for settings in services}
    return ServiceChanges(
        leaving=leaving,
        coming=tuple(coming),
        adopting=adopting,
        followed=heirs,
        adjusted=tuple(adjusted),
        gone=tuple(key for key in owners if key not in taken),
        names_gone=tuple(dict.fromkeys(service.name for service in former)),
    )


def _is_another(service: RunningService, settings: ServiceSettings) -> bool:
    return service.key != service_key(settings) or begins_anew(service.settings, settings)


def _heirs(
    coming: Iterable[ServiceSettings],
    former: Iterable[_R],
    owners: Mapping[ServiceKey, _R],
    names: Collection[str],
) -> dict[str, _R]:
    """By the name of one that comes: the last that had that name, unless another has come in its
    place since; or the last at its place in the kernel, if that one's name is used no longer."""
    by_name = {service.name: service for service in former}
    found = {}
    for settings in coming:
        own, there = by_name.get(settings.name), owners.get(service_key(settings))
        if own is not None and owners[own.key] is own:
            found[settings.name] = own
        elif there is not None and there.name not in names:
            found[settings.name] = there
    return found
