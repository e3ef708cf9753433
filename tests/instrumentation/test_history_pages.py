"""What is asked of the history over HTTP: pages, moments, streams."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

from pybal.history.database import UnreadableError
from pybal.history.event import Kind, LedgerEvent
from pybal.history.incidents import Concern, Incident, Subject
from pybal.history.ledger import Ledger, Note
from pybal.history.query import EventQuery
from pybal.history.snapshot import DiskSnapshot
from pybal.instrumentation.event_stream import HEARTBEAT_S, MAX_STREAMS
from pybal.instrumentation.server_sent_events import SLOWEST_S
from tests.fakes.view import NOON, FakeView, decision_inputs, server, service
from tests.instrumentation.exchange import Answer, Client, Connection


class Site:
    """A site whose ledger is on the site's clock."""

    def __init__(self) -> None:
        self.view = FakeView([service("web", [server("cp1"), server("cp2")])])
        self.client = Client(self.view)
        clock = self.client.clock
        self.ledger = self.view.ledger = Ledger(
            clock, lambda: NOON + clock.seconds(), self.client.time_slices, self.client.log.logger()
        )

    def note(self, text: str, kind: Kind = Kind.REPORT, **fields: Any) -> int:
        return self.ledger.note(Note(kind, text, **fields))

    def some(self, count: int = 5) -> None:
        for number in range(count):
            self.note(f"event {number}", service="web", host=f"cp{number % 2 + 1}")
            self.client.clock.advance(10)

    def decide(self, verdict: str, before: dict[str, Any] | None = None, **fields: Any) -> int:
        inputs = decision_inputs(verdict, before)
        where = {"service": "web", "host": "cp1", **fields}
        return self.note(f"cp1 is {verdict}", Kind.DECISION, inputs=inputs, **where)

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1/{path}")
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def wrong(self, path: str) -> Answer:
        return self.client.get(f"/api/v1/{path}")


class LostDisk:
    """A Disk whose file somebody has removed, and that has written nothing since."""

    newest = (0, 0)
    lost_total = 0
    complete_up_to = 0

    def write(self, events: Sequence[LedgerEvent], incidents: Sequence[Incident]) -> None:
        """Not yet."""

    def clock_was_set(self) -> None:
        """Nothing to do."""

    def find(self, query: EventQuery) -> Deferred[list[LedgerEvent]]:
        return succeed([])

    def find_incidents(self, query: EventQuery) -> Deferred[list[Incident]]:
        return succeed([])

    def snapshot(self) -> DiskSnapshot:
        return DiskSnapshot("history.sqlite")


@pytest.fixture
def site() -> Site:
    return Site()


def texts(document: Any) -> list[str]:
    return [event["text"].removeprefix("event ") for event in document["events"]]


def test_a_client_pages_through_all_by_the_cursor(site: Site) -> None:
    site.some(7)
    seen, path = [], "events?limit=3"
    while True:
        document = site.get(path)
        seen += texts(document)
        path = f"events?limit=3&after={document['next']}"
        if not document["more"]:
            break
    assert seen == list("0123456")
    assert site.get(path)["events"] == []
    assert site.get(path)["next"] == 7
    site.note("event 7")
    assert texts(site.get(path)) == ["7"]


def test_the_newest_come_first_if_they_are_asked_for(site: Site) -> None:
    site.some(5)
    document = site.get("events?order=desc&limit=2")
    assert texts(document) == ["4", "3"]
    assert texts(site.get(f"events?before={document['previous']}&limit=2")) == ["2", "1"]


