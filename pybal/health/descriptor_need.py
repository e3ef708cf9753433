"""Whether there are as many descriptors as all servers' monitors need: said before they are
missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pybal.config.settings import ServiceSettings

OTHERS = 512
"""What sources, peers, requests and checks that are under way may take beside kept connections,
and what is kept back for them (main.LEFT_DESCRIPTORS)."""

_GROWN = 1.1


def kept_connections(service: ServiceSettings, servers: int) -> int:
    """How many connections the service's monitors keep open if it has so many servers."""
    return servers * sum(not monitor.has_beat for monitor in service.monitors)


def shortage(kept: int, limit: int) -> str:
    """What to say if so many connections are to be kept; empty if there is room."""
    needed = kept + OTHERS
    if needed <= limit:
        return ""
    if not kept:
        return (
            f"This process may have {limit} descriptors, and takes up to {needed}: some servers"
            f" cannot be checked. Allow it more (LimitNOFILE={_round(needed)} in its unit)"
        )
    return (
        f"{kept} connections are to be kept open (IdleConnection), which takes about {needed}"
        f" descriptors, and this process may have {limit}: some servers cannot be checked. Allow it"
        f" more (LimitNOFILE={_round(needed)} in its unit; fs.nr_open is the most), or check some"
        " services by TCPCheck"
    )


def _round(needed: int) -> int:
    """With some room, a number that people would write."""
    return -(-needed * 5 // 4 // 1024) * 1024


class DescriptorNeed:
    """Says so once, and again when it has grown by a tenth."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._told: int | None = None
        self._kept: dict[str, int] | None = None
        self._sum = 0

    def grown(self, service: str, kept: int, of_all: Callable[[], Mapping[str, int]]) -> str:
        """A service keeps so many connections now. What is to be logged now; empty if nothing is.
        `of_all` counts those of each service: asked where it may matter, as at a start each of
        hundreds of services says that it has grown."""
        if self._kept is not None:
            self._sum += kept - self._kept.get(service, 0)
            self._kept[service] = kept
        # Services that have left are in the sum still.
        if self._kept is None or shortage(self._sum, self._limit):
            self._kept = dict(of_all())
            self._sum = sum(self._kept.values())
        return self.look((self._sum,))

    def forget(self) -> None:
        """Other services or monitors: the next one that grows has all counted anew."""
        self._kept = None

    def look(self, kept: Iterable[int]) -> str:
        """`kept` is by service. What is to be logged now; empty if nothing is."""
        total = sum(kept)
        text = shortage(total, self._limit)
        if not text:
            self._told = None
            return ""
        if self._told is not None and total < max(self._told * _GROWN, self._told + 1):
            return ""
        self._told = total
        return text
