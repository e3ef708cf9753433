"""What would be announced, shown and told to nobody."""

from __future__ import annotations

from twisted.logger import Logger

from pybal.announce.wishes import words
from pybal.bgp.advertisement import Advertisement
from pybal.model import IPAddress


class DryRunFailover:
    """Stands where BGPFailover would: each change of what is to be announced is a line."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._announced: dict[str, tuple[Advertisement, ...]] = {}

    def set_announced(self, service: str, wanted: tuple[Advertisement, ...] | None) -> None:
        """See BGPFailover."""
        for each in self._announced.pop(service, ()):
            if each not in (wanted or ()):
                self._say("withdraw", service, each)
        if wanted:
            self._announced[service] = wanted
            for each in wanted:
                self._say("announce", service, each)

    def set_own(self, service: str, address: IPAddress | None) -> None:
        """See BGPFailover."""

    def first_routes_complete(self) -> None:
        """See BGPFailover."""

    def _say(self, what: str, service: str, wish: Advertisement) -> None:
        address = wish.address
        self._log.info(
            "Dry run: would {what} {prefix} for {service}",
            what=what,
            prefix=f"{address}/{address.max_prefixlen}",
            service=words(service),
        )
