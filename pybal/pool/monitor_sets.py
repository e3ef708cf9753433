"""Makes the set of monitors that checks one server of a service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from twisted.logger import Logger

from pybal.config.settings import MonitorSettings, ServiceSettings
from pybal.model import IPAddress
from pybal.monitors.base import Monitor, ReportReceiver
from pybal.monitors.target import Target


class MonitorFactory(Protocol):
    """Makes monitors."""

    def __call__(
        self, settings: MonitorSettings, target: Target, receiver: ReportReceiver | None = None
    ) -> Monitor:
        """A monitor, not yet started. Reports go to the receiver; None: to where all others do."""


class MonitorSets:
    """The sets of one service. `name(host)` is what the log calls a server; `touched(host)` hears
    that a monitor of a server has changed, `not_made(host, monitor)` that one could not be made, by
    the exception that is being handled."""

    def __init__(
        self,
        settings: ServiceSettings,
        create_monitor: MonitorFactory,
        name: Callable[[str], str],
        touched: Callable[[str], None],
        not_made: Callable[[str, str], None],
        log: Logger,
    ) -> None:
        self._settings = settings
        self._create_monitor = create_monitor
        self._name = name
        self._touched = touched
        self._not_made = not_made
        self._log = log

    def reconfigure(self, settings: ServiceSettings) -> None:
        """From now on these are the settings."""
        self._settings = settings

    @property
    def names(self) -> frozenset[str]:
        """Of all that check a server."""
        return frozenset(each.monitor for each in self._settings.monitors)

    def make(
        self,
        host: str,
        address: IPAddress,
        incarnation: int,
        receiver: ReportReceiver | None = None,
        names: frozenset[str] | None = None,
    ) -> tuple[Monitor, ...]:
        """New monitors, not yet started: all, or those of these names, as far as they can be made.
        With a `receiver` of their own they are a trial's."""
        target = Target(
            self._settings.name,
            host,
            address,
            self._settings.port,
            partial(self._name, host),
            partial(self._touched, host),
            incarnation,
            is_trial=receiver is not None,
        )
        wanted = [m for m in self._settings.monitors if names is None or m.monitor in names]
        made = (self._made(each, target, receiver) for each in wanted)
        return tuple(monitor for monitor in made if monitor is not None)

    def _made(
        self, settings: MonitorSettings, target: Target, receiver: ReportReceiver | None
    ) -> Monitor | None:
        try:
            return self._create_monitor(settings, target, receiver)
        except (Exception, SystemExit):  # noqa: BLE001 - a plugin's mistake must not leave the others unmade
            if not target.is_trial:
                self._not_made(target.host, settings.monitor)
                return None
            self._log.failure(
                "{host}: its {monitor} could not be made, so it is not tried by that",
                host=target.host,
                monitor=settings.monitor,
            )
            return None


def changed_monitors(before: ServiceSettings, after: ServiceSettings) -> frozenset[str]:
    """The names of the monitors that only one of both has, or that have other settings."""
    old = {each.monitor: each for each in before.monitors}
    new = {each.monitor: each for each in after.monitors}
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
