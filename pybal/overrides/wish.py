"""What an operator asks for, and which services it is about. Pure."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from pybal.errors import ControlError, NoSuchThingError
from pybal.override import Action, Override
from pybal.runtime.naming import named

_LISTED = 20
_COMPARED = 25
"""Names on either side of the one that there is not, by the alphabet: to compare it with all
servers of a large director would hold up the reactor."""
_LONGEST = 100
_EMPTY = "''"
"""An empty name, as it is typed."""

_Close = Callable[[str, list[str], int], list[str]]

Pools = Mapping[str, Collection[str]]
"""The hosts of each service."""


class Scope(NamedTuple):
    """A host in the `services` that are named, or in all that have it. Without either it is the
    only one that has it."""

    host: str
    services: tuple[str, ...] = ()
    everywhere: bool = False


class Wish(NamedTuple):
    """An action for a time, in seconds, with its reason."""

    action: Action
    scope: Scope
    for_s: float
    reason: str
    force: bool = False

    def override(self, service: str, by: str, now: float) -> Override:
        """The override of one service that comes of it."""
        until, force = now + self.for_s, self.force
        return Override(
            service,
            self.scope.host,
            self.action,
            by=by,
            reason=self.reason,
            since=now,
            until=until,
            force=force,
        )


def services_meant(scope: Scope, pools: Pools) -> tuple[str, ...]:
    """The services that a wish is about. NoSuchThingError says what there is instead; ControlError
    if it is not clear which are meant."""
    host = scope.host
    for name in scope.services:
        if name not in pools:
            raise no_service(name, pools)
        if host not in pools[name]:
            raise not_listed(host, name, pools[name])
    if scope.services:
        return tuple(dict.fromkeys(scope.services))
    found = tuple(name for name, hosts in pools.items() if host in hosts)
    if not found:
        every = set().union(*pools.values())
        raise NoSuchThingError(f"There is no server {host}", there_are(host, every))
    if len(found) > 1 and not scope.everywhere:
        text = f"{host} is in {len(found)} services: {named(found, _LISTED)}"
        raise ControlError(text, "Name those that are meant, or say --all")
    return found


def no_service(name: str, known: Collection[str]) -> NoSuchThingError:
    """What to raise where none of those that are known has this name."""
    return NoSuchThingError(f"There is no service {name or _EMPTY}", there_are(name, known))


def not_listed(host: str, service: str, hosts: Collection[str]) -> NoSuchThingError:
    """What to raise where a service has these servers alone."""
    return NoSuchThingError(f"{host} is not in the pool list of {service}", there_are(host, hosts))


def there_are(name: str, known: Collection[str], close: _Close = get_close_matches) -> str:
    """Which of the names that are known may have been meant; `close` finds those that are much
    like it, and takes long."""
    every = sorted(known)
    near = [each for each in every if each.startswith(name)][:3] if name else []
    at = bisect(every, name)
    beside = every[max(0, at - _COMPARED) : at + _COMPARED]
    near = list(dict.fromkeys([*near, *close(name[:_LONGEST], beside, 3)]))[:3]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"There are {named(every, _LISTED)}" if every else "There are none"
