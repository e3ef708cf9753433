"""Servers that were down when they left the pool, so that they do not come back as up. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from pybal.model import IPAddress
from pybal.net.addresses import parse_address, same_host

REMEMBERED_S = 600.0
_MOST = 4096


class DepartedServers:
    """The dead that a pool list removed within REMEMBERED_S. They are known by name and by address,
    as a server may come back under another name. Times are of a clock that does not jump.
    `past` and `after` are for the next run."""

    def __init__(self) -> None:
        self._left_at: OrderedDict[str | IPAddress, float] = OrderedDict()

    def left_down(self, host: str, address: IPAddress | None, at: float) -> None:
        """The server left the pool `at`, and was down."""
        for key in _keys(host, address):
            self._put(key, at)

    def came(self, host: str, address: IPAddress | None, at: float) -> bool:
        """Whether a server that comes now is known to be down. It is forgotten with that: from
        here on its monitors speak for it."""
        if not self._left_at:
            return False
        found = [self._left_at.pop(key, None) for key in _keys(host, address)]
        return any(left_at is not None and at < left_at + REMEMBERED_S for left_at in found)

    def past(self, at: float) -> tuple[tuple[str, float], ...]:
        """Who is remembered, and when each left."""
        known = self._left_at.items()
        return tuple((str(key), when) for key, when in known if at < when + REMEMBERED_S)

    def after(self, past: Iterable[tuple[str, float]]) -> None:
        """What another run remembered."""
        for text, when in past:
            self._put(parse_address(text) or same_host(text), when)

    def _put(self, key: str | IPAddress, at: float) -> None:
        self._left_at[key] = at
        self._left_at.move_to_end(key)
        while len(self._left_at) > _MOST:
            self._left_at.popitem(last=False)


def _keys(host: str, address: IPAddress | None) -> tuple[str | IPAddress, ...]:
    name = same_host(host)
    return (name,) if address is None else (name, address)
