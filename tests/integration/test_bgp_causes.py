"""What real routers say when something is wrong, as an operator of ours reads it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.bgp.pair import VIP, VIP6, Pair
from tests.bgp.rig import Speaker, eventually
from tests.bgp.routers import Bird, Frr, GoBGP, OpenBGPD, Router, Terms

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def error_with(speaker: Speaker, *words: str, limit_s: float = 60.0) -> str:
    """The peer's last error, once all of these words are in it, and are so for good."""

    def found() -> str | None:
        text = str(speaker.peer()["last_error"])
        return text if all(word in text for word in words) else None

    try:
        eventually(f"{words}", found, limit_s)
    except AssertionError as error:
        raise AssertionError(f"{error}: {speaker.peer()['last_error']}\n{speaker.log}") from None
    return str(speaker.peer()["last_error"])


@pytest.mark.parametrize("kind", [Bird, Frr, GoBGP, OpenBGPD], ids=lambda kind: kind.__name__)
def test_a_router_that_expects_another_as(pair: Pair, kind: type[Router]) -> None:
    pair.router(kind, Terms(peer_asn=64999))
    speaker = pair.speaker(asn=64700)
    error_with(speaker, "peer refuses our AS 64700")
    told = "WARN: No session with 10.77.0.2: received Open Message/Bad Peer AS"
    speaker.wait_said(told)


LIMITS: list[tuple[type[Router], dict[str, Any]]] = [
    (Bird, {"ipv4": "import limit 1 action disable;"}),
    (Frr, {"families": "neighbor {us} maximum-prefix 1"}),
    (GoBGP, {"families": "[neighbors.afi-safis.prefix-limit.config]\nmax-prefixes = 1\n"}),
    (OpenBGPD, {"options": "max-prefix 1\n"}),
]


@pytest.mark.parametrize(("kind", "own"), LIMITS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_router_whose_limit_is_exceeded(
    pair: Pair, kind: type[Router], own: dict[str, Any]
) -> None:
    pair.router(kind, **own)
    speaker = pair.speaker()
    speaker.announce("web", VIP, "192.0.2.2", "192.0.2.3", VIP6)
    words = ("Cease/Maximum Prefixes", "3 of ipv4-unicast", "until its limit is raised")
    error_with(speaker, *words)
    # The router now refuses, or closes, every connection.
    before = speaker.messages()["open", "sent"]
    if kind is Bird:
        error_with(speaker, "since then connect: connection refused")
    else:
        eventually("we tried again", lambda: speaker.messages()["open", "sent"] > before)
    error_with(speaker, *words)


def test_frr_shut_down_with_a_message(pair: Pair) -> None:
    router = pair.router(Frr)
    assert isinstance(router, Frr)
    speaker = pair.speaker()
    speaker.wait_established()
    router.configure("router bgp 64600", "neighbor 10.77.0.1 shutdown message ring Ann")
    error_with(speaker, "Cease/", '("ring Ann")')
    told = "WARN: Session with 10.77.0.2 lost: received Cease"
    speaker.wait_said(told)


def test_frr_with_rfc_8538_shut_down_with_a_message(pair: Pair) -> None:
    router = pair.router(Frr, Terms(graceful_restart=True))
    assert isinstance(router, Frr)
    speaker = pair.speaker(peer={"restart_time_s": 60})
    speaker.wait_established()
    router.configure("router bgp 64600", "neighbor 10.77.0.1 shutdown message ring Ann")
    error_with(speaker, "Cease/", '("ring Ann")')


def test_a_router_with_another_password_is_a_hint_at_md5(pair: Pair) -> None:
    pair.bird(Terms(password="other", passive=True))
    speaker = pair.speaker(peer={"password": "s3cret"})
    error_with(speaker, "connect: no answer", "MD5 password")
    assert "s3cret" not in speaker.log


def test_a_router_that_is_not_there_is_heard_of_once(pair: Pair) -> None:
    speaker = pair.speaker(fsm={"retry_s": 0.2})
    error_with(speaker, "refused")
    speaker.wait_said("times more in 10 s")
    assert speaker.log.count("WARN") == 1
