"""The monitors that a pybal.conf may name: their options, and how a service's are read. Pure.

Each monitor is described by its own file (pybal/monitors), which this room does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.foreign_words import monitor_instead_of
from pybal.config.kinds import HOST_ADDRESS, LITERAL_STRINGS, PORT, SECONDS, Kind, integer
from pybal.config.monitor_checks import check_common
from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.errors import in_one_line
from pybal.runtime.naming import shortened


class Option(NamedTuple):
    """One option: its name in pybal.conf, its field in the settings, its kind."""

    name: str
    field: str
    kind: Kind[Any]
    required: bool = False


COMMON_OPTIONS = (
    Option("rise", "rise", integer(1, 100)),
    Option("fall", "fall", integer(1, 100)),
    Option("interval", "interval_s", SECONDS),
    Option("timeout", "timeout_s", SECONDS),
    Option("source-address", "source_address", HOST_ADDRESS),
    Option("port", "port", PORT),
)
"""What every monitor can be told, unless it lacks it."""


class MonitorKind(NamedTuple):
    """One monitor as pybal.conf knows it: its settings' type (which holds name and defaults)
    and its own options. `lacks` names the common options that mean nothing to it. `check` may
    note what is wrong with options that are good each by itself."""

    settings: type[MonitorSettings]
    own_options: tuple[Option, ...] = ()
    lacks: frozenset[str] = frozenset()
    check: Callable[[SectionReader, Any], None] | None = None

    @property
    def name(self) -> str:
        return self.settings.monitor

    @property
    def options(self) -> tuple[Option, ...]:
        common = (option for option in COMMON_OPTIONS if option.name not in self.lacks)
        return (*self.own_options, *common)

    def key(self, option: Option) -> str:
        return f"{self.name.lower()}.{option.name}"


class MonitorKinds:
    """The monitors that a pybal.conf may name."""

    def __init__(self, kinds: Iterable[MonitorKind]) -> None:
        self.by_name: Mapping[str, MonitorKind] = {kind.name: kind for kind in kinds}
        self.option_keys: Mapping[str, str] = {
            kind.key(option): kind.name for kind in self.by_name.values() for option in kind.options
        }
        """Every `monitor.option` key -> the monitor's name."""


def read_monitors(
    reader: SectionReader, kinds: MonitorKinds, version: int | None
) -> tuple[MonitorSettings, ...]:
    """The monitors of a service whose servers have addresses of an IP version, if that is known;
    those with an error are left out."""
    names = reader.get("monitors", _names_kind(kinds), ())
    if not names and not reader.is_bad("monitors"):
        reader.warn("monitors", "no monitors: the servers of this service are never checked")
    read = [_read_safely(reader, kinds.by_name[name], version) for name in names]
    for key in reader.written_keys():
        monitor = kinds.option_keys.get(key)
        if reader.is_bad("monitors") and monitor is not None:
            reader.know(key)
        elif monitor is not None and monitor not in names:
            reader.ignore(key, f"no effect: {monitor} is not listed in monitors")
    return tuple(settings for settings in read if settings is not None)


def _two_of(name: str, known: Collection[str]) -> str:
    """Where two names have become one, for want of a comma, as Python reads them."""
    for first in known:
        if name.startswith(first) and (second := name.removeprefix(first)) in known:
            return f"is a comma missing between {first} and {second}?"
    return ""


def _names_kind(kinds: MonitorKinds) -> Kind[tuple[str, ...]]:
    known = kinds.by_name

    def parse(text: str) -> tuple[str, ...]:
        names = LITERAL_STRINGS.parse(text)
        for name in names:
            if name not in known:
                instead = monitor_instead_of(name)
                hint = f"use {instead}" if instead else _two_of(name, known)
                hint = hint or did_you_mean(name, known)
                text = f"{shortened(name, 64)!r} is no monitor; {hint}"
                raise BadValueError(text.removesuffix("; "))
            if names.count(name) > 1:
                raise BadValueError(f"{name} is listed twice")
        return names

    return Kind(f"a list such as ['ProxyFetch'] of {', '.join(known)}", parse)


def _read_safely(
    reader: SectionReader, kind: MonitorKind, version: int | None
) -> MonitorSettings | None:
    try:
        return _read_monitor(reader, kind, version)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in's mistake
        reader.error("monitors", f"{kind.name} cannot read its options: {in_one_line(error)}")
        return None


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
    check_common(reader, settings)
    if kind.check is not None:
        kind.check(reader, settings)
    return settings
