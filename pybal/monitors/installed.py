"""The monitors that are installed: our own, and those of other packages, which name them as entry
points of the group `pybal.monitors` (docs/monitor-plugin.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from pybal.config.kinds import Kind
from pybal.config.settings import MonitorSettings
from pybal.errors import PyBalError, in_one_line
from pybal.monitors.monitor_type import MonitorType
from pybal.monitors.registry import BUILT_IN, MonitorTypes

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "pybal.monitors"
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
_TAKEN_LABELS = {"service", "host", "monitor"}


class PluginError(PyBalError):
    """An installed monitor cannot be used: which, of which package, and why."""


def installed_monitors(entry_points: Iterable[EntryPoint]) -> MonitorTypes:
    """All monitors by name. Raises PluginError: a check that is silently missing is worse than
    no start, whether or not the configuration names it."""
    types = dict(BUILT_IN)
    taken = {name.lower() for name in types}
    for entry_point in entry_points:
        package = "" if entry_point.dist is None else f" of {entry_point.dist.name}"
        where = f"monitor {entry_point.name}{package} ({entry_point.value})"
        if entry_point.name.lower() in taken:
            raise PluginError(f"{where}: there is another monitor of that name")
        taken.add(entry_point.name.lower())
        types[entry_point.name] = _load(entry_point, where)
    return types


def _load(entry_point: EntryPoint, where: str) -> MonitorType:
    try:
        found = entry_point.load()
    except (Exception, SystemExit) as error:  # a stranger's code: whatever it raises is the reason
        raise PluginError(f"{where} cannot be loaded: {in_one_line(error)}") from error
    if not isinstance(found, MonitorType):
        raise PluginError(f"{where} is no MonitorType but of type {type(found).__name__}")
    try:
        fault = _fault(found, entry_point.name)
    except Exception as error:  # what is in it is of other types, in any place
        raise PluginError(f"{where} does not fit: {in_one_line(error)}") from error
    if fault:
        raise PluginError(f"{where} {fault}")
    return found


def _fault(found: Any, name: str) -> str:
    """What does not fit; any part may be of another type, and raise whatever that does."""
    if found.name != name:
        return f"calls itself {found.name}"
    if not callable(found.factory) or not callable(found.notes):
        return "does not fit: its factory and its notes must be functions"
    if missing := getattr(found.factory, "__abstractmethods__", None):
        return f"does not fit: {', '.join(sorted(missing))} of its class is missing"
    fault = _fault_of_options(found.kind) or _fault_of_metrics(found)
    return f"does not fit: {fault}" if fault else ""


def _fault_of_options(kind: Any) -> str:
    """What does not fit between the options and the settings."""
    if not issubclass(kind.settings, MonitorSettings):
        return "its settings are no MonitorSettings"
    if kind.check is not None and not callable(kind.check):
        return "its check must be a function"
    for option in kind.options:
        if not isinstance(option.name, str) or not isinstance(option.kind, Kind):
            return f"an option has a name and a kind, but there is {option!r:.200}"
    names = [option.name for option in kind.options]
    if len(names) != len(set(names)):
        return "an option is declared twice, or has the name of one that each monitor has"
    known = {field.name for field in fields(kind.settings)}
    for option in kind.options:
        if option.field not in known:
            return f"the option {option.name} has no field {option.field} in the settings"
    required = {option.field for option in kind.options if option.required}
    for field in fields(kind.settings):
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if not has_default and field.name not in required:
            return f"the field {field.name} has neither a default nor a required option"
    return ""


def _fault_of_metrics(found: MonitorType) -> str:
    """What would make `/metrics` unreadable, or is another monitor's."""
    if not _NAME.fullmatch(found.name):
        return "its name is part of names of metrics: letters, digits and underscores only"
    prefix = f"pybal_monitor_{found.name.lower()}_"
    for family in found.metrics:
        if not family.name.startswith(prefix) or not _NAME.fullmatch(family.name):
            return f"the name of the metric {family.name} must begin with {prefix}"
        if not all(map(_NAME.fullmatch, family.labels)) or _TAKEN_LABELS & set(family.labels):
            return f"the metric {family.name} cannot have the labels {', '.join(family.labels)}"
        if not family.help.isprintable():
            return f"the help of the metric {family.name} must be one line"
    names = [family.name for family in found.metrics]
    return "a metric is declared twice" if len(names) != len(set(names)) else ""
