"""A session's record: written, read by another process, and what follows from its journal."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybal.bgp.adj_rib_out import AdjRIBOut, end_of_rib
from pybal.bgp.codec import encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST
from pybal.bgp.kept_session import (
    KeptSession,
    changed_terms,
    decode_session,
    encode_session,
    note_answered,
    note_asked,
    replay,
    terms_of,
)
from pybal.bgp.messages import Capabilities, Keepalive, Notification, Open, RouteRefresh, Update
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Routes
from pybal.bgp.settings import AOSettings, Confederation, PeerSettings, SpeakerSettings
from pybal.handover.format import Entry, HandoverError, Kind
from tests.bgp.strategies import opens
from tests.bgp.test_rib import LOCAL, V4, V6, hosts4, hosts6, pull_all, route, session

KEPT = KeptSession(
    place="boot netns",
    cookie=77,
    peer="10.0.0.2",
    active=True,
    terms={"port": "179"},
    local_open=LOCAL,
    peer_open=LOCAL,
    established_at=12.5,
    since=1.8e9,
)
PEER = PeerSettings(ip_address("10.0.0.2"), asn=64600)
SPEAKER = SpeakerSettings(64512, IPv4Address("10.0.0.1"), (PEER,), ())


def begin(position: int = 0) -> Entry:
    return Entry(Kind.BEGIN, position.to_bytes(8, "little"))


@given(opens, opens)
def test_a_session_is_read_as_it_was_written(local: Open, peer: Open) -> None:
    kept = replace(KEPT, local_open=local, peer_open=peer)
    with contextlib.suppress(HandoverError):
        assert decode_session(encode_session(kept)) == kept


def test_an_open_of_ours_can_be_kept() -> None:
    assert decode_session(encode_session(KEPT)) == KEPT


@given(st.sampled_from(sorted(json.loads(encode_session(KEPT)))), st.data())
def test_a_document_of_another_shape_is_refused(key: str, data: st.DataObject) -> None:
    document = json.loads(encode_session(KEPT))
    wrong: object = data.draw(
        st.none() | st.just([]) | st.just("zz") | st.just(-1) | st.just({"a": 1})
    )
    document[key] = wrong
    with contextlib.suppress(HandoverError):
        found = decode_session(json.dumps(document).encode())
        assert type(wrong) is type(json.loads(encode_session(found))[key])
    del document[key]
    with pytest.raises(HandoverError):
        decode_session(json.dumps(document).encode())


@pytest.mark.parametrize("number", [True, 1.5, "77"])
def test_what_only_looks_like_a_number_is_none(number: object) -> None:
    document = json.loads(encode_session(KEPT)) | {"cookie": number}
    with pytest.raises(HandoverError, match="TypeError"):
        decode_session(json.dumps(document).encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_a_session_or_refused(data: bytes) -> None:
    with pytest.raises(HandoverError):
        decode_session(data)


def test_another_version_is_not_read() -> None:
    with pytest.raises(HandoverError, match="version 2"):
        decode_session(encode_session(KEPT).replace(b'"version": 1', b'"version": 2'))


@pytest.mark.parametrize(
    ("name", "speaker", "peer"),
    [
        ("local asn", {"local_asn": 64513}, {}),
        ("router id", {"router_id": IPv4Address("10.0.0.9")}, {}),
        ("confederation", {"confederation": Confederation(65000, frozenset({64513}))}, {}),
        ("peer asn", {}, {"asn": None}),
        ("password", {}, {"password": b"secret"}),
        ("ao", {}, {"ao": AOSettings("hmac(sha1)", 1, 1)}),
        ("hold time", {}, {"hold_time_s": 9}),
        ("families", {}, {"families": (IPV4_UNICAST,)}),
        ("restart time", {}, {"restart_time_s": 9}),
        ("interface", {}, {"interface": "eth0"}),
        ("ttl security", {}, {"ttl_security_hops": 1}),
        ("local address", {}, {"local_address": ip_address("10.0.0.3")}),
    ],
)
def test_a_change_of_what_was_agreed_on_is_seen(
    name: str, speaker: dict[str, object], peer: dict[str, object]
) -> None:
    before = terms_of(SPEAKER, PEER)
    after = terms_of(
        replace(SPEAKER, **speaker),  # type: ignore[arg-type]
        replace(PEER, **peer),  # type: ignore[arg-type]
    )
    assert name in changed_terms(before, after)
    assert "secret" not in str(after)


def test_other_changes_and_terms_that_an_older_version_did_not_know_are_none() -> None:
    before = terms_of(SPEAKER, PEER)
    after = terms_of(SPEAKER, replace(PEER, description="core", connect_only=True))
    assert changed_terms(before, after) == []
    assert changed_terms({}, after) == []
    assert changed_terms({**before, "of the future": "1"}, after) == []


# -- the journal ------------------------------------------------------------------------------

SESSION = session()
SENT = [
    encode(LOCAL),
    encode(Keepalive()),
    *(
        encode(message, SESSION.scope)
        for message in (
            Update(
                attributes=V4.attributes,
                next_hop=IPv4Address("10.0.0.1"),
                prefixes=tuple(hosts4(3)),
            ),
            Update(withdrawn=(hosts4(1)[0],)),
            end_of_rib(IPV4_UNICAST),
            RouteRefresh(IPV4_UNICAST),
        )
    ),
]


@pytest.mark.parametrize("begins", [0, 1, 5000])
def test_what_the_kernel_did_not_take_is_pending_to_the_byte(begins: int) -> None:
    stream = b"".join(SENT)
    entries = [begin(begins), *(Entry(Kind.SENT, data) for data in SENT)]
    for taken in range(len(stream) + 1):
        told = replay(entries, begins + taken, SESSION)
        assert told.pending == stream[taken:]
    assert told.routes == dict.fromkeys(hosts4(3)[1:], V4)
    assert told.markers == {IPV4_UNICAST}
    for impossible in (begins - 1, begins + len(stream) + 1):
        with pytest.raises(HandoverError, match="the kernel was given"):
            replay(entries, impossible, SESSION)


def test_what_was_told_before_counts_and_was_sent_before() -> None:
    entries = [
        begin(900),
        Entry(Kind.TOLD, SENT[2]),
        Entry(Kind.PENDING, SENT[2][-5:]),
        Entry(Kind.SENT, SENT[3]),
    ]
    told = replay(entries, 902, SESSION)
    assert told.pending == SENT[2][-3:] + SENT[3]
    assert set(told.routes) == set(hosts4(3)[1:])


@pytest.mark.parametrize(
    "last",
    [
        Entry(Kind.ENDED),
        Entry(Kind.SENT, encode(Notification(6, 2))),
        Entry(Kind.SENT, encode(Keepalive())[:-1]),
        Entry(Kind.SENT, b"what is that?" * 3),
        Entry(Kind.NOTE, b"asked for much"),
    ],
)
def test_a_session_that_had_ended_or_cannot_be_read_does_not_go_on(last: Entry) -> None:
    with pytest.raises(HandoverError):
        replay([begin(), last], len(last.payload), SESSION)


def test_what_was_sent_and_cannot_be_read_is_told_from_what_was_cut_off() -> None:
    for sent, words in ((b"what is that?" * 3, "be read"), (encode(Keepalive())[:-1], "within")):
        with pytest.raises(HandoverError, match=words):
            replay([begin(), Entry(Kind.SENT, sent)], len(sent), SESSION)


def test_a_journal_needs_a_beginning() -> None:
    with pytest.raises(HandoverError, match="beginning"):
        replay([], 0, SESSION)


def test_what_the_peer_has_asked_for_is_owed_until_it_was_answered() -> None:
    asked = [Entry(Kind.NOTE, note_asked(family)) for family in (IPV4_UNICAST, IPV6_UNICAST)]
    assert replay([begin(), *asked], 0, SESSION).asked == {IPV4_UNICAST, IPV6_UNICAST}
    answered = Entry(Kind.NOTE, note_answered())
    assert replay([begin(), *asked, answered, asked[0]], 0, SESSION).asked == {IPV4_UNICAST}


# -- the routes -------------------------------------------------------------------------------

ROUTES: Routes = {
    **dict.fromkeys(hosts4(3), V4),
    hosts4(4)[3]: route(med=7),
    **dict.fromkeys(hosts6(3), V6),
}


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"peer_asn": 64512},
        {"four": False},
    ],
    ids=["external", "internal", "two octets"],
)
def test_the_next_process_says_nothing_if_nothing_changed_and_then_what_changed(
    own: dict[str, int],
) -> None:
    ours = session(own.get("peer_asn", 64513))
    if "four" in own:
        ours = replace(ours, scope=replace(ours.scope, four_octet_asn=False))
    first = AdjRIBOut(ours)
    first.want(ROUTES)
    sent = [encode(message, ours.scope, ours.send_size) for message in pull_all(first)]
    entries = [begin(), *(Entry(Kind.SENT, data) for data in sent)]
    told = replay(entries, sum(map(len, sent)), ours)

    second = AdjRIBOut(ours)
    second.resume(told.routes, told.markers, told.asked)
    second.want({})
    assert pull_all(second) == [], "what is not wanted yet stays"
    second.want(dict(list(ROUTES.items())[:3]))
    assert pull_all(second) == []
    again = {prefix: replace(each) for prefix, each in ROUTES.items()}
    second.want(again)
    second.release()
    assert pull_all(second) == []
    assert second.sent == first.sent
    new = Prefix.host(ip_address("198.51.100.1"))
    second.want({**dict(list(again.items())[1:]), new: V4})
    withdrawal, update = pull_all(second)
    assert withdrawal == Update(withdrawn=(hosts4(1)[0],))
    assert isinstance(update, Update)
    assert update.prefixes == (new,)
    said = [Entry(Kind.TOLD, encode(each, ours.scope, ours.send_size)) for each in second.said()]
    once_more = replay([begin(), *said], 0, ours)
    assert once_more.routes == second.sent
    assert once_more.markers == told.markers == {IPV4_UNICAST, IPV6_UNICAST}


def test_what_is_not_wanted_any_more_is_withdrawn_once_all_is_known() -> None:
    rib = AdjRIBOut(SESSION)
    rib.resume(dict.fromkeys(hosts4(2), V4), {IPV4_UNICAST, IPV6_UNICAST}, ())
    rib.want({hosts4(1)[0]: route(med=9)})
    [update] = pull_all(rib)
    assert isinstance(update, Update)
    assert update.prefixes == (hosts4(1)[0],)
    rib.release()
    assert pull_all(rib) == [Update(withdrawn=(hosts4(2)[1],))]


def test_what_goes_down_again_does_not_wait_for_all_others() -> None:
    rib = AdjRIBOut(SESSION)
    first, second = hosts4(2)
    rib.resume({first: V4, second: V4}, {IPV4_UNICAST, IPV6_UNICAST}, ())
    rib.want({first: V4})
    rib.want({})
    assert pull_all(rib) == [Update(withdrawn=(first,))]
    rib.release()
    assert pull_all(rib) == [Update(withdrawn=(second,))]


def test_a_family_that_was_asked_for_is_said_again() -> None:
    rib = AdjRIBOut(SESSION)
    rib.resume({hosts4(1)[0]: V4}, {IPV4_UNICAST, IPV6_UNICAST}, [IPV4_UNICAST])
    rib.want({hosts4(1)[0]: V4})
    assert len(pull_all(rib)) == 1


def test_capabilities_of_all_kinds_can_be_kept() -> None:
    plain = Open(64512, 90, IPv4Address("10.0.0.1"), Capabilities())
    assert decode_session(encode_session(replace(KEPT, peer_open=plain))).peer_open == plain
