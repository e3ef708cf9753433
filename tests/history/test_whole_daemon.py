"""What a whole daemon takes note of, from its start to its end, and because of what."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from pybal.bgp.messages import Keepalive, Open
from pybal.daemon.history_part import HistoryPart, HistoryPorts
from pybal.errors import ControlError
from pybal.health.isolation import Phase
from pybal.history.database import find_events
from pybal.history.disk import FILE_NAME
from pybal.history.event import Kind, LedgerEvent
from pybal.history.query import EventPage, EventQuery
from pybal.history.settings import HistorySettings
from pybal.ipvs.operations import RemoveService
from pybal.override import Action
from pybal.overrides.wish import Scope, Wish
from pybal.runtime.threads import InThread, NoThreadError, OwnThread
from pybal.runtime.time_slices import TimeSlices
from tests.bgp.memory import Router
from tests.fakes.daemon import DaemonBench
from tests.fakes.deferreds import at_once, error_of, result_of
from tests.history.disk_bench import in_a_thread, until
from tests.pool.replaying import recorded, replayed

T = TypeVar("T")

SERVICE = """
[{name}]
protocol = tcp
ip = 198.51.100.{last}
port = 443
scheduler = wrr
config = file://{list}
monitors = [ 'TCPCheck' ]
tcpcheck.interval = 1
depool-threshold = .3
list-floor = .8
bgp-withdraw-on-down = 0.5
"""
HEAD = """
[global]
state-directory = none
control-socket = no
bgp = yes
bgp-local-asn = 64600
bgp-peer-address = 192.0.2.253
bgp-nexthop-ipv4 = 192.0.2.254
"""


def found(asked: Coroutine[Any, Any, T]) -> T:
    """The answer, which is there at once."""
    return result_of(Deferred.fromCoroutine(asked))


class Director(DaemonBench):
    """Two services that share a list of three."""

    def __init__(self, folder: Path) -> None:
        self.list = folder / "list"
        self.listed("192.0.2.1", "192.0.2.2", "192.0.2.3")
        services = [SERVICE.format(name=n, last=i, list=self.list) for i, n in ((1, "a"), (2, "b"))]
        self.text = HEAD + "".join(services)
        super().__init__(folder, self.text)

    def listed(self, *hosts: str) -> None:
        self.list.write_text("".join(f"{{'host': '{host}'}}\n" for host in hosts))

    def events(self, *kinds: Kind, service: str | None = None, after: int = 0) -> list[LedgerEvent]:
        services = frozenset({service} if service else ())
        query = EventQuery(kinds=frozenset(kinds), services=services, after=after, limit=1000)
        found: EventPage = result_of(Deferred.fromCoroutine(self.daemon.view.history().find(query)))
        return list(found.events)

    def chain(self, event: LedgerEvent) -> list[Kind]:
        """Back to the first cause."""
        by_seq = {each.seq: each for each in self.events()}
        kinds = []
        while True:
            kinds.append(event.kind)
            if event.cause is None:
                return kinds
            event = by_seq[event.cause]


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    found = Director(tmp_path)
    yield found
    found.stop()


def test_a_start_is_told_from_the_service_to_the_route(director: Director) -> None:
    first, *_ = director.events()
    assert first.kind is Kind.START
    kinds = [event.kind for event in director.events(service="a")]
    assert kinds[:2] == [Kind.SERVICE, Kind.LIST]
    assert kinds.count(Kind.REPORT) == 3
    assert kinds.count(Kind.KERNEL) == 1
    (route,) = director.events(Kind.ROUTE, service="a")
    assert route.text == "198.51.100.1 is to be announced"
    assert route.inputs == {"announced": ["198.51.100.1"]}


def test_a_failure_is_told_from_the_report_to_the_kernel_and_the_route(director: Director) -> None:
    before = director.daemon.view.history().newest
    director.network.refusing |= {"192.0.2.1", "192.0.2.2"}
    director.run()
    reports = director.events(Kind.REPORT, service="a", after=before)
    assert sorted(str(event.host) for event in reports) == ["192.0.2.1", "192.0.2.2"]
    *_, kernel = director.events(Kind.KERNEL, service="a", after=before)
    assert director.chain(kernel) == [Kind.KERNEL, Kind.REPORT]
    (route,) = director.events(Kind.ROUTE, service="a", after=before)
    assert route.text == "198.51.100.1 is no longer to be announced"
    assert director.chain(route)[-1] is Kind.REPORT
    decisions = director.events(Kind.DECISION, service="a", after=before)
    assert sorted((str(e.host), e.inputs["verdict"]) for e in decisions) == [
        ("192.0.2.1", "depooled"),
        ("192.0.2.2", "depooled"),
    ]
    assert all(director.chain(event) == [Kind.DECISION, Kind.REPORT] for event in decisions)
    asked = director.daemon.view.history().find_incidents(EventQuery())
    incidents, _ = result_of(Deferred.fromCoroutine(asked))
    assert sorted((i.subject.name, i.effects, sorted(i.services)) for i in incidents) == [
        ("192.0.2.1", 2, ["a", "b"]),
        ("192.0.2.2", 2, ["a", "b"]),
    ]


def test_a_list_that_two_services_share_is_one_incident(director: Director) -> None:
    before = director.daemon.view.history().newest
    director.listed("192.0.2.1", "192.0.2.2", "192.0.2.4")
    director.run()
    lists = director.events(Kind.LIST, after=before)
    assert {event.service for event in lists} == {"a", "b"}
    assert lists[0].text.startswith("Pool list of ")
    asked = director.daemon.view.history().find_incidents(EventQuery())
    incidents, _ = result_of(Deferred.fromCoroutine(asked))
    assert {frozenset(i.services) for i in incidents} == {frozenset("ab")}


def test_what_a_list_may_not_take_away_is_told(director: Director) -> None:
    director.network.refusing |= {"192.0.2.3"}
    director.run()
    director.network.refusing.clear()
    director.run()
    director.listed("192.0.2.1")
    director.run()
    held = director.events(Kind.HELD, service="a")
    assert [event.inputs["change"] for event in held] == ["ChangeHeld"]
    assert held[0].inputs["servers"] == ["192.0.2.2", "192.0.2.3"]
    assert held[0].incident is None, "not of that of the server that failed before"
    director.daemon.controls.confirm("a", "anna")
    (confirmed,) = director.events(Kind.OPERATOR)
    *_, applied = director.events(Kind.LIST, service="a")
    assert (confirmed.text, applied.cause) == ("anna confirms the pool list of a", confirmed.seq)


def test_to_confirm_where_nothing_is_held_leaves_no_note(director: Director) -> None:
    with pytest.raises(ControlError, match="Nothing of a is held back"):
        director.daemon.controls.confirm("a", "anna")
    assert director.events(Kind.OPERATOR) == []


def test_what_is_in_maintenance_already_leaves_no_second_note(director: Director) -> None:
    controls = director.daemon.controls
    for begin, changed in ((False, False), (True, True), (True, False), (False, True)):
        assert controls.maintenance("a", begin=begin, by="anna")["changed"] is changed
    texts = [event.text for event in director.events(Kind.OPERATOR)]
    assert texts == ["anna begins the maintenance of a", "anna ends the maintenance of a"]


def test_a_reload_is_the_cause_of_what_it_changes(director: Director) -> None:
    before = director.daemon.view.history().newest
    third = SERVICE.format(name="c", last=3, list=director.list)
    without_b = director.text.split("[b]")[0].replace("threshold = .3", "threshold = .4")
    director.reload(without_b + third)
    (reload,) = director.events(Kind.RELOAD, after=before)
    assert reload.inputs["steps"] != []
    (settings,) = director.events(Kind.SETTINGS, service="a", after=before)
    (new,) = director.events(Kind.SERVICE, service="c", after=before)
    (gone,) = director.events(Kind.SERVICE, service="b", after=before)
    assert settings.cause == new.cause == gone.cause == reload.seq
    assert gone.text == "b is no longer configured"


def test_a_refused_reload_is_told_with_its_errors(director: Director) -> None:
    director.path.write_text("[global\n")
    done = director.daemon.reload()
    while not done.called:
        director.clock.advance(0.1)
    (refused,) = director.events(Kind.RELOAD)
    assert "was refused" in refused.text
    assert refused.inputs["errors"] != []


def test_a_reload_that_fails_midway_is_told_as_applied_in_part(director: Director) -> None:
    def fails(_: str) -> None:
        raise ValueError("a mistake")

    director.set_log_level = fails
    director.path.write_text(director.text.replace("threshold = .3", "threshold = .4"))
    with pytest.raises(ControlError, match="a mistake") as caught:
        found(director.daemon.controls.reload("anna"))
    assert caught.value.remedy.startswith("Applied in part: ")
    begun, told = director.events(Kind.RELOAD)
    assert begun.text.startswith("Reload: ")
    assert told.text == "pybal.conf was applied in part: ValueError: a mistake"
    assert told.cause == begun.seq


def test_drift_in_the_kernel_is_told(director: Director) -> None:
    before = director.daemon.view.history().newest
    (service, _) = director.kernel.services().services
    director.kernel.apply([RemoveService(service.key)])
    director.run(70)
    drift = [e for e in director.events(Kind.KERNEL, after=before) if e.inputs["answer"] == "drift"]
    assert len(drift) == 1
    assert drift[0].service in ("a", "b")


def test_an_operators_override_is_the_cause_of_its_decision(director: Director) -> None:
    before = director.daemon.view.history().newest
    wish = Wish(Action.DISABLE, Scope("192.0.2.1", ("a",)), 3600.0, "new kernel")
    done = Deferred.fromCoroutine(director.daemon.controls.override(wish, "anna"))
    director.run(1)
    result_of(done)
    (decision,) = director.events(Kind.DECISION, service="a", after=before)
    assert director.chain(decision) == [Kind.DECISION, Kind.LIST, Kind.OVERRIDE]
    (override,) = director.events(Kind.OVERRIDE, after=before)
    assert override.text == "anna has PyBal disable 192.0.2.1 in a for a time: new kernel"


def test_isolation_is_an_incident_with_a_begin_and_an_end() -> None:
    clock = Clock()
    slices, threads = TimeSlices(clock), list[object]()
    ports = HistoryPorts(
        clock=clock,
        now=clock.seconds,
        time_slices=slices,
        in_thread=at_once,
        own_thread=threads.append,
        directory=None,
    )
    part = HistoryPart(ports, lambda _: None)
    for phase in (Phase.PROBING, Phase.NORMAL, Phase.PROBING, Phase.CUT_OFF, Phase.SETTLING):
        part.isolation(phase, 7)
    (begun,) = found(part.ledger.find_incidents(EventQuery()))[0]
    assert begun.ended_at is not None
    part.isolation(Phase.NORMAL, 0)
    cut_off, settling, normal = found(part.ledger.find(EventQuery())).events
    assert (cut_off.cause, settling.cause, normal.cause) == (None, cut_off.seq, settling.seq)
    assert settling.text.startswith("Servers answer again: 7 failures")
    part.isolation(Phase.PROBING, 1)
    part.isolation(Phase.NORMAL, 0)
    assert part.ledger.newest == normal.seq


def test_a_bgp_session_is_told_when_it_stands_and_when_it_is_lost(director: Director) -> None:
    router = Router(director.routers, "192.0.2.253")
    router.listen()
    director.run(30)
    end = router.ends[-1]
    end.say(Open(64601, 90, IPv4Address("192.0.2.253"), None), Keepalive())
    director.run(1)
    end.transport.abortConnection()
    director.run(1)
    up, down = director.events(Kind.BGP)
    assert up.text == "The BGP session with 192.0.2.253 is established"
    assert down.text.startswith("The BGP session with 192.0.2.253 is lost: ")
    incident, _ = found(director.daemon.view.history().find_incidents(EventQuery()))
    assert [each.subject.kind for each in incident] == ["peer"]


@pytest.mark.parametrize("lost", [False, True])
def test_a_peer_that_is_configured_no_longer_leaves_no_incident_open(
    director: Director, lost: bool
) -> None:
    router = Router(director.routers, "192.0.2.253")
    router.listen()
    director.run(30)
    end = router.ends[-1]
    end.say(Open(64601, 90, IPv4Address("192.0.2.253"), None), Keepalive())
    director.run(1)
    if lost:
        end.transport.abortConnection()
        director.run(1)
    director.reload(director.text.replace("bgp = yes", "bgp = no"))
    incidents, _ = found(director.daemon.view.history().find_incidents(EventQuery()))
    assert [each.subject.kind for each in incidents] == ["peer"]
    assert incidents[0].ended_at is not None


def test_the_inputs_of_each_service_give_its_decisions(director: Director) -> None:
    director.network.refusing.add("192.0.2.1")
    director.run()
    director.listed("192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5")
    director.run()
    director.network.refusing.clear()
    director.run()
    for service in ("a", "b"):
        events = director.events(service=service)
        assert sorted(replayed(events), key=repr) == sorted(recorded(events), key=repr)
        assert len(list(recorded(events))) > 8


def test_an_orderly_end_is_told(tmp_path: Path) -> None:
    director = Director(tmp_path)
    director.stop()
    assert director.events()[-1].text == "PyBal stops"
    assert director.daemon.view.history().snapshot().in_memory > 10


def part_ports(folder: Path, in_thread: InThread, own_thread: OwnThread) -> HistoryPorts:
    clock = Clock()
    return HistoryPorts(
        clock=clock,
        now=clock.seconds,
        time_slices=TimeSlices(clock),
        in_thread=in_thread,
        own_thread=own_thread,
        directory=folder,
    )


def test_a_reload_switches_the_file_on_and_off(tmp_path: Path) -> None:
    threads: list[Callable[[], None]] = []

    def counted(run: Callable[[], None]) -> None:
        in_a_thread(run)
        threads.append(run)

    waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def pooled(call: Callable[[], Any]) -> Deferred[Any]:
        waiting.append((call, Deferred()))
        return waiting[-1][1]

    def run_pool() -> None:
        while waiting:
            call, done = waiting.pop(0)
            done.callback(call())

    def go_over(settings: HistorySettings) -> None:
        going = Deferred.fromCoroutine(part.reconfigure(settings))
        assert going.called is (settings.retention_s != HistorySettings().retention_s), (
            "the file is opened elsewhere"
        )
        run_pool()
        result_of(going)

    ports = part_ports(tmp_path, pooled, counted)
    part = HistoryPart(ports, lambda _: None)
    off = HistorySettings(retention_s=0)
    part.start(off, dry_run=False)
    assert list(tmp_path.iterdir()) == []
    go_over(HistorySettings())
    part.asked(Kind.OPERATOR, "kept", "anna")
    go_over(HistorySettings(retention_s=60))
    assert len(threads) == 1
    go_over(off)
    part.asked(Kind.OPERATOR, "not kept", "anna")
    result_of(Deferred.fromCoroutine(part.stop(for_restart=False)))
    kept = find_events(tmp_path / FILE_NAME, EventQuery())
    assert [event.text for event in kept] == ["kept"]
    again = HistoryPart(ports._replace(in_thread=at_once), lambda _: None)
    again.start(HistorySettings(), dry_run=False)
    assert (
        found(again.ledger.find(EventQuery(newest=True, limit=1))).events[0].seq == kept[0].seq + 1
    )
    result_of(Deferred.fromCoroutine(again.stop(for_restart=True)))


@pytest.mark.parametrize("at_first", [HistorySettings(), HistorySettings(retention_s=0)])
def test_without_a_thread_for_its_file_all_goes_on_and_the_next_reload_begins_it(
    tmp_path: Path, at_first: HistorySettings
) -> None:
    there_are_some = [False]

    def perhaps_a_thread(run: Callable[[], None]) -> None:
        if not there_are_some[-1]:
            raise NoThreadError("none is left")
        in_a_thread(run)

    part = HistoryPart(part_ports(tmp_path, at_once, perhaps_a_thread), lambda _: None)

    def reload() -> None:
        result_of(Deferred.fromCoroutine(part.reconfigure(HistorySettings())))

    part.start(at_first, dry_run=False)
    reload()
    why = "none is left; the next reload tries again"
    assert list(part.unwritten) == [(str(tmp_path / FILE_NAME), why)]
    there_are_some.append(True)
    reload()
    assert list(part.unwritten) == []
    part.asked(Kind.OPERATOR, "kept", "anna")
    result_of(Deferred.fromCoroutine(part.stop(for_restart=False)))
    kept = find_events(tmp_path / FILE_NAME, EventQuery())
    assert [event.text for event in kept] == ["kept", "PyBal stops"]


def test_a_stop_amid_the_opening_of_the_file_is_noted_in_it(tmp_path: Path) -> None:
    busy = [True]

    def perhaps_at_once(call: Callable[[], Any]) -> Deferred[Any]:
        return Deferred() if busy else at_once(call)

    part = HistoryPart(part_ports(tmp_path, perhaps_at_once, in_a_thread), lambda _: None)
    part.start(HistorySettings(retention_s=0), dry_run=False)
    opening = Deferred.fromCoroutine(part.reconfigure(HistorySettings()))
    opening.cancel()
    assert isinstance(error_of(opening), CancelledError)
    until((tmp_path / FILE_NAME).exists)
    busy.clear()
    result_of(Deferred.fromCoroutine(part.stop(for_restart=False)))
    (stop,) = find_events(tmp_path / FILE_NAME, EventQuery())
    assert stop.text == "PyBal stops"
