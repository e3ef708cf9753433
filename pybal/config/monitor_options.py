"""The monitors by name, and the options of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybal.config.bad_value import BadValueError, did_you_mean
from pybal.config.kinds import (
    ABSOLUTE_PATH,
    ARGUMENTS,
    BOOLEAN,
    HEADER_VALUE,
    HOST_NAMES,
    HTTP_URLS,
    LITERAL_STRINGS,
    SECONDS,
    SECONDS_OR_ZERO,
    Kind,
    integer,
)
from pybal.config.section import SectionReader
from pybal.config.settings import (
    DNSQuerySettings,
    IdleConnectionSettings,
    MonitorSettings,
    ProxyFetchSettings,
    RunCommandSettings,
    UDPSettings,
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name in pybal.conf, its field in the settings, its kind."""

    name: str
    field: str
    kind: Kind[Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class MonitorKind:
    """One monitor: its settings' type (which holds the defaults) and its options."""

    name: str
    settings: type[MonitorSettings]
    options: tuple[Option, ...]

    def key(self, option: Option) -> str:
        return f"{self.name.lower()}.{option.name}"


_INTERVAL = Option("interval", "interval_s", SECONDS)
_TIMEOUT = Option("timeout", "timeout_s", SECONDS)

# The limits of TCP keepalive are the kernel's (include/net/tcp.h).
_KINDS = (
    MonitorKind(
        "IdleConnection",
        IdleConnectionSettings,
        (
            Option("timeout-clean-reconnect", "timeout_clean_reconnect_s", SECONDS_OR_ZERO),
            Option("max-delay", "max_delay_s", SECONDS),
            Option("keepalive", "keepalive", BOOLEAN),
            Option("keepalive-retries", "keepalive_retries", integer(1, 127)),
            Option("keepalive-idle", "keepalive_idle_s", integer(1, 32767)),
            Option("keepalive-interval", "keepalive_interval_s", integer(1, 32767)),
        ),
    ),
    MonitorKind(
        "ProxyFetch",
        ProxyFetchSettings,
        (
            Option("url", "urls", HTTP_URLS, required=True),
            _INTERVAL,
            _TIMEOUT,
            Option("http_status", "http_status", integer(100, 599, "an HTTP status")),
            Option("check_all", "check_all", BOOLEAN),
            Option("max_failures", "max_failures", integer(0, 10**6)),
            Option("user-agent", "user_agent", HEADER_VALUE),
            Option("tls-verify", "tls_verify", BOOLEAN),
        ),
    ),
    MonitorKind(
        "DNSQuery",
        DNSQuerySettings,
        (
            Option("hostnames", "hostnames", HOST_NAMES, required=True),
            _INTERVAL,
            _TIMEOUT,
            Option("fail-on-nxdomain", "fail_on_nxdomain", BOOLEAN),
        ),
    ),
    MonitorKind(
        "UDP",
        UDPSettings,
        (_INTERVAL, Option("icmp-timeout", "icmp_timeout_s", SECONDS_OR_ZERO)),
    ),
    MonitorKind(
        "RunCommand",
        RunCommandSettings,
        (
            Option("command", "command", ABSOLUTE_PATH, required=True),
            Option("arguments", "arguments", ARGUMENTS),
            _INTERVAL,
            _TIMEOUT,
            Option("log-output", "log_output", BOOLEAN),
        ),
    ),
)
MONITORS: Mapping[str, MonitorKind] = {kind.name: kind for kind in _KINDS}
OPTION_KEYS: Mapping[str, str] = {
    kind.key(option): kind.name for kind in _KINDS for option in kind.options
}
"""Every `monitor.option` key -> the monitor's name."""


def monitor_kind_of(settings: MonitorSettings) -> MonitorKind:
    """The monitor that some settings are for."""
    return next(kind for kind in _KINDS if kind.settings is type(settings))


def _names(text: str) -> tuple[str, ...]:
    names = LITERAL_STRINGS.parse(text)
    for name in names:
        if name not in MONITORS:
            hint = did_you_mean(name, MONITORS)
            raise BadValueError(f"{name[:64]!r} is no monitor; {hint}".removesuffix("; "))
        if names.count(name) > 1:
            raise BadValueError(f"{name} is listed twice")
    return names


MONITOR_NAMES = Kind(f"a list such as ['ProxyFetch'] of {', '.join(MONITORS)}", _names)


def read_monitors(reader: SectionReader) -> tuple[MonitorSettings, ...]:
    """The monitors of a service; those with an error are left out."""
    names = reader.get("monitors", MONITOR_NAMES, ())
    if not names and not reader.is_bad("monitors"):
        reader.warn("monitors", "no monitors: the servers of this service are never checked")
    read = [_read_monitor(reader, MONITORS[name]) for name in names]
    for key in reader.written_keys():
        monitor = OPTION_KEYS.get(key)
        if reader.is_bad("monitors") and monitor is not None:
            reader.know(key)
        elif monitor is not None and monitor not in names:
            reader.ignore(key, f"no effect: {monitor} is not listed in monitors")
    return tuple(settings for settings in read if settings is not None)


def _read_monitor(reader: SectionReader, kind: MonitorKind) -> MonitorSettings | None:
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
    if isinstance(settings, ProxyFetchSettings):
        _check_max_failures(reader, settings)
    return settings


def _check_max_failures(reader: SectionReader, settings: ProxyFetchSettings) -> None:
    if settings.max_failures == 0:
        return
    if not settings.check_all:
        reader.warn("proxyfetch.max_failures", "no effect without proxyfetch.check_all = yes")
    elif settings.max_failures >= len(settings.urls):
        message = f"with {len(settings.urls)} URLs this check can never fail"
        reader.warn("proxyfetch.max_failures", message)
