"""The difference of two configurations, as the steps that lead from one to the other. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import reduce
from typing import Any

from pybal.config.settings import (
    BGPPeerOptions,
    BGPSettings,
    MonitorSettings,
    ServiceSettings,
    Settings,
)
from pybal.pool.desired import service_key
from pybal.reload.keys import (
    BGP_KEYS,
    GLOBAL_KEYS,
    ONE_PEER_KEYS,
    PEER_KEYS,
    SERVICE_KEYS,
    Effect,
    Key,
)
from pybal.reload.shown_values import option_shown, shown
from pybal.reload.steps import (
    AddService,
    AdjustBGP,
    AdjustGlobal,
    AdjustService,
    Change,
    NeedsRestart,
    PeerName,
    ReloadStep,
    RemoveService,
    RenameService,
    ReplaceService,
)

_EVERY_PEER_KEY = (*PEER_KEYS, *ONE_PEER_KEYS)


def difference(before: Settings, after: Settings) -> tuple[ReloadStep, ...]:
    """What leads from one configuration to the other; nothing if they mean the same."""
    steps: list[ReloadStep] = []
    changes = tuple(_changes(GLOBAL_KEYS, before, after))
    restarting = _of(Effect.RESTART, GLOBAL_KEYS, changes)
    adjusting = _of(Effect.IN_PLACE, GLOBAL_KEYS, changes)
    if restarting:
        steps.append(NeedsRestart(restarting))
    if adjusting:
        steps.append(AdjustGlobal(adjusting))
    silent = before.dry_run and not before.dry_run_bgp
    steps += _bgp(before.bgp, after.bgp, silent=silent)
    steps += _services(before.services, after.services)
    return tuple(steps)


def in_force(before: Settings, after: Settings) -> Settings:
    """What runs once `after` has been gone over to: what needs a restart stays as it was."""
    kept = {k.field: getattr(before, k.field) for k in GLOBAL_KEYS if k.effect is Effect.RESTART}
    return replace(after, **kept)


def begins_anew(before: ServiceSettings, after: ServiceSettings) -> bool:
    """Whether a service that runs cannot go over to other settings of the same name."""
    return before != after and any(
        _value(before, key.field) != _value(after, key.field)
        for key in SERVICE_KEYS
        if key.effect is Effect.SERVICE_ANEW
    )


def _bgp(
    before: BGPSettings | None, after: BGPSettings | None, *, silent: bool
) -> list[ReloadStep]:
    if before == after:
        return []
    if before is None or after is None:
        return [AdjustBGP(before, after, silent=silent)]
    changes = tuple(_changes(BGP_KEYS, before, after))
    old, new = _peers(before), _peers(after)
    own = {address: _peer_changes(old[address], new[address]) for address in old if address in new}
    for_all = _of(Effect.PEER_ANEW, BGP_KEYS, changes)
    anew, adjusted = [], []
    for address, found in own.items():
        if for_all or _of(Effect.PEER_ANEW, _EVERY_PEER_KEY, found):
            anew.append((address, (*for_all, *found)))
        elif found:
            adjusted.append((address, found))
    step = AdjustBGP(
        before,
        after,
        changes,
        peers_added=tuple(address for address in new if address not in old),
        peers_removed=tuple(address for address in old if address not in new),
        peers_anew=tuple(anew),
        peers_adjusted=tuple(adjusted),
    )
    return [step] if any(step.lines()) else []


def _peers(bgp: BGPSettings) -> dict[PeerName, BGPPeerOptions]:
    found: dict[PeerName, BGPPeerOptions] = {peer.address: peer.options for peer in bgp.peers}
    found |= {peer.interface: peer.options for peer in bgp.interface_peers}
    return found | {group.network: group.options for group in bgp.groups}


def _peer_changes(before: BGPPeerOptions, after: BGPPeerOptions) -> tuple[Change, ...]:
    return tuple(_changes(_EVERY_PEER_KEY, before, after))


def _services(
    before: tuple[ServiceSettings, ...], after: tuple[ServiceSettings, ...]
) -> Iterator[ReloadStep]:
    old, new = {s.name: s for s in before}, {s.name: s for s in after}
    gone = {service_key(s): s for s in before if s.name not in new}
    added: list[ReloadStep] = []
    changed: list[ReloadStep] = []
    for name, service in new.items():
        if name in old:
            changed += _service(old[name], service)
            continue
        former = gone.pop(service_key(service), None)
        if former is None:
            added.append(AddService(service))
        else:
            changed.append(RenameService(former, service, _service_changes(former, service)))
    yield from added
    yield from changed
    yield from (RemoveService(service) for service in gone.values())


def _service(before: ServiceSettings, after: ServiceSettings) -> list[ReloadStep]:
    if before == after:  # most of hundreds: a tenth of the work of looking at each key
        return []
    changes = _service_changes(before, after)
    if begins_anew(before, after):
        return [ReplaceService(before, after, changes)]
    return [AdjustService(before, after, changes)]


def _service_changes(before: ServiceSettings, after: ServiceSettings) -> tuple[Change, ...]:
    monitors = _monitor_changes(before.monitors, after.monitors)
    return (*_changes(SERVICE_KEYS, before, after), *monitors)


def _monitor_changes(
    before: tuple[MonitorSettings, ...], after: tuple[MonitorSettings, ...]
) -> Iterator[Change]:
    """Of monitors that both have: the options that differ."""
    old = {each.monitor: each for each in before}
    for settings in after:
        former = old.get(settings.monitor)
        for name in _differing(former, settings):
            values = getattr(former, name), getattr(settings, name)
            yield Change(f"{settings.monitor}'s", *option_shown(name, *values))


def _changes(keys: Iterable[Key], before: object, after: object) -> Iterator[Change]:
    for key in keys:
        old, new = _value(before, key.field), _value(after, key.field)
        if key.field == "monitors":
            # The monitors' options are compared by _monitor_changes.
            old, new = (tuple(each.monitor for each in monitors) for monitors in (old, new))
        if old != new:
            old, new = _one_each(old, new)
            differing = _differing(old, new)
            yield Change(
                "/".join(key.names), shown(old, key, differing), shown(new, key, differing)
            )


def _of(effect: Effect, keys: Iterable[Key], changes: Iterable[Change]) -> tuple[Change, ...]:
    names = {"/".join(key.names) for key in keys if key.effect is effect}
    return tuple(change for change in changes if change.key in names)


def _value(settings: object, field: str) -> Any:
    return reduce(getattr, field.split("."), settings)


def _one_each(before: Any, after: Any) -> tuple[Any, Any]:
    """Of lists of one thing each, of which there may be several: the things."""
    lists = [value for value in (before, after) if isinstance(value, tuple) and len(value) == 1]
    if len(lists) == 2 and all(is_dataclass(value[0]) for value in lists):
        return before[0], after[0]
    return before, after


def _differing(before: object, after: object) -> Collection[str]:
    """The fields in which two values of one kind differ."""
    if type(before) is not type(after) or not is_dataclass(before):
        return ()
    return [f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)]
