"""What is known of servers before their monitors report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import DestinationKey, ServiceEntry
from pybal.kept_change import ListPast
from pybal.model import IPAddress, ServerSpec, SourceList
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
        self._last_run: Mapping[str, ServerSpec] = {}
        self._unproven: frozenset[str] = frozenset()

    def begin_with(self, found: SourceList, listed: Container[str]) -> list[IPAddress]:
        """A list has come, the first one with what the last run left behind. Returns the last known
        addresses of servers of the last run's list that are not in `listed`."""
        self._last_run = {spec.host: spec for spec in found.last_run}
        if found.past is not None:
            self._departed.after(found.past.departed)
            self._unproven = frozenset(found.past.unproven)
        known = (self._last_address(host) for host in self._last_run if host not in listed)
        return [address for address in known if address is not None]

    def candidate(
        self, spec: ServerSpec, address: IPAddress | None, objection: str, at: float
    ) -> Candidate:
        """A server that is new in the list; `objection` is what speaks against its address."""
        stood_pooled = self.stood_pooled(spec, address)
        self._late.pop(spec.host, None)
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

    def _last_address(self, host: str) -> IPAddress | None:
        return parse_address(host) or self._remembered(host, self._settings.server_version)

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

    def first_list_is_in_force(self, listed: Container[str], at: float) -> None:
        """From now on nothing is new because the daemon is. Who was down when the last run ended,
        and is no longer `listed`, has left since."""
        gone = [each for host, each in self._last_run.items() if host not in listed]
        down = [spec.host for spec in gone if self._was_down(spec)]
        self.left_down({host: self._last_address(host) for host in down}, at)
        self._last_run, self._unproven = {}, frozenset()
        self._adopted = None

    def _was_down(self, spec: ServerSpec) -> bool:
        """As the last run said, or as the kernel shows, if it had no time to say so."""
        address = self._last_address(spec.host)
        served = spec.enabled and spec.weight > 0 and address is not None
        return spec.host in self._unproven or (served and self.stood_pooled(spec, address) is False)

    def left_down(self, servers: Mapping[str, IPAddress | None], at: float) -> None:
        """Servers that were down are no longer listed; with their addresses."""
        for host, address in servers.items():
            self._departed.left_down(host, address, at)

    def left(self, host: str, address: IPAddress | None, at: float, *, down: bool) -> None:
        """A server leaves the list. How it stood when it came does not matter any more."""
        self._late.pop(host, None)
        if down:
            self._departed.left_down(host, address, at)

    def departed(self, at: float) -> tuple[tuple[str, float], ...]:
        """Those that left so, for the next run: see ListPast."""
        return self._departed.past(at)

    def _key(self, address: IPAddress) -> DestinationKey:
        return destination_key(self._settings, address)


def _stood_pooled(adopted: ServiceEntry, key: DestinationKey, weight: int) -> bool:
    """Whether the kernel sent connections to a server: a weight of 0 that is not the server's own
    is left of a drain."""
    stood = adopted.destinations.get(key)
    return stood is not None and (stood.weight > 0 or weight == 0)
