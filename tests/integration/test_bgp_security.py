"""TCP MD5 (RFC 2385) and TTL security (RFC 5082), with every router, whoever connects.

That something is refused is read from the kernel's own counters of what it dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bgp.pair import HOST, VIP, Pair, wait_routes
from tests.bgp.rig import OUR_IPV6, ROUTER_IPV4, ROUTER_IPV6, Speaker, eventually, run
from tests.bgp.routers import ROUTERS, Bird, ExaBGP, Router, Terms

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

EVERY = pytest.mark.parametrize("kind", ROUTERS, ids=lambda kind: kind.__name__)
MD5 = {"password": "s3cret"}
GTSM = {"ttl_security_hops": 1}
BOTH = MD5 | GTSM
# Its listener answers a connection with an ordinary TTL, whatever its outgoing-ttl says: with
# TTL security it can only be the side that connects.
ANSWERS_WITH_AN_ORDINARY_TTL = {ExaBGP}
# Python's socket module has no IP_MINTTL: with TTL security it hears everybody.
LOOKS_AT_THE_TTL = [kind for kind in ROUTERS if kind is not ExaBGP]


@contextmanager
def counting(namespace: str, counter: str) -> Iterator[None]:
    """Within, at least one packet is dropped for that reason (a counter of TcpExt)."""
    before = _dropped(namespace, counter)
    yield
    eventually(f"{counter} grows", lambda: _dropped(namespace, counter) > before)


def _dropped(namespace: str, counter: str) -> int:
    text = run("ip", "netns", "exec", namespace, "cat", "/proc/net/netstat")
    names, values = (line.split() for line in text.splitlines() if line.startswith("TcpExt:"))
    return int(dict(zip(names, values, strict=True))[counter])


def wait_route(speaker: Speaker, router: Router, side: str = "active") -> None:
    speaker.announce("web", VIP)
    try:
        wait_routes(router, HOST)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{speaker.log[-3000:]}") from None
    connections = speaker.peer()["connections"]
    assert [c["side"] for c in connections if c["state"] == "Established"] == [side]


def assert_no_session(speaker: Speaker, router: Router) -> None:
    assert not speaker.peer()["established"]
    assert not router.established()


@EVERY
def test_md5_protects_the_session(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, Terms(password="s3cret", passive=True))
    wait_route(pair.speaker(peer=MD5), router)


@EVERY
def test_a_router_with_another_password_does_not_hear_us(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, Terms(password="other", passive=True))
    with counting(pair.wire.router, "TCPMD5Failure"):
        speaker = pair.speaker(peer=MD5)
    assert_no_session(speaker, router)


@EVERY
def test_ttl_security_accepts_a_neighbour_that_has_it(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, Terms(ttl_security=True, passive=True))
    if kind in ANSWERS_WITH_AN_ORDINARY_TTL:
        with counting(pair.wire.ours, "TCPMinTTLDrop"):
            speaker = pair.speaker(peer=GTSM)
        assert_no_session(speaker, router)
    else:
        wait_route(pair.speaker(peer=GTSM), router)


@pytest.mark.parametrize("kind", LOOKS_AT_THE_TTL, ids=lambda kind: kind.__name__)
def test_a_router_with_ttl_security_does_not_hear_us_without(
    pair: Pair, kind: type[Router]
) -> None:
    """Or the test before this one would show nothing."""
    router = pair.router(kind, Terms(ttl_security=True, passive=True))
    with counting(pair.wire.router, "TCPMinTTLDrop"):
        pair.speaker()
    # Some look at the TTL only once they have accepted, and may have answered our OPEN by then.
    assert not router.established()


@EVERY
def test_we_do_not_hear_a_router_with_an_ordinary_ttl(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, Terms(passive=True))
    with counting(pair.wire.ours, "TCPMinTTLDrop"):
        speaker = pair.speaker(peer=GTSM)
    assert_no_session(speaker, router)


@EVERY
def test_a_router_that_connects_has_to_keep_to_both(pair: Pair, kind: type[Router]) -> None:
    speaker = pair.speaker(peer=BOTH, passive=True)
    router = pair.router(kind, Terms(password="s3cret", ttl_security=True))
    wait_route(speaker, router, "passive")


@pytest.mark.parametrize(
    ("terms", "counter"),
    [
        (Terms(password="other", ttl_security=True), "TCPMD5Failure"),
        (Terms(ttl_security=True), "TCPMD5NotFound"),
        (Terms(password="s3cret"), "TCPMinTTLDrop"),
    ],
    ids=["another password", "no password", "an ordinary TTL"],
)
def test_a_router_that_connects_otherwise_is_not_heard(
    pair: Pair, terms: Terms, counter: str
) -> None:
    speaker = pair.speaker(peer=BOTH, passive=True)
    with counting(pair.wire.ours, counter):
        router = pair.router(Bird, terms, delay=0)
    assert_no_session(speaker, router)


def test_a_peer_without_ttl_security_beside_one_with_it_may_connect(pair: Pair) -> None:
    far = {"address": ROUTER_IPV4, "asn": 64600, "fsm": {"passive": True}}
    near = {"address": "10.77.0.99", "ttl_security_hops": 1, "fsm": {"passive": True}}
    speaker = pair.speaker(peers=[far, near])
    wait_route(speaker, pair.bird(delay=0), "passive")


@pytest.mark.parametrize("side", ["active", "passive"])
def test_both_work_over_ipv6(pair: Pair, side: str) -> None:
    passive = side == "passive"
    # Router advertisements of other tests may have given us further addresses.
    peer = BOTH | {"address": ROUTER_IPV6, "local_address": OUR_IPV6}
    speaker = pair.speaker(peer=peer, listen=[OUR_IPV6], passive=passive)
    terms = Terms(password="s3cret", ttl_security=True, passive=not passive)
    over = {"local": ROUTER_IPV6, "neighbor": OUR_IPV6, "delay": 0}
    wait_route(speaker, pair.bird(terms, **over, ipv4=f"next hop address {ROUTER_IPV4};"), side)
