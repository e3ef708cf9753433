"""Local faults: this host is out of descriptors, ports or memory. They never depool a server."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from pybal.errors import describe_os_error
from pybal.runtime.naming import counted

LOG_EVERY_S = 60.0
ALERT_FOR_S = 120.0
"""The alerts show a fault for so long after its last occurrence."""


class LocalFaults:
    """Counts checks that failed for a local fault, and logs that once a minute. `seconds()` is any
    clock that does not jump."""

    def __init__(self, seconds: Callable[[], float], log: Logger) -> None:
        self._seconds = seconds
        self._log = log
        self._logged_at: float | None = None
        self._last: tuple[float, str] | None = None
        self.counts: Counter[str] = Counter()
        """By the name of the errno: `EMFILE`."""

    def note(self, error: OSError) -> None:
        """A check could not be made."""
        now_s = self._seconds()
        self.counts[errno.errorcode.get(error.errno or 0, "unknown")] += 1
        self._last = now_s, describe_os_error(error)
        if self._logged_at is None or now_s - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now_s
            self._log.critical(
                "This director cannot check its servers: {why}; so far {checks} could not "
                "be made. Nothing is concluded from that",
                why=describe_os_error(error),
                checks=counted(self.counts.total(), "check"),
            )

    def current(self) -> str:
        """A description of the present or most recent fault; empty if there is none."""
        if self._last is None or self._seconds() - self._last[0] > ALERT_FOR_S:
            return ""
        return self._last[1]
