"""Messages and recorded sessions of others: see tests/data/bgp-strangers/README.md."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from pybal.bgp.attributes import Scope, Severity
from pybal.bgp.codec import Decoder, encode
from pybal.bgp.constants import AFI_IPV4, AFI_IPV6, IPV4_UNICAST, Family, Origin, SegmentType
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import (
    Capabilities,
    Keepalive,
    Message,
    MPReach,
    Open,
    PathAttributes,
    Segment,
    Update,
)
from pybal.bgp.settings import PeerSettings
from pybal.bgp.update import DecodedUpdate
from tests.bgp.peeringcase import PeeringCase
from tests.bgp.prefixes import prefix_of

DATA = Path(__file__).parents[1] / "data/bgp-strangers"
MESSAGES: dict[str, dict[str, Any]] = json.loads((DATA / "messages.json").read_text("utf-8"))
INSIDE = Scope(four_octet_asn=True, internal=True)


def decoded(name: str) -> Any:
    decoder = Decoder()
    decoder.scope = INSIDE
    decoder.feed(bytes.fromhex(MESSAGES[name]["bytes"]))
    return decoder.next_message()


def names(*, wrong: bool) -> list[str]:
    found = [name for name, each in MESSAGES.items() if ("error" in each) is wrong]
    assert len(found) > 3
    return found


@pytest.mark.parametrize("name", names(wrong=True))
def test_what_is_malformed_is_refused_or_taken_for_a_withdrawal(name: str) -> None:
    try:
        message = decoded(name)
    except NotificationError:
        return
    # RFC 7606 section 3 (d): the routes are known, what must be said of them is missing.
    assert name == "holo-update-malformed-1"
    assert message.severity is Severity.TREAT_AS_WITHDRAW
    assert message.update.withdrawn and not message.update.prefixes


@pytest.mark.parametrize("name", names(wrong=False))
def test_what_is_said_is_understood(name: str) -> None:
    message, says = decoded(name), MESSAGES[name]["says"]
    if isinstance(message, Open):
        capabilities = message.capabilities
        assert says == {
            "asn": message.asn,
            "hold_time_s": message.hold_time_s,
            "identifier": str(message.bgp_identifier),
            "capabilities": None if capabilities is None else sorted(capabilities.names()),
        }
        again = Decoder()
        again.feed(encode(message))
        assert again.next_message() == message
        return
    assert isinstance(message, DecodedUpdate)
    assert message.faults == ()
    assert {key: value for key, value in plain(message.update).items() if value} == says
    again = Decoder()
    again.scope = INSIDE
    again.feed(encode(replace(message.update, mp_unreach=None), INSIDE))
    found = again.next_message()
    assert isinstance(found, DecodedUpdate)
    assert found.update.attributes == message.update.attributes


def plain(update: Update) -> dict[str, Any]:
    reach, unreach, attributes = update.mp_reach, update.mp_unreach, update.attributes
    aggregator = attributes.aggregator
    return {
        "prefixes": [*map(str, update.prefixes)],
        "next_hop": update.next_hop and str(update.next_hop),
        "withdrawn": [*map(str, update.withdrawn)],
        "mp_prefixes": reach and [*map(str, reach.prefixes)],
        "mp_next_hops": reach and [*map(str, reach.next_hops)],
        "mp_withdrawn": unreach and [*map(str, unreach.prefixes)],
        "as_path": [asn for segment in attributes.as_path or () for asn in segment.asns],
        "med": attributes.med,
        "local_pref": attributes.local_pref,
        "aggregator": aggregator and [aggregator.asn, str(aggregator.address)],
        "originator_id": attributes.originator_id and str(attributes.originator_id),
        "cluster_list": [*map(str, attributes.cluster_list)],
        "communities": [*attributes.communities],
        "extended_communities": [each.hex() for each in attributes.extended_communities],
        "large_communities": [[*each] for each in attributes.large_communities],
        "unknown": [each.code for each in attributes.unknown],
    }


# The recorded sessions


def recorded() -> dict[tuple[str, str], list[dict[str, Any]]]:
    sessions: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in (DATA / "sessions.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        sessions[entry["topology"], entry["neighbor"]].append(entry["message"])
    return sessions


SESSIONS = recorded()
_AFIS = {"Ipv4": AFI_IPV4, "Ipv6": AFI_IPV6}


def message_of(said: dict[str, Any]) -> Message:
    [(kind, body)] = said.items()
    if kind == "Keepalive":
        return Keepalive()
    return _open(body) if kind == "Open" else _update(body)


def _open(body: dict[str, Any]) -> Open:
    given = body["capabilities"]
    pairs = [each for each in given if isinstance(each, dict)]
    families = [each["MultiProtocol"] for each in pairs if "MultiProtocol" in each]
    assert {each["safi"] for each in families} == {"Unicast"}
    capabilities = Capabilities(
        families=tuple(Family(_AFIS[each["afi"]], 1) for each in families),
        four_octet_asn=next(
            each["FourOctetAsNumber"]["asn"] for each in pairs if "FourOctetAsNumber" in each
        ),
        route_refresh="RouteRefresh" in given,
    )
    identifier = IPv4Address(body["identifier"])
    return Open(body["my_as"], body["holdtime"], identifier, capabilities)


def _update(body: dict[str, Any]) -> Update:
    base = body["attrs"]["base"]
    segments = base["as_path"]["segments"]
    attributes = PathAttributes(
        origin=Origin[base["origin"].upper()],
        as_path=tuple(
            Segment(SegmentType.AS_SEQUENCE, tuple(each["members"])) for each in segments
        ),
        cluster_list=tuple(map(IPv4Address, base.get("cluster_list", ()))),
    )
    if "reach" in body:
        return Update(
            attributes=attributes,
            next_hop=IPv4Address(body["reach"]["nexthop"]),
            prefixes=tuple(map(prefix_of, body["reach"]["prefixes"])),
        )
    reach = body["mp_reach"]["Ipv6Unicast"]
    prefixes = tuple(map(prefix_of, reach["prefixes"]))
    hop = ip_address(reach["nexthop"])
    return Update(attributes=attributes, mp_reach=MPReach(Family(AFI_IPV6, 1), (hop,), prefixes))


class TestRecordedSessions(PeeringCase):
    def test_they_establish_and_say_all_without_a_fault(self) -> None:
        assert len(SESSIONS) == 6
        for (topology, neighbour), said in SESSIONS.items():
            with self.subTest(topology=topology, neighbour=neighbour):
                self.play(list(map(message_of, said)))
                assert self.logged("error") == []
                # It was recorded inside of an AS; from outside that attribute does not count.
                reflected = any("cluster_list" in str(message) for message in said)
                faults = [
                    line for line in self.logged("warn") if "CLUSTER_LIST from an ext" in line
                ]
                assert len(self.logged("warn")) == len(faults) == reflected

    def play(self, messages: list[Message]) -> None:
        super().setUp()
        opened, *rest = messages
        assert isinstance(opened, Open)
        told = [each for each in rest if isinstance(each, Update)]
        prefixes = [
            prefix
            for update in told
            for prefix in (update.mp_reach.prefixes if update.mp_reach else update.prefixes)
        ]
        self.bgp = self.failover(
            PeerSettings(ip_address("10.0.0.9"), asn=opened.asn, hold_time_s=90, imports=True)
        )
        for number, prefix in enumerate(prefixes):
            inside = ip_address(prefix.octets) + 1
            self.bgp.set_own(f"service {number}", inside)
        self.router.listen()
        self.bgp.start()
        self.turn()
        end = self.router.ends[-1]
        end.transport.write(encode(opened))
        self.turn()
        scope = Scope(four_octet_asn=True, internal=False)
        for message in rest:
            end.transport.write(encode(message, scope))
        self.turn(1)
        peer = self.peer()
        assert peer.established, self.events
        assert peer.heard == len(prefixes)
        assert self.received("update") == len(told)
        families = {prefix.family for prefix in prefixes}
        assert families <= {IPV4_UNICAST, Family(AFI_IPV6, 1)}
