from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet.task import Clock

from pybal.bgp.snapshot import AnnouncedPrefix
from pybal.instrumentation.alert_watch import LOOK_INTERVAL_S, AlertWatch
from pybal.instrumentation.alerts import headline
from pybal.instrumentation.pending_alert import Dated
from pybal.kept_change import KeptSnapshot
from pybal.model import Alert, ServerSnapshot, ServiceSnapshot, Severity
from pybal.override import Action, LaidOver, Override
from pybal.overrides.acknowledgement import Acknowledgement, AlertKey
from pybal.runtime.pieces import PIECE
from pybal.runtime.time_slices import LEISURE_WITHIN_S, SLICE_S, TimeSlices
from tests.fakes.turns import Reactor
from tests.fakes.view import NOON, FakeView, bgp, server, service
from tests.instrumentation.exchange import LogLines

HELD = KeptSnapshot(("b",), NOON, False, 2, 3, (), 900.0)


class Rig:
    """A watch over a view; `elsewhere` are addresses that are on no interface."""

    def __init__(self, time_slices: TimeSlices | None = None) -> None:
        self.clock = Clock()
        self.looked_at_s: list[float] = []
        self.view = FakeView([service("web", [server("a")])])
        self.elsewhere: set[str] = set()
        self.looked_for: list[str] = []
        self.log = LogLines()
        self.known: dict[AlertKey, Acknowledgement] = {}
        self.watch = AlertWatch(
            self.clock,
            self.view,
            time_slices=time_slices or TimeSlices(self.clock),
            is_local=self.is_local,
            must_be_local=lambda prefix: prefix.services != ("marked",),
            log=self.log.logger(),
            now=lambda: NOON + self.clock.seconds(),
            acknowledgement_of=self.known.get,
            keep=lambda _: self.looked_at_s.append(self.clock.seconds()),
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


@pytest.mark.parametrize("only", [True, False])
def test_of_a_prefix_around_services_their_addresses_are_looked_for(only: bool) -> None:
    rig = Rig()
    address = str(service("web", []).address)
    rig.elsewhere = {"203.0.113.0", "2001:db8::"}
    around = announced("203.0.113.0/24", "2001:db8::/32")
    rig.view.bgp_snapshot = replace(
        bgp(("192.0.2.1", True)),
        announced=around if only else (*around, *announced(f"{address}/32")),
    )
    rig.watch.start()
    rig.pass_time(1)
    assert rig.ids() == []
    assert rig.looked_for == [address]
    rig.elsewhere.add(address)
    rig.pass_time(30)
    assert rig.ids() == ["address-not-local"]
    rig.watch.stop()


def test_all_services_are_looked_at_within_seconds_though_all_turns_are_busy() -> None:
    reactor = Reactor()
    rig = Rig(TimeSlices(reactor))
    rig.view.service_list = [service(f"s{number}", [server("a")]) for number in range(50)]
    rig.watch.start()
    for _ in range(round(2 * (LOOK_INTERVAL_S + LEISURE_WITHIN_S) / 0.01)):
        rig.clock.advance(0.01)
        reactor.now_s = rig.clock.seconds()
        reactor.turn()
    assert len(rig.looked_at_s) >= 2
    rig.watch.stop()


class Servers(tuple[ServerSnapshot, ...]):
    """To go through all of them takes its time, and is counted."""

    reactor: Reactor
    times = 0

    def __iter__(self) -> Iterator[ServerSnapshot]:
        self.reactor.now_s += SLICE_S / 5
        Servers.times += 1
        return super().__iter__()


def test_not_all_pools_that_have_changed_are_gone_through_in_one_turn() -> None:
    reactor = Servers.reactor = Reactor()
    rig = Rig(TimeSlices(reactor))
    rig.watch.start()
    rig.clock.advance(1)
    rig.view.service_list = [
        service(f"s{number}", [])._replace(servers=Servers([server("a")])) for number in range(50)
    ]
    counts: list[int] = []
    while len(rig.looked_at_s) < 2:
        Servers.times = 0
        rig.clock.advance(0.1)
        reactor.now_s += 0.1
        reactor.turn()
        counts.append(Servers.times)
    assert sum(counts) >= 50, "each is looked at"
    assert max(counts) <= sum(counts) / 10
    rig.watch.stop()


def test_a_long_pool_is_gone_through_a_few_times_in_a_turn_though_it_goes_on_changing() -> None:
    reactor = Servers.reactor = Reactor()
    rig = Rig(TimeSlices(reactor))
    rig.watch.start()
    rig.clock.advance(1)
    dead = [server("a", up=False)] * (PIECE + 1)
    counts: list[int] = []
    while len(rig.looked_at_s) < 2:
        rig.view.service_list = [service("web", [])._replace(servers=Servers(dead))]
        Servers.times = 0
        rig.clock.advance(0.1)
        reactor.now_s += 0.1
        reactor.turn()
        counts.append(Servers.times)
    assert sum(counts) > max(counts) > 0
    assert max(counts) <= 6
    rig.watch.stop()


@pytest.mark.parametrize("seen_in_turn", range(8))
def test_a_look_in_pieces_takes_back_nothing_that_was_seen_meanwhile(seen_in_turn: int) -> None:
    reactor = Servers.reactor = Reactor()
    rig = Rig(TimeSlices(reactor))
    rig.watch.start()
    fine = Servers([server("a")] * (PIECE + 1))
    rig.view.service_list = [service("web", [])._replace(servers=fine)]
    rig.clock.advance(LOOK_INTERVAL_S)
    for turn in range(100):
        rig.clock.advance(0.1)
        reactor.now_s += 0.001
        if turn == seen_in_turn:
            rig.view.service_list = [service("web", [server("a", up=False, pooled=True)])]
            assert rig.ids() == ["down-but-pooled"]
            seen_s = rig.clock.seconds()
        reactor.turn()
    (alert,) = rig.watch.recent()
    assert len(rig.looked_at_s) > 2
    assert alert.age_s == pytest.approx(rig.clock.seconds() - seen_s)
    rig.watch.stop()


def test_thousands_of_servers_as_they_were_are_not_freed_in_the_turn_that_looks() -> None:
    let_go: list[object] = []

    class Noting(TimeSlices):
        def let_go(self, values: Sequence[object]) -> None:
            let_go.append(values)

    rig = Rig(Noting(Clock()))
    before, after = service("web", [server("a")]), service("web", [server("b")])
    for shown in (before, before, after):
        rig.view.service_list = [shown]
        rig.watch.alerts()
    assert let_go == [before.servers]


def test_a_pool_that_is_gone_is_forgotten_and_found_again() -> None:
    rig = Rig()
    held = service("web", [server("a"), server("b", up=False, pooled=True)])
    for services, found in (([held], ["down-but-pooled"]), ([], []), ([held], ["down-but-pooled"])):
        rig.view.service_list = services
        assert [each for each in rig.ids() if each == "down-but-pooled"] == found


def test_a_pool_that_changes_is_looked_at_anew() -> None:
    rig = Rig()
    rig.pass_time(1)
    assert rig.ids() == []
    held = server("b", up=False, pooled=True)
    shown: ServiceSnapshot = service("web", [server("a"), held])
    for changed, found in (
        (shown, ["down-but-pooled"]),
        (shown._replace(depool_threshold=Fraction(1)), ["down-but-pooled", "too-small"]),
        (shown._replace(held=(HELD,)), ["down-but-pooled", "list-held"]),
        (shown._replace(servers=(server("a"), server("c"))), []),
    ):
        rig.view.service_list = [changed]
        assert rig.ids() == found


SOURCE = service("web", []).source


@pytest.mark.parametrize(
    ("id_", "wrong", "well"),
    [
        ("standing", {"standing": ("192.0.2.9",)}, {"standing": ()}),
        ("list-failed", {"list_error": "ValueError: a mistake"}, {"list_error": ""}),
        ("list-held", {"held": (HELD,)}, {"held": ()}),
        ("too-small", {"depool_threshold": Fraction(1)}, {"depool_threshold": Fraction(1, 2)}),
        ("list-damaged", {"source": SOURCE._replace(damage=("x",))}, {"source": SOURCE}),
        (
            "list-stale",
            {"source": SOURCE._replace(stale=True, last_error="x")},
            {"source": SOURCE._replace(stale=False, last_error="x")},
        ),
    ],
)
def test_an_alert_of_a_pool_goes_at_once_though_its_servers_are_the_same(
    id_: str, wrong: dict[str, Any], well: dict[str, Any]
) -> None:
    rig = Rig()
    shown = service("web", [server("a"), server("b"), server("c")])
    rig.view.service_list = [shown._replace(**wrong)]
    rig.watch.dated()
    rig.clock.advance(40)
    assert rig.ids() == [id_]
    rig.view.service_list = [shown._replace(**well)]
    assert rig.ids() == []


def test_a_pool_whose_list_was_only_read_again_is_not_gone_through_anew() -> None:
    rig = Rig()
    Servers.reactor = Reactor()
    shown = service("web", [])._replace(servers=Servers([server("a"), server("b")]))
    rig.view.service_list = [shown]
    rig.watch.dated()
    Servers.times = 0
    rig.view.service_list = [shown._replace(source=shown.source._replace(last_good_at=NOON + 1))]
    assert rig.ids() == []
    assert Servers.times == 0
    rig.view.service_list = [shown._replace(standing=("192.0.2.9",))]
    rig.watch.dated()
    assert Servers.times > 0


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


DAY = 86400.0


def known(rig: Rig, id_: str, about: str, severity: Severity = Severity.WARNING) -> None:
    ack = Acknowledgement(id_, None, about, severity, "alice", "4711", NOON, NOON + 3600)
    rig.known[ack.key] = ack


def test_an_alert_that_is_known_is_shown_but_no_alarm_and_another_of_its_kind_is_one() -> None:
    rig = Rig()
    prefixes = announced("198.51.100.1/32")
    rig.view.bgp_snapshot = replace(bgp(("192.0.2.1", False)), announced=prefixes)
    rig.watch.dated()
    rig.clock.advance(61)
    assert headline(rig.watch.alerts()).severity is Severity.WARNING
    known(rig, "bgp-peer-away", "192.0.2.1")
    (dated,) = rig.watch.dated()
    assert dated.severity is Severity.WARNING
    said = headline(rig.watch.alerts()).as_text()
    assert said.startswith("OK - All pools are healthy; BGP peer 192.0.2.1 is not established")
    assert said.endswith("(acknowledged by alice until 23:13 UTC: 4711)")
    both = bgp(("192.0.2.1", False), ("192.0.2.2", False))
    rig.view.bgp_snapshot = replace(both, announced=prefixes)
    rig.watch.dated()
    rig.clock.advance(61)
    said = headline(rig.watch.alerts()).as_text()
    assert said.startswith("WARNING - BGP peer 192.0.2.2 is not established")
    assert "acknowledged by alice" in said


def test_what_becomes_critical_is_another_matter() -> None:
    alert = Alert("nobody-served", Severity.CRITICAL, "web", "Pool web serves nobody")
    ack = Acknowledgement(
        "nobody-served", "web", "", Severity.WARNING, "alice", "x", NOON, NOON + 9
    )
    assert Dated(alert, 0.0).acknowledged(ack).alert is alert
    critical = replace(ack, severity=Severity.CRITICAL)
    assert Dated(alert, 0.0).acknowledged(critical).alert.severity is Severity.OK


def test_more_servers_than_were_known_are_another_matter_and_fewer_are_not() -> None:
    rig = Rig()
    dead, other = server("a")._replace(up=False), server("b")
    rig.view.service_list = [service("web", [dead, other])]
    (found,) = [each for each in rig.watch.dated() if each.alert.id == "down-but-pooled"]
    ack = Acknowledgement(
        "down-but-pooled", "web", "", Severity.CRITICAL, "alice", "x", NOON, NOON + 3600, ("a", "c")
    )
    rig.known[ack.key] = ack
    assert found.details == ("a",)
    assert not [each for each in rig.watch.alerts() if each.severity is not Severity.OK]
    rig.view.service_list = [service("web", [dead, other._replace(up=False)])]
    assert headline(rig.watch.alerts()).severity is Severity.CRITICAL


def drained(since: float, suspended: str = "") -> ServerSnapshot:
    override = Override("web", "a", Action.DRAIN, "alice", "new disk", since, since + 5 * DAY)
    over = LaidOver(override, 10, True, suspended)
    return server("a")._replace(weight=0, over=over, address=ip_address("192.0.2.99"))


def test_what_an_operator_has_drained_is_ok_for_a_day_counted_over_restarts() -> None:
    rig = Rig()
    rig.view.service_list = [service("web", [drained(NOON - DAY + 30), server("b")])]
    assert rig.ids() == []
    rig.clock.advance(31)
    (alert,) = rig.watch.alerts()
    assert (alert.id, alert.severity) == ("overridden-long", Severity.WARNING)
    assert alert.text.startswith("a of pool web is drained by alice until ")


def test_a_server_that_its_list_disables_is_worth_saying_after_a_day() -> None:
    rig = Rig()
    rig.view.service_list = [service("web", [server("a", enabled=False), server("b")])]
    rig.watch.dated()
    rig.clock.advance(DAY - 1)
    assert rig.ids() == []
    rig.clock.advance(1)
    assert rig.ids() == ["disabled-long"]


def test_an_override_that_is_suspended_is_a_warning() -> None:
    rig = Rig()
    rig.view.service_list = [service("web", [drained(NOON, "too few"), server("b")])]
    assert rig.ids() == ["override-suspended"]


def test_a_pool_that_operators_have_taken_out_as_a_whole_says_by_whom() -> None:
    rig = Rig()
    rig.view.service_list = [service("web", [drained(NOON)])]
    rig.watch.dated()
    rig.clock.advance(20)
    (alert,) = rig.watch.alerts()
    assert (alert.id, alert.severity) == ("nobody-served", Severity.WARNING)
    assert alert.text.endswith("are 0 (operators have taken out a: pybalctl overrides)")
