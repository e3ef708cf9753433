"""The difference of two configurations, as the steps that lead from one to the other. Pure.

Steps come in the order in which people are shown them; how those about services are taken is for
`ServiceSet.go_over` (service_set.py) to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from fractions import Fraction
from functools import reduce
from typing import Any, Union

from pybal.config.bgp_report import bandwidth, communities
from pybal.config.ipvs_report import flag_words, tunnel_words
from pybal.config.settings import (
    BGPPeerOptions,
    BGPSettings,
    ControlSettings,
    IPNetwork,
    MonitorSettings,
    ServiceSettings,
    Settings,
)
from pybal.config.source_url import source_url
from pybal.model import IPAddress
from pybal.net.addresses import endpoint
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
from pybal.runtime.naming import shortened

_MAX_SHOWN = 60

PeerName = Union[IPAddress, IPNetwork, str]
"""A peer by its address, those out of a prefix, or the one on an interface."""

_EVERY_PEER_KEY = (*PEER_KEYS, *ONE_PEER_KEYS)


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

    def __str__(self) -> str:
        return "; ".join(self.lines())

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


def lines(steps: Iterable[ReloadStep]) -> list[str]:
    """For people: one line for each thing that is touched."""
    found: list[str] = []
    for step in steps:
        found += step.lines() if isinstance(step, AdjustBGP) else [str(step)]
    return found


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
    if not changes:
        return []
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
        if former is None or former == settings:
            continue
        for name in _differing(former, settings):
            values = getattr(former, name), getattr(settings, name)
            yield Change(f"{settings.monitor}'s", *_option(name, *values))


def _option(name: str, before: object, after: object) -> tuple[str, str]:
    """Both values of a monitor's option; one that is no number may hold a secret."""
    if all(isinstance(value, bool | int | float | None) for value in (before, after)):
        return _named_field(name, before), _named_field(name, after)
    return f"{name.replace('_', ' ')} ***", "***"


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
                "/".join(key.names), _shown(old, key, differing), _shown(new, key, differing)
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


def _shown(value: object, key: Key, differing: Collection[str]) -> str:
    """As people write it, shortened; of several values those that differ. No secret is ever
    shown."""
    if key.secret:
        return "none" if value is None else "***"
    if value is None and key.names[0] in _SWITCHES:
        return "no"
    form = None if value is None else _FORMS.get(key.names[0])
    return shortened(_text(value, differing) if form is None else form(value), _MAX_SHOWN)


def _control(control: ControlSettings) -> str:
    return str(control) if control.asked_for else f"{control}, by default"


_SWITCHES = frozenset(("control-socket", "instrumentation", "isolation"))
"""Keys that may be off."""

_FORMS: dict[str, Callable[[Any], str]] = {
    "config": source_url,
    "control-socket": _control,
    "bgp-communities": lambda classic: communities(classic, ()),
    "bgp-large-communities": lambda large: communities((), large),
    "bgp-extended-communities": lambda extended: communities((), (), extended),
    "bgp-link-bandwidth": bandwidth,
    "bgp-families": lambda families: " ".join(f"ipv{version}" for version in families),
    "runcommand-user": lambda user: str(user.name),
    "scheduler-flags": flag_words,
    "tunnel-type": tunnel_words,
}
"""Values that the configuration writes in a way of their own."""


def _text(value: object, differing: Collection[str] = ()) -> str:
    match value:
        case None | "":
            return "unset"
        case bool():
            return "yes" if value else "no"
        case Fraction():
            return f"{float(value):g}"
        case float():
            return f"{value:.15g}"
        case Enum():
            return str(value.value).lower() if isinstance(value.value, str) else value.name.lower()
        case tuple():
            return f"[{' '.join(map(_text, value))}]"
    if is_dataclass(value):
        names = [each.name for each in fields(value) if not differing or each.name in differing]
        return ", ".join(_named_field(name, getattr(value, name)) for name in names)
    return str(value)


def _named_field(name: str, value: object) -> str:
    """`hold 120 s` of hold_s."""
    for end, unit in (("_s", " s"), ("_bytes", " bytes"), ("_ms", " ms")):
        if name.endswith(end):
            name, text = name.removesuffix(end), _text(value)
            return f"{name.replace('_', ' ')} {text}{'' if value is None else unit}"
    return f"{name.replace('_', ' ')} {_text(value)}"


def _where(service: ServiceSettings) -> str:
    return f"{service.protocol.value} {endpoint(service.address, service.port)}"


def _joined(changes: Iterable[Change]) -> str:
    return ", ".join(map(str, changes))
