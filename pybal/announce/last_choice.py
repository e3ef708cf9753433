"""Routes as the last choice: routers prefer any other, and use ours while there is none. Pure.

RFC 8326: the GRACEFUL_SHUTDOWN community, LOCAL_PREF 0 inside of our AS; a MED and prepending if
that is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pybal.bgp.as_path import sequence
from pybal.bgp.constants import GRACEFUL_SHUTDOWN_COMMUNITY
from pybal.bgp.messages import PathAttributes
from pybal.bgp.prefix import Prefix
from pybal.bgp.rib import Route
from pybal.bgp.settings import MaintenanceSettings


def as_last_choice(
    routes: Mapping[Prefix, Route], asn: int, settings: MaintenanceSettings
) -> dict[Prefix, Route]:
    """The same routes, for routers to prefer any other; `asn` is ours, for prepending. Routes that
    are one object stay so."""
    marked: dict[int, Route] = {}
    for route in routes.values():
        if id(route) not in marked:
            attributes = _last_choice(route.attributes, asn, settings)
            marked[id(route)] = replace(route, attributes=attributes)
    return {prefix: marked[id(route)] for prefix, route in routes.items()}


def _last_choice(
    attributes: PathAttributes, asn: int, settings: MaintenanceSettings
) -> PathAttributes:
    communities = dict.fromkeys((*attributes.communities, GRACEFUL_SHUTDOWN_COMMUNITY))
    return replace(
        attributes,
        communities=tuple(communities),
        local_pref=0,
        med=attributes.med if settings.med is None else settings.med,
        as_path=(*sequence((asn,) * settings.prepend), *(attributes.as_path or ())),
    )
