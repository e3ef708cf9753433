"""What is known of servers before their monitors report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pybal.config.settings import ServiceSettings
from pybal.held_change import ListPast
from pybal.ipvs.model import DestinationKey, ServiceEntry
from pybal.model import IPAddress, ServerSpec
from pybal.net.addresses import parse_address, why_unusable
from pybal.pool.departed import DepartedServers
from pybal.pool.desired import destination_key
from pybal.pool.events import Candidate

_LEFT_DOWN = "it was down when it left it"
_MISSED = "was missing from the kernel's table when PyBal started"


class NewServers:
    """Of one service. `adopted` is what stood in the kernel before the daemon started; it matters
    for the servers of the first list alone, whenever their names answer. `remembered(host, family)`
    is the address that the last run had last. Times are of a clock that does not jump."""

    def __init__(
        self,
        settings: ServiceSettings,
        adopted: ServiceEntry | None,
        remembered: Callable[[str, int], IPAddress | None],
    ) -> None:
        self._settings = settings
        self._remembered = remembered
        self._adopted = adopted
        self._late: dict[str, tuple[ServerSpec, ServiceEntry | None]] = {}
        """Servers that came without an address and have none yet; what stood when they came."""
        self._departed = DepartedServers()

    def candidate(
        self, spec: ServerSpec, address: IPAddress | None, objection: str, at: float
    ) -> Candidate:
        """A server that is new in the list; `objection` is what speaks against its address."""
        stood_pooled = self.stood_pooled(spec, address)
        if address is None:
            # How it stood can be said when its name answers.
            self._late[spec.host] = spec, self._adopted
            stood_pooled = None
        if self._departed.came(spec.host, address, at):
            objection = objection or _LEFT_DOWN
        return Candidate(spec, address is not None, stood_pooled, objection)

    def late_objection(self, host: str, address: IPAddress | None, at: float) -> str:
        """What speaks against the first address of a server that came without one; empty for all
        others."""
        if address is None or host not in self._late:
            return ""
        spec, adopted = self._late.pop(host)
        if self._departed.came(host, address, at):
            return _LEFT_DOWN
        if adopted is None or _stood_pooled(adopted, self._key(address), spec.weight):
            return ""
        return _MISSED

    def may_have_stood(self, host: str) -> bool:
        """Whether it is a server of the first list that has had no address yet."""
        _, adopted = self._late.get(host, (None, None))
        return adopted is not None

    def stood_pooled(self, spec: ServerSpec, address: IPAddress | None) -> bool | None:
        """Whether the kernel sent connections to it before the daemon started; None if that does
        not matter."""
        if self._adopted is None:
            return None
        return address is not None and _stood_pooled(self._adopted, self._key(address), spec.weight)

    def last_addresses(self, hosts: Iterable[str]) -> list[IPAddress]:
        """Where servers were when the last run ended, of those of which that is known."""
        family = self._settings.server_version
        found = (parse_address(host) or self._remembered(host, family) for host in hosts)
        return [address for address in found if address is not None]

    def former_addresses(
        self, hosts: Iterable[str], past: ListPast | None
    ) -> Mapping[str, IPAddress]:
        """Where servers worked when the last run ended, as far as that is known: that run said so,
        or remembered their names for addresses that the kernel sends connections to."""
        moving = dict(past.moving) if past is not None else {}
        found = ((host, self._former_address(host, moving.get(host))) for host in hosts)
        return {host: address for host, address in found if address is not None}

    def _former_address(self, host: str, kept: str | None) -> IPAddress | None:
        family = self._settings.server_version
        if kept is not None:
            address = parse_address(kept)
            if address is None or why_unusable(address) or address.version != family:
                return None
            return address
        remembered = self._remembered(host, family) if self._adopted is not None else None
        if self._adopted is None or remembered is None:
            return None
        stood = self._adopted.destinations.get(self._key(remembered))
        return remembered if stood is not None and stood.weight > 0 else None

    def first_list_is_in_force(self) -> None:
        """From now on nothing is new because the daemon is."""
        self._adopted = None

    def left_down(self, host: str, address: IPAddress | None, at: float) -> None:
        """A server that is down leaves the list."""
        self._departed.left_down(host, address, at)

    def _key(self, address: IPAddress) -> DestinationKey:
        return destination_key(self._settings, address)


def _stood_pooled(adopted: ServiceEntry, key: DestinationKey, weight: int) -> bool:
    """Whether the kernel sent connections to a server: a weight of 0 that is not the server's own
    is left of a drain."""
    stood = adopted.destinations.get(key)
    return stood is not None and (stood.weight > 0 or weight == 0)
