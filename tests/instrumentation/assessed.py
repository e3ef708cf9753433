"""Situations, and the alerts that there are in them."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.bgp.snapshot import BGPSnapshot
from pybal.instrumentation.alerts import Headline, Situation, headline
from pybal.instrumentation.pending_alert import PendingAlerts
from pybal.ipvs.snapshot import (
    AuditSnapshot,
    DriftSnapshot,
    IPVSSnapshot,
)
from pybal.kept_change import KeptSnapshot
from pybal.model import Alert, HealthSnapshot, ServerSnapshot, ServiceSnapshot
from tests.fakes.view import (
    CONFIG,
    DAEMON,
    NO_BGP,
    NOON,
    ipvs,
    pending_alerts,
    server,
)


class Watched:
    """What there is to be said of a daemon that has been running for a minute, as time passes."""

    def __init__(self) -> None:
        self.services: list[ServiceSnapshot] = []
        self.daemon = DAEMON
        self.ipvs: IPVSSnapshot = ipvs()
        self.bgp: BGPSnapshot = NO_BGP
        self.config = CONFIG
        self.not_local: tuple[str, ...] = ()
        self._pending = PendingAlerts()
        self._pending.step((), 0.0)
        self._now_s = 60.0

    def alerts(self, after_s: float = 0.0) -> list[Alert]:
        """Those that there are when so much more time has passed."""
        situation = Situation(
            self.services, self.daemon, self.ipvs, self.bgp, self.config, self.not_local
        )
        self._pending.step(pending_alerts(situation), self._now_s)
        self._now_s += after_s
        dated = self._pending.step(pending_alerts(situation), self._now_s)
        return [each.alert for each in dated]

    def line(self, after_s: float = 0.0) -> str:
        return headline(self.alerts(after_s)).as_text()


def assess(
    services: Iterable[ServiceSnapshot],
    health: HealthSnapshot | None = None,
    drift: Iterable[DriftSnapshot] = (),
) -> Headline:
    """What is said at once."""
    watched = Watched()
    watched.services = [*services]
    watched.daemon = DAEMON._replace(health=health or HealthSnapshot())
    watched.ipvs = ipvs()._replace(audit=AuditSnapshot(drift=tuple(drift)))
    return headline(watched.alerts())


def critical(text: str) -> str:
    return f"CRITICAL - {text}"


def warning(text: str) -> str:
    return f"WARNING - {text}. "


def nameless(host: str) -> ServerSnapshot:
    return server(host, up=False)._replace(address=None, ready=False)


HELD = KeptSnapshot(("a", "b"), NOON, False, 2, 3, (("c", NOON), ("d", NOON)), 900.0)
