"""Alerts that count only once they have lasted for a while. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from pybal.model import Alert, Severity
from pybal.overrides.acknowledgement import Acknowledgement

STARTING_S = 15.0
"""After a start, lists, names and first checks take some seconds."""
LASTING_S = 3600.0
"""What counts only after so long is remembered over a restart."""
_MAY_COME_S = 120.0
"""After a start or another name it may take so long until all is known that was known before."""


class PendingAlert(NamedTuple):
    """An alert, if it lasts for `after_s`; it becomes critical after `critical_after_s`. With
    `may_be_start` it is none in the first seconds of the daemon, and before `from_at` (Unix
    seconds) in any case. It is the same as an earlier one if id, service and `subject` are,
    whatever its words; to be acknowledged, if id, service and `about` are (None: the subject) and
    its `details`, the servers that it is about or the like, are not more."""

    alert: Alert
    subject: str = ""
    after_s: float = 0.0
    critical_after_s: float | None = None
    may_be_start: bool = False
    from_at: float = 0.0
    about: str | None = None
    details: tuple[str, ...] = ()


class Dated(NamedTuple):
    """An alert and how long ago it was first seen. One that is `known` to an operator is OK,
    however severe it is by itself."""

    alert: Alert
    age_s: float
    about: str = ""
    known: Acknowledgement | None = None
    severe: Severity | None = None
    """Its own severity, if it is known."""
    details: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """Its own severity."""
        return self.severe or self.alert.severity

    def acknowledged(self, known: Acknowledgement | None) -> Dated:
        """The same, if an operator knows of it."""
        severity = self.alert.severity
        if known is None or severity is Severity.OK or not known.covers(severity, self.details):
            return self
        text = f"{self.alert.text} ({known.text})"
        alert = self.alert._replace(severity=Severity.OK, text=text)
        return self._replace(alert=alert, known=known, severe=severity)


Key = tuple[str, str | None, str]
"""Id, service and subject."""


class Lasting(NamedTuple):
    """An alert that will count, and when it began, in Unix seconds."""

    key: Key
    began_at: float


class PendingAlerts:
    """Remembers since when each has been there. Looked at seldom, it does not see what comes and
    goes in between. `lasting` are those of the last run."""

    def __init__(self, lasting: Iterable[Lasting] = ()) -> None:
        self._began_s: float | None = None
        self._since_s: dict[Key, float] = {}
        self._lasting: dict[Key, float] = {each.key: each.began_at for each in lasting}
        self._may_come_until_s = 0.0

    @property
    def lasting(self) -> tuple[Lasting, ...]:
        """Those that the next run must know of."""
        return tuple(Lasting(*each) for each in self._lasting.items())

    def rename(self, renames: Iterable[tuple[str, str]], now_s: float) -> None:
        """Services go on under another name: former and present one. What lasts has lasted for them
        as long."""
        names: dict[str | None, str] = dict(renames)
        followed: dict[Key, float] = {
            (id_, names[service], subject): began_at
            for (id_, service, subject), began_at in self._lasting.items()
            if service in names
        }
        if followed:
            self._lasting = {**followed, **self._lasting}
            self._may_come_until_s = now_s + _MAY_COME_S

    def step(
        self, found: Iterable[PendingAlert], now_s: float, at: float = math.inf
    ) -> tuple[Dated, ...]:
        """Those that have lasted for long enough, given all that there are now; `at` is Unix
        seconds."""
        if self._began_s is None:
            self._began_s = now_s
            self._may_come_until_s = now_s + _MAY_COME_S
        starting = now_s - self._began_s < STARTING_S
        before, self._since_s = self._since_s, {}
        kept, self._lasting = self._lasting, {}
        if now_s < self._may_come_until_s:
            self._lasting.update(kept)
        dated = []
        for each in found:
            key = (each.alert.id, each.alert.service, each.subject)
            since_s = before.get(key, now_s)
            if each.after_s >= LASTING_S:
                began_at = self._lasting[key] = kept.get(key, at)
                if key not in before:
                    since_s -= max(0.0, at - began_at)
            self._since_s[key] = since_s
            age_s = now_s - since_s
            due = age_s >= each.after_s and at >= each.from_at
            if due and not (starting and each.may_be_start):
                about = each.subject if each.about is None else each.about
                dated.append(Dated(_aged(each, age_s), age_s, about, details=each.details))
        return tuple(dated)


def _aged(pending: PendingAlert, age_s: float) -> Alert:
    after_s = pending.critical_after_s
    if after_s is None or age_s < after_s:
        return pending.alert
    return pending.alert._replace(severity=Severity.CRITICAL)
