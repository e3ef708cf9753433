from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from twisted.internet.task import Clock

from pybal.held_change import HeldChange
from pybal.instrumentation.alert_watch import AlertWatch
from pybal.model import AnnouncedPrefix, ServiceSnapshot
from pybal.runtime.time_slices import TimeSlices
from tests.fakes.view import NOON, FakeView, bgp, server, service
from tests.instrumentation.exchange import LogLines

HELD = HeldChange(("b",), NOON, False, 2, 3, (), 900.0)


class Rig:
    """A watch over a view; `elsewhere` are addresses that are on no interface."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.view = FakeView([service("web", [server("a")])])
        self.elsewhere: set[str] = set()
        self.looked_for: list[str] = []
        self.log = LogLines()
        self.watch = AlertWatch(
            self.clock,
            self.view,
            TimeSlices(self.clock),
            self.is_local,
            lambda prefix: prefix.services != ("marked",),
            self.log.logger(),
        )

    def is_local(self, address: str) -> bool | None:
        self.looked_for.append(address)
        return None if address == "unknown" else address not in self.elsewhere

    def ids(self) -> list[str]:
        return [alert.id for alert in self.watch.alerts()]

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)


def announced(*prefixes: str, service: str = "web") -> tuple[AnnouncedPrefix, ...]:
    return tuple(AnnouncedPrefix(each, "192.0.2.1", 0, (), (), (service,), ()) for each in prefixes)


def test_it_knows_since_when_though_nobody_asks() -> None:
    rig = Rig()
    rig.watch.start()
    rig.view.bgp_snapshot = replace(
        bgp(("192.0.2.1", False)), announced=announced("198.51.100.1/32")
    )
    rig.pass_time(70)
    assert rig.ids() == ["bgp-peer-away"]
    rig.watch.stop()
    assert rig.clock.getDelayedCalls() == []


def test_announced_addresses_are_looked_for_now_and_then() -> None:
    rig = Rig()
    rig.elsewhere = {"198.51.100.1", "2001:db8::1"}
    rig.view.bgp_snapshot = replace(
        bgp(("192.0.2.1", True)),
        announced=(
            *announced("198.51.100.1/32", "198.51.100.2/32", "unknown/32"),
            *announced("2001:db8::1/128", service="marked"),
        ),
    )
    rig.watch.start()
    rig.pass_time(1)
    assert rig.ids() == ["address-not-local"]
    assert rig.looked_for == ["198.51.100.1", "198.51.100.2", "unknown"]
    rig.elsewhere.clear()
    rig.pass_time(28)
    assert rig.ids() == ["address-not-local"]
    rig.pass_time(2)
    assert rig.ids() == []
    rig.watch.stop()


def test_a_pool_that_changes_is_looked_at_anew() -> None:
    rig = Rig()
    rig.pass_time(1)
    assert rig.ids() == []
    held = server("b", up=False, pooled=True)
    shown: ServiceSnapshot = service("web", [server("a"), held])
    for changed, found in (
        (shown, ["down-but-pooled"]),
        (replace(shown, depool_threshold=Fraction(1)), ["down-but-pooled", "too-small"]),
        (replace(shown, held=(HELD,)), ["down-but-pooled", "list-held"]),
        (replace(shown, servers=(server("a"), server("c"))), []),
    ):
        rig.view.service_list = [changed]
        assert rig.ids() == found


def test_a_bug_in_the_looking_does_not_end_it() -> None:
    rig = Rig()
    sound = rig.view.service_list
    rig.view.service_list = None  # type: ignore[assignment]
    rig.watch.start()
    assert rig.log
    rig.view.service_list = sound
    rig.log.clear()
    rig.pass_time(10)
    assert rig.log == []
    rig.watch.stop()
