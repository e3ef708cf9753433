"""Servers that were down when they left the pool, so that they do not come back as up. Pure."""

from __future__ import annotations

from collections import OrderedDict

from pybal.model import IPAddress
from pybal.net.addresses import same_host

REMEMBERED_S = 600.0
_MOST = 4096


class DepartedServers:
    """The dead that a pool list removed within REMEMBERED_S. They are known by name and by address,
    as a server may come back under another name. Times are of a clock that does not jump."""

    def __init__(self) -> None:
        self._left_at: OrderedDict[str | IPAddress, float] = OrderedDict()

    def left_down(self, host: str, address: IPAddress | None, at: float) -> None:
        """The server left the pool `at`, and was down."""
        for key in _keys(host, address):
            self._left_at[key] = at
            self._left_at.move_to_end(key)
        while len(self._left_at) > _MOST:
            self._left_at.popitem(last=False)

    def came(self, host: str, address: IPAddress | None, at: float) -> bool:
        """Whether a server that comes now is known to be down. It is forgotten with that: from
        here on its monitors speak for it."""
        found = [self._left_at.pop(key, None) for key in _keys(host, address)]
        return any(left_at is not None and at < left_at + REMEMBERED_S for left_at in found)


def _keys(host: str, address: IPAddress | None) -> tuple[str | IPAddress, ...]:
    name = same_host(host)
    return (name,) if address is None else (name, address)
