"""The monitors' part of `/metrics` as text, each service's lines kept until it changes. Pure.

The largest configurations have 70,000 series of monitors, of which a few thousand change from one
scrape to the next.
A line is the same in both formats; only the heads of counters differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.utils import floatToGoString

from pybal.instrumentation.metric_head import metric_head
from pybal.instrumentation.monitor_metrics import Family, families_of, no_families
from pybal.model import MetricFamily, ServerSnapshot, ServiceSnapshot

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
                known = self._known[service.name] = service.servers, self._lines(service)
                yield b""
            for name, lines in known[1].items():
                parts.setdefault(name, []).append(lines)
        for gone in self._known.keys() - {service.name for service in services}:
            del self._known[gone]
        for name, pieces in parts.items():
            help_ = self._heads[name].help
            yield metric_head(name, help_, as_openmetrics=as_openmetrics)
            yield from pieces

    def _lines(self, service: ServiceSnapshot) -> _Lines:
        lines = {}
        families = families_of(service.name, service.servers, self._declared, self._heads)
        for name, family in families.items():
            if family.series:
                self._heads.setdefault(name, Family(name, family.help, family.extra_labels))
                lines[name] = "".join(
                    [f"{name}{{{labels}}} {_number(v)}\n" for labels, v in family.series.items()]
                ).encode()
        return lines


def _number(value: float) -> str:
    number: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # in one release
    return number
