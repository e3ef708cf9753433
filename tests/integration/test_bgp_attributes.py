"""All that a route of ours may carry, as every router understands it."""

from __future__ import annotations

import os
import re

import pytest

from tests.bgp.pair import HOST, VIP, Pair, wait_routes
from tests.bgp.routers import ROUTERS, OpenBGPD, Router

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

NO_PEER = 0xFFFFFF04
# As BIRD, FRR, GoBGP, OpenBGPD and ExaBGP write them.
SHOWN = {
    "MED": r'med"?: 42\b|"metric": ?42\b',
    "community": r"64600[:,] ?7\b|4233625607",
    "well-known community": r"65535, ?65284|no-peer|4294967044|NO_PEER",
    "large community": r'64600[,:] ?1[,:] ?2|"ASN": 64600, "LocalData1": 1, "LocalData2": 2',
    "extended community": r"(?i)(rt|target)[:, ]+64600[,:] ?1\b|\"64600:1\"",
    "link bandwidth": r"0x4004, 64512, 1318388473|LB:64512:1250000000|\"bandwidth\": 1250000000"
    r"|4613088996582818553",
}


@pytest.mark.parametrize("kind", ROUTERS, ids=lambda kind: kind.__name__)
def test_every_router_takes_what_a_route_may_carry(pair: Pair, kind: type[Router]) -> None:
    router = pair.router(kind)
    speaker = pair.speaker(
        communities=[64600 << 16 | 7, NO_PEER],
        large_communities=[[64600, 1, 2]],
        extended_communities=["0002fc5800000001"],
    )
    wish = {"address": VIP, "med": 42, "link_bandwidth": 1.25e9, "aggregate": "192.0.2.0/24"}
    speaker.announce("web", wish)
    text = wait_routes(router, HOST, "192.0.2.0/24")[HOST]
    # Link bandwidth is not transitive: OpenBGPD keeps no such community of another AS.
    wanted = SHOWN.keys() - ({"link bandwidth"} if kind is OpenBGPD else set())
    assert {name for name in wanted if re.search(SHOWN[name], text)} == wanted, text
