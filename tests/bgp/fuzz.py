"""What the fuzzer (run_fuzz.py) and the kept inputs (test_crashes.py) are thrown at.

The first byte of an input chooses the circumstances, the rest is what the peer says.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger

from pybal.announce.failover import BGPFailover
from pybal.bgp.advertisement import Advertisement
from pybal.bgp.attributes import Scope
from pybal.bgp.codec import Decoder, encode
from pybal.bgp.constants import IPV4_UNICAST, IPV6_UNICAST, MAX_EXTENDED_MESSAGE_SIZE
from pybal.bgp.errors import NotificationError
from pybal.bgp.messages import Capabilities, Keepalive, Notification, Open
from pybal.bgp.settings import FailoverSettings, PeerSettings, SpeakerSettings
from pybal.bgp.update import DecodedUpdate
from tests.bgp.memory import MemoryNetwork, Router, memory_ports

US, THEM = ip_address("10.0.0.1"), ip_address("10.0.0.9")
OPEN = Open(
    64600,
    30,
    IPv4Address("10.0.0.9"),
    Capabilities(
        families=(IPV4_UNICAST, IPV6_UNICAST),
        four_octet_asn=64600,
        route_refresh=True,
        extended_message=True,
    ),
)


def fuzz_codec(data: bytes) -> None:
    """Any stream ends in messages, each of which can be said again, or in a NOTIFICATION that
    can be sent."""
    decoder = Decoder()
    circumstances = data[0] if data else 0
    decoder.scope = Scope(bool(circumstances & 1), bool(circumstances & 2))
    decoder.max_size = MAX_EXTENDED_MESSAGE_SIZE if circumstances & 4 else 4096
    decoder.feed(data[1:])
    try:
        while (message := decoder.next_message()) is not None:
            if isinstance(message, DecodedUpdate):
                encode(message.update, decoder.scope, 2 * MAX_EXTENDED_MESSAGE_SIZE)
    except NotificationError as error:
        encode(Notification(error.code, error.subcode, error.data))


def fuzz_session(data: bytes) -> None:
    """Whatever a configured peer says, at whatever point: our side never raises, a session is
    torn down only with a NOTIFICATION of ours or of the peer's, and a stop ends in time."""
    circumstances = data[0] if data else 0
    clock = Clock()
    network = MemoryNetwork(clock)
    router = Router(network, str(THEM))
    router.listen()
    errors: list[Any] = []

    def observe(event: Any) -> None:
        if event["log_level"].name == "critical" or "log_failure" in event:
            errors.append(event)

    bgp = _failover(clock, network, observe)
    bgp.set_announced("web", (Advertisement(ip_address("192.0.2.1")),))
    bgp.start()
    clock.pump([0.001] * 5)
    end = router.connect(str(US)) if circumstances & 4 else router.ends[0]
    if circumstances & 1:
        end.say(OPEN)
    if circumstances & 2:
        end.say(Keepalive())
    clock.pump([0.001] * 3)
    end.say(data[1:])
    clock.pump([0.001] * 5)
    torn_down = end.lost is not None or end.transport.other.protocol.transport is None
    if torn_down and not end.transport.open:
        said = [type(message) for message in end.heard]
        heard_notification = _messages(bgp).get(("notification", "received"), 0)
        assert Notification in said or heard_notification, said
    clock.pump([1.0] * 5)
    done = bgp.stop("fuzz")
    clock.pump([0.1] * 90)
    assert done.called
    assert not errors, errors


def _messages(bgp: BGPFailover) -> dict[tuple[str, str], int]:
    return {(kind, way): n for kind, way, n in bgp.snapshot().peers[0].messages}


def _failover(clock: Clock, network: MemoryNetwork, observe: Any) -> BGPFailover:
    peer = PeerSettings(THEM, asn=64600)
    return BGPFailover(
        FailoverSettings(
            speaker=SpeakerSettings(64512, IPv4Address(str(US)), (peer,), (US,)),
            as_path=(64512,),
            next_hop_ipv4=IPv4Address(str(US)),
            next_hop_ipv6=IPv6Address("2001:db8::1"),
        ),
        memory_ports(clock, network.at(str(US)), Logger(namespace="bgp", observer=observe)),
    )


TARGETS = {"codec": fuzz_codec, "session": fuzz_session}
