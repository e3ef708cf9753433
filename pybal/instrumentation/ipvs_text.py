"""What the kernel counts, as text of `/metrics`. Pure.

The largest configurations have 144,000 of these series, nearly all of which change from one scrape
to the next: prometheus_client would take seconds for them.
A line is the same in both formats; only the heads of counters differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pybal.instrumentation.metric_head import metric_head
from pybal.instrumentation.monitor_metrics import escaped
from pybal.ipvs.snapshot import IPVSSnapshot, ServiceStatistics, Traffic
from pybal.model import IPAddress, ServiceSnapshot

_AVERAGE = "The kernel's average over some seconds"


class _Family(NamedTuple):
    """A metric; `series` are the labels beyond those of the row, one for each value of it. They go
    between the row's: labels are sorted by name."""

    name: str
    help: str
    series: tuple[str, ...] = ("",)


_BOTH_WAYS = ('direction="in",', 'direction="out",')
_FAMILIES = (
    _Family("connections_total", "Connections scheduled"),
    _Family("packets_total", "Packets forwarded", _BOTH_WAYS),
    _Family("bytes_total", "Bytes forwarded", _BOTH_WAYS),
    _Family("connections_per_second", _AVERAGE),
    _Family("packets_per_second", _AVERAGE, _BOTH_WAYS),
    _Family("bytes_per_second", _AVERAGE, _BOTH_WAYS),
    _Family("connections_active", "Established now"),
    _Family("connections_inactive", "Known and not established now"),
    _Family("connections_persistent", "Clients bound to their server now"),
)
_OF_SERVERS = (*_FAMILIES, _Family("weight", "Weight that the kernel gives it now"))
_Values = tuple[int, ...]
"""Those of all series of _FAMILIES, in that order."""


def _values(traffic: Traffic, active: int, inactive: int, persistent: int) -> _Values:
    return (
        traffic.connections,
        traffic.packets_in,
        traffic.packets_out,
        traffic.bytes_in,
        traffic.bytes_out,
        traffic.connections_per_s,
        traffic.packets_in_per_s,
        traffic.packets_out_per_s,
        traffic.bytes_in_per_s,
        traffic.bytes_out_per_s,
        active,
        inactive,
        persistent,
    )


def statistics_text(
    ipvs: IPVSSnapshot,
    services: Iterable[ServiceSnapshot],
    *,
    as_openmetrics: bool,
    with_servers: bool,
) -> Iterator[bytes]:
    """The families of services and, if they are wanted, of servers, each line ended, nothing if
    there are none; in pieces, an empty one after each few milliseconds of work."""
    if ipvs.statistics is None:
        return
    names = dict(ipvs.names)
    configured = {service.name: service for service in services}
    of_services = _Table("pybal_ipvs_service_", _FAMILIES)
    of_servers = _Table("pybal_ipvs_server_", _OF_SERVERS)
    for each in ipvs.statistics:
        name = names.get(each.service, each.service)
        of_services.add([("", f'service="{escaped(name)}"')], [_service_values(each)])
        if with_servers:
            _add_servers(of_servers, each, name, configured.get(name))
        yield b""
    for table in (of_services, of_servers) if with_servers else (of_services,):
        yield from table.text(as_openmetrics=as_openmetrics)


_Row = tuple[str, str]
"""The labels before and after those of a series."""


class _Table:
    """The lines of all families, by series."""

    def __init__(self, prefix: str, families: Sequence[_Family]) -> None:
        self._families = [(f"{prefix}{family.name}", family) for family in families]
        self._lines: list[tuple[str, str, list[bytes]]] = [
            (name, extra, []) for name, family in self._families for extra in family.series
        ]

    def add(self, labels: Sequence[_Row], values: Sequence[_Values]) -> None:
        """A line for each of these, in each series."""
        for (name, extra, lines), column in zip(
            self._lines, zip(*values, strict=True), strict=False
        ):
            rows = zip(labels, column, strict=True)
            text = "".join(
                [f"{name}{{{before}{extra}{after}}} {value}\n" for (before, after), value in rows]
            )
            lines.append(text.encode())

    def text(self, *, as_openmetrics: bool) -> Iterator[bytes]:
        """All families."""
        series = iter(self._lines)
        for name, family in self._families:
            yield metric_head(name, family.help, as_openmetrics=as_openmetrics)
            for _, (_, _, lines) in zip(family.series, series, strict=False):
                yield from lines


def _add_servers(
    table: _Table, statistics: ServiceStatistics, name: str, service: ServiceSnapshot | None
) -> None:
    hosts = _hosts(service)
    table.add(
        [
            (
                f'address="{one.server}",',
                f'host="{hosts.get(one.address) or escaped(one.server)}",service="{escaped(name)}"',
            )
            for one in statistics.destinations
        ],
        [
            (*_values(one.traffic, one.active, one.inactive, one.persistent), one.weight)
            for one in statistics.destinations
        ],
    )


def _service_values(service: ServiceStatistics) -> _Values:
    found = service.destinations
    return _values(
        service.traffic,
        sum(each.active for each in found),
        sum(each.inactive for each in found),
        sum(each.persistent for each in found),
    )


def _hosts(service: ServiceSnapshot | None) -> dict[IPAddress, str]:
    """Names, escaped. Where several share an address the first counts, as in the kernel."""
    if service is None:
        return {}
    return {
        server.address: escaped(server.host)
        for server in reversed(service.servers)
        if server.address is not None
    }
