"""Graceful restart (RFC 4724, RFC 8538), with routers that keep our routes meanwhile.

ExaBGP keeps no routes at all. OpenBGPD announces the capability, but no time for which it would
keep any (bgpd.conf(5): only the End-of-RIB marker is supported).
"""

from __future__ import annotations

import os
import re

import pytest

from tests.bgp.pair import AT_ONCE_S, HOST, HOST6, VIP, VIP6, Pair, speaker_settings, wait_routes
from tests.bgp.rig import eventually
from tests.bgp.routers import Bird, Frr, GoBGP, OpenBGPD, Router, Terms

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

RESTART = {"restart_time_s": 60}
HELPER = Terms(graceful_restart=True)


def kinds(*found: type[Router]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", found, ids=lambda kind: kind.__name__)


@kinds(Bird, Frr, GoBGP)
def test_kill_9_of_ours_keeps_the_routes_until_our_next_life_has_said_all(
    pair: Pair, kind: type[Router]
) -> None:
    router = pair.router(kind, HELPER)
    speaker = pair.speaker(peer=RESTART)
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    speaker.kill()
    eventually("the router noticed", lambda: not router.established())
    assert set(router.routes()) == {HOST, HOST6}
    again = pair.speaker(peer=RESTART, restarting=True)
    again.wait_established()
    assert set(router.routes()) == {HOST, HOST6}, "kept before anything was announced"
    again.announce("web", VIP)
    again.ask(complete=True)
    wait_routes(router, HOST)


@kinds(Bird, Frr)
def test_a_planned_restart_keeps_the_routes_and_a_stop_does_not(
    pair: Pair, kind: type[Router]
) -> None:
    router = pair.router(kind, HELPER)
    speaker = pair.speaker(peer=RESTART)
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.ask(restart=True)
    speaker.child.wait(10)
    eventually("the router noticed", lambda: not router.established())
    assert set(router.routes()) == {HOST}
    again = pair.speaker(peer=RESTART, restarting=True)
    again.announce("web", VIP)
    again.ask(complete=True)
    again.wait_established()
    again.stop()
    wait_routes(router, limit_s=AT_ONCE_S)


@kinds(Frr, GoBGP)
def test_a_router_with_rfc_8538_keeps_the_routes_after_a_notification(
    pair: Pair, kind: type[Router]
) -> None:
    router = pair.router(kind, HELPER)
    speaker = pair.speaker(peer=RESTART)
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    # As a reload does: Cease/Other Configuration Change. Then we leave it to the router to connect.
    speaker.ask(reconfigure=speaker_settings(peer=RESTART, passive=True))
    eventually("the router noticed", lambda: not router.established())
    assert set(router.routes()) == {HOST, HOST6}


@kinds(Frr, GoBGP)
def test_a_stop_is_a_hard_reset_to_a_router_with_rfc_8538(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind, HELPER)
    speaker = pair.speaker(peer=RESTART)
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.stop("bye")
    wait_routes(router, limit_s=AT_ONCE_S)
    eventually("it is told", lambda: re.search("hard.reset", router.log, re.IGNORECASE))


@kinds(Bird, OpenBGPD)
def test_a_router_without_rfc_8538_drops_the_routes_with_a_notification(
    pair: Pair, kind: type[Router]
) -> None:
    router = pair.router(kind, HELPER)
    speaker = pair.speaker(peer=RESTART)
    speaker.announce("web", VIP, VIP6)
    wait_routes(router, HOST, HOST6)
    speaker.ask(reconfigure=speaker_settings(peer={"address": "10.77.0.99"}))
    wait_routes(router, limit_s=AT_ONCE_S)


LONG_LIVED: list[tuple[type[Router], dict[str, str]]] = [
    (Bird, {"extra": "long lived graceful restart on;"}),
    (Frr, {"router": "bgp long-lived-graceful-restart stale-time 60"}),
]


@pytest.mark.parametrize(("kind", "own"), LONG_LIVED, ids=lambda one: getattr(one, "__name__", ""))
def test_long_lived_graceful_restart_keeps_the_routes_as_a_last_choice(
    pair: Pair, kind: type[Router], own: dict[str, str]
) -> None:
    # RFC 9494.
    router = pair.router(kind, HELPER, **own)
    speaker = pair.speaker(peer={"restart_time_s": 1, "stale_time_s": 60})
    speaker.announce("web", VIP)
    wait_routes(router, HOST)
    speaker.kill()
    stale = re.compile("65535,6|llgr-stale")
    eventually("stale", lambda: stale.search(router.routes().get(HOST, "")), 10)
