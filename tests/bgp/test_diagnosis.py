"""What may be wrong, in words that help who has to mend it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from pybal.bgp.attributes import Fault, Severity
from pybal.bgp.diagnosis import explain_received, explain_silence, faults_in_words
from pybal.bgp.messages import Notification, Open
from pybal.bgp.settings import PeerSettings
from tests.bgp.prefixes import prefix_of

PEER = PeerSettings(IPv4Address("10.0.0.2"))

OURS = Open(64700, 90, IPv4Address("10.0.0.1"), None)
TOLD = [prefix_of(text) for text in ("192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128")]


@pytest.mark.parametrize(
    ("password", "hops", "guesses"),
    [
        (
            None,
            None,
            "it is down or filtered, expects an MD5 password, or expects TTL security",
        ),
        (b"secret", None, "it is down or filtered, has another MD5 password, or none, or expects"),
        (None, 1, "it is down or filtered, or expects an MD5 password"),
        (b"secret", 1, "it is down or filtered, or has another MD5 password, or none"),
    ],
)
def test_a_silence_is_guessed_at_by_what_we_send(
    password: bytes | None, hops: int | None, guesses: str
) -> None:
    peer = replace(PEER, password=password, ttl_security_hops=hops)
    assert explain_silence(peer).startswith(f"no answer: {guesses}")


def test_after_maximum_prefixes_it_is_said_what_the_peer_has_dropped() -> None:
    words = explain_received(Notification(6, 1), OURS, TOLD)
    assert "it had been told 2 of ipv4-unicast and 1 of ipv6-unicast, has dropped them all" in words
    assert "it had been told none, has dropped" in explain_received(Notification(6, 1), OURS, [])
    assert "had been told" not in explain_received(Notification(6, 2), OURS, TOLD)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "treat-as-withdraw: f0"),
        (5, "treat-as-withdraw: f0; f1; f2; f3; f4"),
        (6, "treat-as-withdraw: f0; f1; f2; f3; f4; and 1 more"),
        (9, "treat-as-withdraw: f0; f1; f2; f3; f4; and 4 more"),
    ],
)
def test_of_many_faults_of_an_update_the_first_five_are_said(count: int, words: str) -> None:
    severity = Severity.TREAT_AS_WITHDRAW
    faults = [Fault(severity, 0, f"f{number}") for number in range(count)]
    assert faults_in_words(severity, faults) == words
