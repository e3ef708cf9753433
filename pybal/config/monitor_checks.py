"""Warnings of a monitor that can hardly be meant so: it checks in vain, or too late. Pure."""

from __future__ import annotations

from pybal.config.section import SectionReader
from pybal.config.settings import MonitorSettings
from pybal.linear_regex import Pattern

LONG_S = 300.0
"""A change that takes longer to be believed is said."""

RARE_S = 3600.0
"""Checks that come more rarely are said."""

_DENSE_S = 0.1
_SHORT_TIMEOUT_S = 0.01


def check_common(reader: SectionReader, settings: MonitorSettings) -> None:
    """Note what is odd about the options that all monitors share."""
    prefix = settings.monitor.lower()
    _check_results_needed(reader, settings, prefix)
    if settings.timeout_s < _SHORT_TIMEOUT_S:
        reader.warn(f"{prefix}.timeout", "hardly an answer can come within so short a time")
    if settings.has_beat:
        _check_interval(reader, settings, prefix)
    source = settings.source_address
    if source is not None and source.is_loopback:
        reader.warn(f"{prefix}.source-address", "from a loopback address only this host is reached")
    by_tcp_alone = settings.checks_by_tcp and settings.port is None
    if by_tcp_alone and reader.text("protocol") == "sctp":
        reader.warn("monitors", f"{settings.monitor} connects by TCP, the service is sctp")


def warn_of_hopeless(reader: SectionReader, key: str, expect: Pattern, read_bytes: int) -> None:
    """Warn of what cannot be found in so many bytes, whatever they are."""
    least = expect.least_bytes()
    if least is None:
        reader.warn(key, "no server can be up: nothing matches this")
    elif least > read_bytes:
        message = f"no server can be up: a match has {least} bytes, {read_bytes} are looked at"
        reader.warn(key, message)


def _check_results_needed(reader: SectionReader, settings: MonitorSettings, prefix: str) -> None:
    for option, count, change in (
        ("rise", settings.rise, "back to life is not pooled"),
        ("fall", settings.fall, "dead is not depooled"),
    ):
        wait_s = (count - 1) * settings.interval_s
        if wait_s > LONG_S:
            reader.warn(
                f"{prefix}.{option}",
                f"a server that is {change} before {wait_s:g} s:"
                f" {count} results in a row, one every {settings.interval_s:g} s",
            )


def _check_interval(reader: SectionReader, settings: MonitorSettings, prefix: str) -> None:
    interval_s, timeout_s = settings.interval_s, settings.timeout_s
    key = f"{prefix}.interval"
    if timeout_s > interval_s:
        late = f"{prefix}.timeout" if reader.is_set(f"{prefix}.timeout") else key
        reader.warn(
            late,
            f"the timeout of {timeout_s:g} s is longer than the interval of {interval_s:g} s: a"
            " check that waits for its answer makes the next ones be left out",
        )
    if interval_s > RARE_S:
        reader.warn(key, f"a server may be dead for {interval_s:g} s before anybody looks")
    elif interval_s < _DENSE_S:
        reader.warn(key, f"each server is checked {1 / interval_s:.0f} times a second")
