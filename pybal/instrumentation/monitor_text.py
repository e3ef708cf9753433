"""The monitors' part of `/metrics` as text, each server's lines kept until it changes. Pure.

The largest configurations have 70,000 series of monitors, of which a few hundred change from one
scrape to the next; to make them all anew with prometheus_client takes more than a second.
A line is the same in both formats; only the heads of counters differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.utils import floatToGoString

from pybal.instrumentation.monitor_metrics import Family, families_of, no_families
from pybal.model import ServerSnapshot, ServiceSnapshot

_Lines = tuple[tuple[str, str], ...]
"""Name of a family, and a server's lines of it."""


class MonitorText:
    """Renders the families of all monitors. Not to be used by two threads at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[ServerSnapshot, _Lines]] = {}
        self._heads = {family.name: family for family in no_families()}

    def render(self, services: Sequence[ServiceSnapshot], *, as_openmetrics: bool) -> str:
        """All families, in a stable order, each line ended."""
        before, self._known = self._known, {}
        parts: dict[str, list[str]] = {name: [] for name in self._heads}
        for service in services:
            for server in service.servers:
                key = service.name, server.host
                known = before.get(key)
                if known is None or known[0] is not server:
                    known = server, self._lines(families_of(service.name, server, self._heads))
                self._known[key] = known
                for name, text in known[1]:
                    parts.setdefault(name, []).append(text)
        return "".join(
            text
            for name, lines in parts.items()
            for text in (_head(self._heads[name], as_openmetrics=as_openmetrics), *lines)
        )

    def _lines(self, families: Iterable[Family]) -> _Lines:
        lines = []
        for family in families:
            if family.series:
                self._heads.setdefault(family.name, family)
                lines.append((family.name, "".join(_samples(family))))
        return tuple(lines)


def _samples(family: Family) -> Iterable[str]:
    for values, value in family.series.items():
        labels = ",".join(
            f'{name}="{_escaped(text)}"' for name, text in zip(family.labels, values, strict=True)
        )
        number: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # in one release
        yield f"{family.name}{{{labels}}} {number}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _head(family: Family, *, as_openmetrics: bool) -> str:
    name = family.name.removesuffix("_total") if as_openmetrics else family.name
    kind = "counter" if family.is_counter else "gauge"
    return f"# HELP {name} {family.help}\n# TYPE {name} {kind}\n"
