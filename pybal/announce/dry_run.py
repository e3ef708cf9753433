"""What would be announced, shown and told to nobody."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

from pybal.announce.wishes import words
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.prefix import Prefix, prefixes_of
from pybal.model import IPAddress

_EXTRA = "advertised_instrumentation_ips of [global]"
"""No service is called so: their names hold no blanks."""


class DryRunFailover:
    """Stands where BGPFailover would: each change of what is to be announced is a line."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._announced: dict[str, frozenset[Prefix]] = {}

    def set_extra(self, addresses: Iterable[IPAddress]) -> None:
        """From now on these are announced besides those of services."""
        self.set_announced(_EXTRA, tuple(map(Advertisement, addresses)))

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        """See BGPFailover."""
        before = self._announced.pop(service, frozenset())
        now = frozenset(prefix for wish in wanted or () for prefix in prefixes_of(wish))
        if now:
            self._announced[service] = now
        self._say("withdraw", service, before - now)
        self._say("announce", service, now - before)

    def set_own(self, service: str, address: IPAddress | None) -> None:
        """See BGPFailover."""

    def first_routes_complete(self) -> None:
        """See BGPFailover."""

    def _say(self, what: str, service: str, prefixes: frozenset[Prefix]) -> None:
        for prefix in sorted(prefixes):
            self._log.info(
                "Dry run: would {what} {prefix} for {service}",
                what=what,
                prefix=prefix,
                service=words(service),
            )
