"""Acknowledged alerts: which are meant, for how long, over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from pybal.daemon.acknowledgements_part import AcknowledgementsPart
from pybal.daemon.ports import DaemonPorts
from pybal.errors import NoSuchThingError
from pybal.instrumentation.pending_alert import Dated
from pybal.model import Alert, Severity
from pybal.state.state_writing import StateWriting
from tests.fakes.deferreds import at_once

PEER = Dated(Alert("bgp-peer-away", Severity.WARNING, None, "away"), 70.0, "192.0.2.1")
SMALL = Dated(Alert("too-small", Severity.WARNING, "web", "Pool web is too small"), 9.0)
OTHER = SMALL._replace(alert=SMALL.alert._replace(service="dns"))
NOTE = Dated(Alert("maintenance", Severity.OK, None, "This director is in maintenance"), 9.0)


class Ports:
    """As much of DaemonPorts as is needed."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.state_writing = StateWriting(self.reactor, at_once)
        self.ahead_s = 0.0

    def now(self) -> float:
        return 1e9 + self.ahead_s + float(self.reactor.seconds())


class Rig:
    def __init__(self, directory: Path | None = None, ports: Ports | None = None) -> None:
        self.ports = ports or Ports()
        self.alerts: list[Dated] = [PEER, SMALL, OTHER, NOTE]
        self.part = AcknowledgementsPart(
            cast(DaemonPorts, cast(Any, self.ports)), lambda: self.alerts, directory
        )
        self.part.start()

    def ack(self, id_: str, service: str | None = None, for_s: float = 3600.0) -> list[str | None]:
        return [e.service for e in self.part.put(id_, service, for_s, "why", "alice")]

    def known(self, dated: Dated) -> bool:
        return self.part.book.of((dated.alert.id, dated.alert.service, dated.about)) is not None


def test_those_that_are_there_are_known_for_a_time() -> None:
    rig = Rig()
    assert rig.ack("too-small") == ["web", "dns"]
    assert (rig.known(SMALL), rig.known(OTHER), rig.known(PEER)) == (True, True, False)
    rig.ports.reactor.advance(3601)
    assert not rig.known(SMALL)


def test_one_service_alone() -> None:
    rig = Rig()
    assert rig.ack("too-small", "web") == ["web"]
    assert not rig.known(OTHER)
    (gone,) = rig.part.remove("too-small", None, "bob")
    assert gone.service == "web"
    assert not rig.known(SMALL)
    assert rig.ports.reactor.getDelayedCalls() == []


def test_it_goes_with_a_service_that_is_renamed_and_ends_when_it_would_have(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.ack("too-small")
    rig.ports.reactor.advance(3000)
    rig.part.rename([("web", "text"), ("nosuch", "other")])
    renamed = SMALL._replace(alert=SMALL.alert._replace(service="text"))
    assert (rig.known(SMALL), rig.known(renamed), rig.known(OTHER)) == (False, True, True)
    rig.part.stop()
    after = Rig(tmp_path, rig.ports)
    assert after.known(renamed)
    after.ports.reactor.advance(601)
    assert not after.known(renamed)


@pytest.mark.parametrize("id_", ["nosuch", "maintenance"])
def test_what_is_no_alarm_cannot_be_acknowledged(id_: str) -> None:
    rig = Rig()
    with pytest.raises(NoSuchThingError) as refused:
        rig.ack(id_)
    assert refused.value.remedy == "There are bgp-peer-away, too-small"
    with pytest.raises(NoSuchThingError):
        rig.part.remove(id_, None, "bob")


def test_an_alert_of_other_services_names_these() -> None:
    rig = Rig()
    with pytest.raises(NoSuchThingError) as refused:
        rig.ack("too-small", "nosuch")
    assert refused.value.remedy == "It is of web, dns"
    with pytest.raises(NoSuchThingError) as refused:
        rig.ack("bgp-peer-away", "web")  # which is of no service
    assert refused.value.remedy == "There are bgp-peer-away, too-small"


def test_it_outlives_the_process(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.alerts = [PEER._replace(details=("192.0.2.1", "192.0.2.2"))]
    rig.ack("bgp-peer-away")
    rig.part.stop()
    after = Rig(tmp_path, rig.ports)
    assert after.known(PEER)
    assert after.part.book.all() == rig.part.book.all()
    rig.ports.reactor.advance(3601)
    assert not after.known(PEER)
    assert not Rig(tmp_path, rig.ports).known(PEER)


def test_without_a_state_directory_it_does_not() -> None:
    rig = Rig()
    rig.ack("bgp-peer-away")
    assert not Rig(None, rig.ports).known(PEER)


def test_a_clock_that_was_set_back_over_a_restart_makes_it_last_no_longer(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.ack("bgp-peer-away")
    rig.part.stop()
    rig.ports.ahead_s = -1e8
    after = Rig(tmp_path, rig.ports)
    assert after.known(PEER)
    rig.ports.reactor.advance(3601)
    assert not after.known(PEER)
