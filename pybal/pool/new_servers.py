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


class NewServers:
    """Of one service. `adopted` is what stood in the kernel before the daemon started; it matters
    for the first list alone. `remembered(host, family)` is the address that the last run had last.
    Times are of a clock that does not jump."""

    def __init__(
        self,
        settings: ServiceSettings,
        adopted: ServiceEntry | None,
        remembered: Callable[[str, int], IPAddress | None],
    ) -> None:
        self._settings = settings
        self._remembered = remembered
        self._adopted = adopted
        self._departed = DepartedServers()

    def candidate(
        self, spec: ServerSpec, address: IPAddress | None, objection: str, at: float
    ) -> Candidate:
        """A server that is new in the list; `objection` is what speaks against its address."""
        stood_pooled = self.stood_pooled(spec, address)
        if self._departed.came(spec.host, address, at):
            objection = objection or "it was down when it left it"
        return Candidate(spec, address is not None, stood_pooled, objection)

    def stood_pooled(self, spec: ServerSpec, address: IPAddress | None) -> bool | None:
        """Whether the kernel sent connections to it before the daemon started; None if that does
        not matter."""
        if self._adopted is None:
            return None
        key = None if address is None else destination_key(self._settings, address)
        return key is not None and _stood_pooled(self._adopted, key, spec.weight)

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
        stood = self._adopted.destinations.get(destination_key(self._settings, remembered))
        return remembered if stood is not None and stood.weight > 0 else None

    def first_list_is_in_force(self) -> None:
        """From now on nothing is new because the daemon is."""
        self._adopted = None

    def left_down(self, host: str, address: IPAddress | None, at: float) -> None:
        """A server that is down leaves the list."""
        self._departed.left_down(host, address, at)


def _stood_pooled(adopted: ServiceEntry, key: DestinationKey, weight: int) -> bool:
    """Whether the kernel sent connections to a server: a weight of 0 that is not the server's own
    is left of a drain."""
    stood = adopted.destinations.get(key)
    return stood is not None and (stood.weight > 0 or weight == 0)