def test_an_event_has_its_cause_its_incident_and_its_inputs(site: Site) -> None:
    cause = site.note(
        "down", host="cp1", service="web", inputs={"up": False},
        concern=Concern(Subject("host", "cp1"), "web Ping"),
    )  # fmt: skip
    site.decide("depooled", cause=cause)
    report, decision = site.get("events")["events"]
    assert report["inputs"] == {"up": False}
    assert decision["cause"] == decision["incident"] == report["seq"]
    assert decision["at"] == {"iso": "2023-11-14T22:13:20.000Z", "epoch": NOON}
    assert decision["kind"] == "decision"
    (incident,) = site.get("incidents")["incidents"]
    assert (incident["effects"], incident["open"], incident["services"]) == (1, True, ["web"])
    assert incident["text"] == "cp1 failed in 1 service (1 depooled): down"
    assert len(site.get(f"events?incident={incident['id']}")["events"]) == 2


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("host=cp1", "024"),
        ("host=cp1,cp2&limit=2", "01"),
        ("host=cp1&host=cp2", "01234"),
        ("service=web", "01234"),
        ("service=nosuch", ""),
        ("kind=report", "01234"),
        ("kind=route", ""),
        (f"since={NOON + 20}", "234"),
        (f"since={NOON + 20}&until={NOON + 30}", "23"),
        ("since=25s", "34"),
        ("since=25s%20ago", "34"),
        (f"until={quote('2023-11-14T22:13:30Z')}", "01"),
        ("after=2&before=5", "23"),
        ("order=asc&limit=2", "01"),
    ],
)
def test_filters(site: Site, query: str, wanted: str) -> None:
    site.some(5)
    assert "".join(texts(site.get(f"events?{query}"))) == wanted


