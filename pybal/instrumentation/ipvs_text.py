"""What the kernel counts, as text of `/metrics`. Pure.

The largest configurations have 144,000 of these series, nearly all of which change from one scrape
to the next: prometheus_client would take seconds for them.
A line is the same in both formats; only the heads of counters differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from pybal.instrumentation.monitor_metrics import printable
from pybal.model import (
    DestinationStatistics,
    IPAddress,
    IPVSSnapshot,
    ServiceSnapshot,
    ServiceStatistics,
    Traffic,
)

_AVERAGE = "The kernel's average over some seconds"


@dataclass(frozen=True, slots=True)
class _Family:
    """A metric; `series` are the labels beyond those of the row, and the name of the value."""

    name: str
    help: str
    series: tuple[tuple[str, str], ...]

    @property
    def is_counter(self) -> bool:
        return self.name.endswith("_total")


def _both(before: str, after: str = "") -> tuple[tuple[str, str], ...]:
    return tuple((f',direction="{way}"', f"{before}_{way}{after}") for way in ("in", "out"))


_TRAFFIC = (
    _Family("connections_total", "Connections scheduled", (("", "connections"),)),
    _Family("packets_total", "Packets forwarded", _both("packets")),
    _Family("bytes_total", "Bytes forwarded", _both("bytes")),
    _Family("connections_per_second", _AVERAGE, (("", "connections_per_s"),)),
    _Family("packets_per_second", _AVERAGE, _both("packets", "_per_s")),
    _Family("bytes_per_second", _AVERAGE, _both("bytes", "_per_s")),
)
_CONNECTIONS = (
    _Family("connections_active", "Established now", (("", "active"),)),
    _Family("connections_inactive", "Known and not established now", (("", "inactive"),)),
    _Family("connections_persistent", "Clients bound to their server now", (("", "persistent"),)),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """The labels of a service or a server, rendered, and its numbers."""

    labels: str
    traffic: Traffic
    active: int
    inactive: int
    persistent: int


def statistics_text(
    ipvs: IPVSSnapshot, services: Iterable[ServiceSnapshot], *, as_openmetrics: bool
) -> str:
    """The families of services and of servers, each line ended; nothing if there are none."""
    if ipvs.statistics is None:
        return ""
    names = dict(ipvs.names)
    hosts = {service.name: _hosts(service) for service in services}
    of_services: list[_Row] = []
    of_servers: list[_Row] = []
    for each in ipvs.statistics:
        name = names.get(each.service, each.service)
        label = f'service="{_escaped(name)}"'
        of_services.append(_service_row(label, each))
        known = hosts.get(name, {})
        of_servers += [_server_row(label, known, one) for one in each.destinations]
    parts: list[str] = []
    for what, rows in (("service", of_services), ("server", of_servers)):
        for families, prefix in ((_TRAFFIC, "traffic."), (_CONNECTIONS, "")):
            for family in families:
                parts += _family(f"pybal_ipvs_{what}_", family, prefix, rows, as_openmetrics)
    return "".join(parts)


def _family(
    prefix: str, family: _Family, values: str, rows: Sequence[_Row], as_openmetrics: bool
) -> list[str]:
    full = f"{prefix}{family.name}"
    shown = full.removesuffix("_total") if as_openmetrics else full
    kind = "counter" if family.is_counter else "gauge"
    lines = [f"# HELP {shown} {family.help}\n# TYPE {shown} {kind}\n"]
    for extra, attribute in family.series:
        value: Callable[[_Row], int] = attrgetter(values + attribute)
        lines += [f"{full}{{{row.labels}{extra}}} {value(row)}\n" for row in rows]
    return lines


def _service_row(label: str, service: ServiceStatistics) -> _Row:
    found = service.destinations
    return _Row(
        label,
        service.traffic,
        sum(each.active for each in found),
        sum(each.inactive for each in found),
        sum(each.persistent for each in found),
    )


def _server_row(label: str, hosts: dict[IPAddress, str], server: DestinationStatistics) -> _Row:
    host = hosts.get(server.address, server.server)
    return _Row(
        f'{label},host="{_escaped(host)}",address="{server.server}"',
        server.traffic,
        server.active,
        server.inactive,
        server.persistent,
    )


def _hosts(service: ServiceSnapshot) -> dict[IPAddress, str]:
    """Where several share an address the first counts, as in the kernel."""
    return {
        server.address: server.host
        for server in reversed(service.servers)
        if server.address is not None
    }


def _escaped(text: str) -> str:
    return printable(text).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
