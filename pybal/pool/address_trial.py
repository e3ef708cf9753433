"""A server whose name has moved is checked at its new address before it moves there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pybal.model import HealthReport, IPAddress
from pybal.monitors.base import Monitor


class AddressTrial:
    """Monitors at another address of a server. `passed` is called when all of them find it up
    there; what they find otherwise is nobody's matter, as the server is not there."""

    def __init__(self, address: IPAddress, passed: Callable[[], object]) -> None:
        self.address = address
        self._passed = passed
        self._monitors: Sequence[Monitor] = ()
        self._up: dict[str, bool] = {}

    def start(self, monitors: Sequence[Monitor]) -> None:
        """Begin with these, which report here."""
        self._monitors = monitors
        for monitor in monitors:
            monitor.start()
            monitor.check_soon()

    def stop(self) -> None:
        """End them. Idempotent."""
        monitors, self._monitors = self._monitors, ()
        for monitor in monitors:
            monitor.stop()

    def receive(self, report: HealthReport) -> None:
        """See ReportReceiver."""
        self._up[report.monitor] = report.result.up
        if self.is_proven:
            self._passed()

    @property
    def is_proven(self) -> bool:
        """Whether all of them find it up there."""
        names = {monitor.name for monitor in self._monitors}
        return bool(names) and all(self._up.get(name) for name in names)
