"""What a service's section says of BGP. Pure."""

from __future__ import annotations

from pybal.config.bgp_checks import check_communities
from pybal.config.bgp_kinds import (
    COMMUNITIES,
    EXTENDED_COMMUNITIES,
    LARGE_COMMUNITIES,
    LINK_BANDWIDTH,
    PREFIX,
    WITHDRAW_ON_DOWN,
)
from pybal.config.kinds import BOOLEAN, MED
from pybal.config.section import SectionReader
from pybal.config.settings import ServiceBGP
from pybal.model import IPAddress


def read_service_bgp(
    reader: SectionReader, address: IPAddress | None, *, has_monitors: bool
) -> ServiceBGP:
    """The keys of a service's section that are about BGP; what is wrong is noted in `reader`. Of a
    link bandwidth that is None, `reader` tells whether it was said: no."""
    withdraw_below = reader.get("bgp-withdraw-on-down", WITHDRAW_ON_DOWN, None)
    if withdraw_below is not None and not has_monitors and not reader.is_bad("monitors"):
        reader.warn("bgp-withdraw-on-down", "has no effect: without monitors no server is down")
    aggregate = reader.get("bgp-aggregate", PREFIX, None)
    if aggregate is not None and address is not None and address not in aggregate:
        reader.error("bgp-aggregate", f"must hold ip, which is {address}")
    aggregate_only = reader.get("bgp-aggregate-only", BOOLEAN, False)
    if aggregate_only and aggregate is None and not reader.is_bad("bgp-aggregate"):
        reader.error("bgp-aggregate-only", "without bgp-aggregate nothing would be announced")
    announced = reader.get("bgp", BOOLEAN, True)
    if aggregate is not None and not announced:
        reader.warn("bgp-aggregate", "has no effect: bgp = no, so nothing is announced")
    elif aggregate is not None and aggregate.prefixlen == 0:
        reader.warn(
            "bgp-aggregate", "is the default route: routers would send everything to this director"
        )
    communities = reader.get("bgp-communities", COMMUNITIES, None)
    check_communities(reader, communities or ())
    return ServiceBGP(
        announced=announced,
        med=reader.get("bgp-med", MED, None),
        communities=communities,
        large_communities=reader.get("bgp-large-communities", LARGE_COMMUNITIES, None),
        extended_communities=reader.get("bgp-extended-communities", EXTENDED_COMMUNITIES, None),
        link_bandwidth=reader.get("bgp-link-bandwidth", LINK_BANDWIDTH, None),
        withdraw_below=withdraw_below,
        aggregate=aggregate,
        aggregate_only=aggregate_only,
    )
