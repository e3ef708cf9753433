"""Reads the monitors of a service and their options. Pure."""

from __future__ import annotations

from typing import Any

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.kinds import LITERAL_STRINGS, Kind
from pybal.config.monitor_kinds import MonitorKind, MonitorKinds
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings


def read_monitors(
    reader: SectionReader, kinds: MonitorKinds, version: int | None
) -> tuple[MonitorSettings, ...]:
    """The monitors of a service whose servers have addresses of an IP version, if that is known;
    those with an error are left out."""
    names = reader.get("monitors", _names_kind(kinds), ())
    if not names and not reader.is_bad("monitors"):
        reader.warn("monitors", "no monitors: the servers of this service are never checked")
    read = [_read_monitor(reader, kinds.by_name[name], version) for name in names]
    for key in reader.written_keys():
        monitor = kinds.option_keys.get(key)
        if reader.is_bad("monitors") and monitor is not None:
            reader.know(key)
        elif monitor is not None and monitor not in names:
            reader.ignore(key, f"no effect: {monitor} is not listed in monitors")
    return tuple(settings for settings in read if settings is not None)


def _names_kind(kinds: MonitorKinds) -> Kind[tuple[str, ...]]:
    known = kinds.by_name

    def parse(text: str) -> tuple[str, ...]:
        names = LITERAL_STRINGS.parse(text)
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise BadValueError(f"{name[:64]!r} is no monitor; {hint}".removesuffix("; "))
            if names.count(name) > 1:
                raise BadValueError(f"{name} is listed twice")
        return names

    return Kind(f"a list such as ['ProxyFetch'] of {', '.join(known)}", parse)


def _read_monitor(
    reader: SectionReader, kind: MonitorKind, version: int | None
) -> MonitorSettings | None:
    values: dict[str, Any] = {}
    for option in kind.options:
        key = kind.key(option)
        if option.required:
            value = reader.require(key, option.kind)
        else:
            value = reader.get(key, option.kind, None)
        if value is not None:
            values[option.field] = value
    if any(option.required and option.field not in values for option in kind.options):
        return None
    settings = kind.settings(**values)
    source = settings.source_address
    if source is not None and version is not None and source.version != version:
        key = f"{kind.name.lower()}.source-address"
        reader.error(key, f"must be an IPv{version} address, as those of the servers are")
    if kind.check is not None:
        kind.check(reader, settings)
    return settings
