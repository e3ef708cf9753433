"""What viewers are sent."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from pybal.instrumentation.server_sent_events import SLOWEST_S
from pybal.model import ServiceSnapshot
from pybal.page.live import HEARTBEAT_S, MAX_VIEWERS
from tests.fakes.view import FakeView, monitor, server, service
from tests.instrumentation.exchange import HeldTurns
from tests.page.visitor import Stream, Visitor


def view() -> FakeView:
    return FakeView([service("a_80", [server("cp1"), server("cp2")]), service("b_80")])


def strike(snapshots: FakeView, reason: str = "refused") -> None:
    """cp2 goes down."""
    one = snapshots.service_list[0]
    down = server("cp2", up=False, monitors=(monitor(up=False, reason=reason),))
    changed = one._replace(servers=(one.servers[0], down))
    snapshots.service_list = [changed, *snapshots.service_list[1:]]


def state_of(text: str) -> str:
    return text.partition('data-state="')[2].partition('"')[0]


def test_a_viewer_is_sent_what_has_changed_within_a_second_and_nothing_else() -> None:
    snapshots = view()
    visitor = Visitor(snapshots)
    text = visitor.page()
    stream = visitor.stream(f"?state={state_of(text)}")
    first = stream.events()
    assert [each.get("event") for each in first] == ["time"]
    assert f'data-build="{first[0]["data"].split()[1]}"' in text
    assert "text/event-stream" in stream.head and "Content-Length" not in stream.head
    visitor.advance(5)
    assert stream.changes() == []
    strike(snapshots)
    visitor.advance(1)
    (changes,) = stream.changes()
    rows = [html for id_, html in changes["pieces"].items() if id_.startswith("service-")]
    assert len(rows) == 1 and "a_80" in rows[0] and "1 down" in rows[0]
    assert any("refused" in html for html in changes["pieces"].values())
    visitor.advance(1)
    assert stream.changes() == []


def test_who_comes_with_another_state_is_sent_everything() -> None:
    visitor = Visitor(view())
    for query in ("", "?state=other.3", "?state=%00"):
        (changes,) = visitor.stream(query).changes()
        assert changes["order"]["services"]
        assert len([id_ for id_ in changes["pieces"] if id_.startswith("service-")]) == 2


def test_a_viewer_that_comes_back_names_the_last_event_that_it_had() -> None:
    snapshots = view()
    visitor = Visitor(snapshots)
    stream = visitor.stream()
    last = stream.events()[-1]["id"]
    strike(snapshots)
    visitor.advance(1)
    connection = visitor.connect()
    head = f"GET /status.stream HTTP/1.1\r\nHost: lvs\r\nLast-Event-ID: {last}\r\n\r\n"
    connection.send(head.encode())
    visitor.advance(0)
    (changes,) = Stream(connection).changes()
    assert len([id_ for id_ in changes["pieces"] if id_.startswith("service-")]) == 1


def test_a_service_has_viewers_of_its_own() -> None:
    snapshots = view()
    visitor = Visitor(snapshots)
    here, there = visitor.stream("?of=a_80"), visitor.stream("?of=b_80")
    assert "servers" in here.changes()[0]["order"]
    assert there.changes()
    strike(snapshots, "<i>")
    visitor.advance(1)
    (changes,) = here.changes()
    assert any("&lt;i&gt;" in html for html in changes["pieces"].values())
    assert there.changes() == []
    connection = visitor.connect()
    connection.send(b"GET /status.stream?of=nosuch HTTP/1.1\r\nHost: lvs\r\n\r\n")
    assert connection.answer().status == 404


def test_viewers_of_a_service_that_is_gone_are_cut_off() -> None:
    snapshots = view()
    visitor = Visitor(snapshots)
    stream, other = visitor.stream("?of=b_80"), visitor.stream("?of=a_80")
    snapshots.service_list = snapshots.service_list[:1]
    visitor.advance(1)
    assert stream.connection.transport.disconnected
    assert not other.connection.transport.disconnected


def test_heartbeats_tell_the_time() -> None:
    visitor = Visitor(view())
    stream = visitor.stream()
    stream.events()
    for _ in range(int(HEARTBEAT_S)):
        visitor.advance(1)
    assert [each["event"] for each in stream.events()] == ["time"]


class Counted(FakeView):
    """Counts how often it was asked for all services."""

    looks = 0

    def services(self) -> Sequence[ServiceSnapshot]:
        self.looks += 1
        return super().services()


def test_nothing_is_looked_at_while_nobody_watches() -> None:
    snapshots = Counted(view().service_list)
    visitor = Visitor(snapshots)
    visitor.page()
    before = snapshots.looks
    visitor.advance(5)
    assert snapshots.looks == before
    stream = visitor.stream()
    visitor.advance(1)
    assert snapshots.looks > before
    stream.connection.protocol.connectionLost(Failure(ConnectionLost()))
    visitor.advance(1)
    before = snapshots.looks
    visitor.advance(5)
    assert snapshots.looks == before


def test_there_are_only_so_many_viewers() -> None:
    visitor = Visitor(view())
    streams = [visitor.stream() for _ in range(MAX_VIEWERS)]
    connection = visitor.connect()
    connection.send(b"GET /status.stream HTTP/1.1\r\nHost: lvs\r\n\r\n")
    answer = connection.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    streams[0].connection.protocol.connectionLost(Failure(ConnectionLost()))
    assert visitor.stream().changes()


def test_there_are_only_so_many_viewers_though_all_ask_at_once() -> None:
    turns = HeldTurns()
    visitor = Visitor(view(), time_slices=turns)
    connections = [visitor.connect() for _ in range(MAX_VIEWERS + 5)]
    for connection in connections:
        connection.send(b"GET /status.stream HTTP/1.1\r\nHost: lvs\r\n\r\n")
    turns.release()
    heads = [connection.transport.value().partition(b"\r\n")[0] for connection in connections]
    assert heads.count(b"HTTP/1.1 200 OK") == MAX_VIEWERS
    assert heads.count(b"HTTP/1.1 503 Service Unavailable") == 5


def test_a_slow_viewer_is_sent_nothing_until_it_can_take_more_then_all_at_once() -> None:
    snapshots = view()
    visitor = Visitor(snapshots)
    stream = visitor.stream()
    stream.events()
    producer = stream.connection.transport.producer
    assert producer is not None
    producer.pauseProducing()
    strike(snapshots, "first")
    visitor.advance(1)
    strike(snapshots, "second")
    visitor.advance(1)
    assert stream.events() == []
    producer.resumeProducing()
    (changes,) = stream.changes()
    hosts = [html for id_, html in changes["pieces"].items() if id_.startswith("host-")]
    assert len(hosts) == 1 and "second" in hosts[0]


def test_a_viewer_that_takes_nothing_is_cut_off() -> None:
    visitor = Visitor(view())
    stream = visitor.stream()
    producer = stream.connection.transport.producer
    assert producer is not None
    producer.pauseProducing()
    visitor.advance(SLOWEST_S - 1)
    assert not stream.connection.transport.disconnected
    visitor.advance(1)
    assert stream.connection.transport.disconnected


def test_head_of_the_stream_ends_at_once() -> None:
    visitor = Visitor(view())
    connection = visitor.connect()
    connection.send(b"HEAD /status.stream HTTP/1.1\r\nHost: lvs\r\n\r\n")
    answer = connection.answer("HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert "content-length" not in answer.headers


def test_stopping_ends_the_looking() -> None:
    snapshots = Counted(view().service_list)
    visitor = Visitor(snapshots)
    visitor.stream()
    visitor.advance(1)
    visitor.status.stop()
    before = snapshots.looks
    visitor.advance(30)
    assert snapshots.looks == before
