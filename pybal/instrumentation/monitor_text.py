"""The monitors' part of `/metrics` as text, each service's lines kept until it changes. Pure.

The largest configurations have 70,000 series of monitors, of which a few thousand change from one
scrape to the next.
A line is the same in both formats; only the heads of counters differ.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from prometheus_client.utils import floatToGoString

from pybal.instrumentation.metric_head import metric_head
from pybal.instrumentation.monitor_metrics import Family, families_of, no_families
from pybal.model import MetricFamily, ServerSnapshot, ServiceSnapshot

_PIECE = 100
"""So many servers' lines are some milliseconds' work."""

_Lines = dict[str, bytes]
"""By the name of a family, a service's lines of it."""


class MonitorText:
    """Renders the families of all monitors; `declared` are those of single kinds."""

    def __init__(self, declared: Sequence[MetricFamily]) -> None:
        self._declared = declared
        self._known: dict[str, tuple[tuple[ServerSnapshot, ...], _Lines]] = {}
        self._heads = no_families(declared)

    def render(
        self, services: Sequence[ServiceSnapshot], *, as_openmetrics: bool
    ) -> Iterator[bytes]:
        """All families, in a stable order, each line ended; in pieces, an empty one after each
        few milliseconds of work."""
        parts: dict[str, list[bytes]] = {name: [] for name in self._heads}
        for service in services:
            known = self._known.get(service.name)
            if known is None or known[0] is not service.servers:
                made = yield from self._lines(service)
                known = self._known[service.name] = service.servers, made
            for name, lines in known[1].items():
                parts.setdefault(name, []).append(lines)
        for gone in self._known.keys() - {service.name for service in services}:
            del self._known[gone]
        for name, pieces in parts.items():
            help_ = self._heads[name].help
            yield metric_head(name, help_, as_openmetrics=as_openmetrics)
            yield from pieces

    def _lines(self, service: ServiceSnapshot) -> Generator[bytes, None, _Lines]:
        found: dict[str, list[str]] = {}
        servers = service.servers
        for start in range(0, len(servers), _PIECE):
            piece = servers[start : start + _PIECE]
            families = families_of(service.name, piece, self._declared, self._heads)
            for name, family in families.items():
                if family.series:
                    self._heads.setdefault(name, Family(name, family.help, family.extra_labels))
                    lines = (f"{name}{{{at}}} {_number(v)}\n" for at, v in family.series.items())
                    found.setdefault(name, []).extend(lines)
            yield b""
        return {name: "".join(lines).encode() for name, lines in found.items()}


def _number(value: float) -> str:
    number: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # in one release
    return number