@pytest.mark.parametrize(
    ("path", "error", "remedy"),
    [
        ("events?sevice=web", "no parameter 'sevice'", "service"),
        ("events?limit=0", "limit must be a whole number from 1 to 1000", "at most 1000"),
        ("events?limit=x", "limit must be", ""),
        ("events?limit=1001", "limit must be", ""),
        ("events?after=-1", "after must be a whole number not below 0", ""),
        ("events?after=99999999999999999999", "after must be", ""),
        ("events?after=1&after=2", "after is there more than once", ""),
        ("events?kind=decisions", "no kind 'decisions'", "decision"),
        ("events?since=soon", "since: 'soon' is no moment", "1h"),
        ("events?since=1m&until=1h", "since is later than until", "swap"),
        ("events?order=up", "order must be asc or desc", ""),
        ("events?host=%ff", "not UTF-8", ""),
        ("incidents?kind=report", "no parameter 'kind'", "since"),
        ("servers/cp1/why?when=1", "no parameter 'when'", "at"),
        ("services/web/servers/cp1/why?at=never", "at: 'never' is no moment", ""),
        (f"services/web/servers/cp1/why?at={NOON + 1e6}", "at lies in the future", "now"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_there_is(
    site: Site, path: str, error: str, remedy: str
) -> None:
    answer = site.wrong(path)
    said = json.loads(answer.body)
    assert answer.status == 400
    assert error in said["error"]
    assert remedy in said["remedy"]


# -- why, then ---------------------------------------------------------------------------------


def why(site: Site, at: float) -> Any:
    return site.get(f"services/web/servers/cp1/why?at={at}")


def test_the_last_decision_before_a_moment_held_at_it(site: Site) -> None:
    clock = site.client.clock
    site.note("PyBal starts", Kind.START)
    site.decide("pooled")
    clock.advance(100)
    cause = site.note("Ping reports cp1 down", service="web", host="cp1")
    site.decide("depooled", cause=cause)
    clock.advance(100)
    site.decide("pooled")
    clock.advance(100)
    assert why(site, NOON + 50)["why"]["verdict"] == "pooled"
    then = why(site, NOON + 150)
    assert then["why"]["verdict"] == "depooled"
    assert then["why"]["text"] == (
        "cp1 is depooled (decided at 2023-11-14T22:15:00.000Z, cause: Ping reported down: silent):"
        " 3 of 4 servers were up and enabled, the threshold of 0.5 requires 2, and 3 were pooled"
        " then."
    )
    assert then["cause"]["text"] == "Ping reports cp1 down"
    assert then["running"] is True
    assert then["status"] == "enabled/down/not pooled"
    assert [event["kind"] for event in then["events"]] == ["decision", "report", "decision"]
    assert why(site, NOON + 250)["why"]["verdict"] == "pooled"


def test_a_decision_from_before_the_history_is_known_from_what_replaced_it(site: Site) -> None:
    site.client.clock.advance(1000)
    site.note("PyBal starts", Kind.START)
    site.client.clock.advance(10)
    before = {**decision_inputs("held"), "at": NOON + 100}
    site.decide("depooled", before)
    then = why(site, NOON + 500)
    assert (then["why"]["verdict"], then["before_history"], then["running"]) == ("held", True, None)
    assert then["history_since"]["epoch"] == NOON + 1000
    assert why(site, NOON + 1005)["why"]["verdict"] == "held"
    earlier = why(site, NOON + 50)
    assert earlier["why"] is None


def test_a_moment_before_the_history_is_said_so(site: Site) -> None:
    site.client.clock.advance(1000)
    site.note("PyBal starts", Kind.START)
    answer = site.wrong(f"servers/cp7/why?at={NOON}")
    assert answer.status == 404
    assert "lies before the history, which begins at" in json.loads(answer.body)["error"]


def test_a_moment_at_which_pybal_did_not_run_is_said_so(site: Site) -> None:
    clock = site.client.clock
    site.note("start", Kind.START)
    site.decide("pooled")
    clock.advance(100)
    site.note("stop", Kind.STOP)
    clock.advance(100)
    site.ledger.begin(site.ledger.newest, 1)
    site.note("start", Kind.START)
    clock.advance(100)
    assert why(site, NOON + 150)["running"] is False
    again = why(site, NOON + 250)
    assert (again["running"], again["of_former_run"]) == (True, True)


def test_a_server_that_had_left_is_said_so(site: Site) -> None:
    site.note("left", Kind.DECISION, service="web", host="cp9", inputs={"verdict": "removed"})
    found = site.get(f"servers/cp9/why?at={NOON + 1}")
    (only,) = found["servers"]
    assert only["why"]["text"].startswith("cp9 was not in the pool list, which it had left at")


def test_a_server_in_several_services_is_answered_for_each(site: Site) -> None:
    site.decide("pooled")
    site.decide("held", service="dns")
    found = site.get("servers/cp1/why?at=now")
    assert [(s["service"], s["why"]["verdict"]) for s in found["servers"]] == [
        ("web", "pooled"), ("dns", "held"),
    ]  # fmt: skip
    found = site.get("servers/cp1/why?service=dns")
    assert [s["service"] for s in found["servers"]] == ["dns"]


# -- streams -----------------------------------------------------------------------------------


class Stream:
    """A client that follows."""

    def __init__(self, site: Site, query: str = "", *headers: str, accept: str = "") -> None:
        self.site = site
        self.connection: Connection = site.client.connect()
        accept = accept or "text/event-stream"
        lines = [f"GET /api/v1/events{query} HTTP/1.1", "Host: x", f"Accept: {accept}", *headers]
        self.connection.send("\r\n".join([*lines, "", ""]).encode())

    def data(self) -> str:
        self.site.client.clock.advance(0.1)
        found: str = self.connection.transport.value().decode()
        self.connection.transport.clear()
        return found

    def texts(self) -> list[str]:
        lines = self.data().splitlines()
        return [json.loads(line[6:])["text"] for line in lines if line.startswith("data: ")]


def test_a_stream_tells_each_event_as_it_happens(site: Site) -> None:
    site.some(3)
    stream = Stream(site)
    head = stream.data()
    assert "HTTP/1.1 200" in head
    assert "text/event-stream" in head
    assert "data:" not in head
    site.note("a")
    site.note("b")
    body = stream.data()
    assert "id: 4\ndata: {" in body
    assert "id: 5\ndata: {" in body


def test_a_stream_has_filters_and_begins_where_it_is_told(site: Site) -> None:
    site.some(5)
    assert Stream(site, "?after=3").texts() == ["event 3", "event 4"]
    assert Stream(site, "?since=25s").texts() == ["event 3", "event 4"]
    assert Stream(site, "?limit=1").texts() == ["event 4"]
    assert Stream(site, "?limit=1&since=25s").texts() == ["event 4"]
    assert Stream(site, "?host=cp1&after=0").texts() == ["event 0", "event 2", "event 4"]
    assert Stream(site, "", "Last-Event-ID: 4").texts() == ["event 4"]
    assert Stream(site, "?follow=1&after=4", accept="*/*").texts() == ["event 4"]
    filtered = Stream(site, "?host=cp1")
    filtered.data()
    site.note("other", host="cp2")
    site.note("mine", host="cp1")
    assert filtered.texts() == ["mine"]


@pytest.mark.parametrize("name", ["until=1h", "before=4"])
def test_what_ends_before_now_cannot_be_followed(site: Site, name: str) -> None:
    answer = site.client.get(f"/api/v1/events?follow=1&{name}")
    assert answer.status == 400
    assert name.split("=")[0] in answer.body.decode()


def test_a_long_past_comes_whole(site: Site) -> None:
    for number in range(1500):
        site.note(str(number))
    assert Stream(site, "?after=0").texts() == [str(number) for number in range(1500)]


def test_a_stream_is_only_for_who_asks_for_one(site: Site) -> None:
    site.some(1)
    for accept in ("*/*", "application/json", "application/json, text/event-stream;q=0.5"):
        answer = site.client.get("/api/v1/events", {"Accept": accept})
        assert answer.headers["content-type"] == "application/json"
    answer = site.client.get("/api/v1/events?follow=0", {"Accept": "text/event-stream"})
    assert answer.headers["content-type"] == "application/json"


def test_a_heartbeat_keeps_a_stream_alive(site: Site) -> None:
    stream = Stream(site)
    stream.data()
    site.client.clock.advance(HEARTBEAT_S)
    assert ": heartbeat" in stream.data()


def test_a_wrong_cursor_is_refused(site: Site) -> None:
    assert "400 Bad Request" in Stream(site, "", "Last-Event-ID: x").data()
    assert "400 Bad Request" in Stream(site, "?nosuch=1").data()


def test_who_knows_of_more_than_has_happened_is_told_all_of_this_run(site: Site) -> None:
    site.some(2)
    stream = Stream(site, "", "Last-Event-ID: 5000")
    assert stream.texts() == ["event 0", "event 1"]
    site.note("a")
    assert stream.texts() == ["a"]
    page = site.get("events?after=5000")
    assert texts(page) == ["0", "1", "a"]
    assert page["next"] == 3


def test_a_cursor_of_a_history_that_was_lost_goes_on_with_what_happens_next(
    site: Site,
) -> None:
    site.ledger.keep_on(LostDisk())
    site.some(2)
    stream = Stream(site, "?after=5000")
    page = site.get("events?after=5000")
    assert (stream.texts(), page["events"], page["next"]) == ([], [], 2)
    site.note("a")
    assert stream.texts() == texts(site.get("events?after=2")) == ["a"]


class DamagedDisk(LostDisk):
    """A Disk whose file cannot be read."""

    def find(self, query: EventQuery) -> Deferred[list[LedgerEvent]]:
        return fail(UnreadableError("It cannot be read"))


def test_a_history_that_cannot_be_read_is_to_be_asked_later(site: Site) -> None:
    site.ledger.keep_on(DamagedDisk())
    answer = site.wrong("events")
    assert answer.status == 503
    assert json.loads(answer.body) == {"error": "It cannot be read", "remedy": "Ask again later"}


def test_there_is_a_limit_of_streams_and_a_place_is_free_again(site: Site) -> None:
    streams = [Stream(site) for _ in range(MAX_STREAMS)]
    assert all("200 OK" in stream.data() for stream in streams)
    assert "503 Service Unavailable" in Stream(site).data()
    streams[0].connection.protocol.connectionLost(Failure(ConnectionDone()))
    assert "200 OK" in Stream(site).data()


def test_who_takes_nothing_is_cut_off_and_nothing_waits_for_it(site: Site) -> None:
    stream = Stream(site)
    stream.data()
    producer: Any = stream.connection.transport.producer
    assert IPushProducer.providedBy(producer)
    producer.pauseProducing()
    site.note("a")
    assert stream.data() == ""
    producer.resumeProducing()
    assert stream.texts() == ["a"]
    producer.pauseProducing()
    site.note("b")
    site.client.clock.advance(SLOWEST_S + 0.1)
    assert stream.data() == ""
    assert stream.connection.transport.disconnected
    assert sum("Cut off who follows the events" in line for line in site.client.log) == 1


def test_nothing_is_left_when_all_are_gone(site: Site) -> None:
    stream = Stream(site)
    stream.data()
    site.note("a")
    stream.connection.protocol.connectionLost(Failure(ConnectionDone()))
    calls = site.client.clock.getDelayedCalls()
    site.client.clock.advance(100)
    assert site.ledger.snapshot().in_memory == 1
    assert not [call for call in calls if "event_stream" in repr(call)]
    assert site.client.clock.getDelayedCalls() == []
