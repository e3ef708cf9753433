"""The metric families of BGP, from one snapshot. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from pybal.bgp.snapshot import BGPSnapshot

_PEER = ("local_asn", "peer")
_SHOWN_ADDRESSES = 500


def bgp_families(bgp: BGPSnapshot) -> Iterator[Metric]:
    """All metrics of BGP but those of each peer, which are in bgp_peer_text.py."""
    # Without labels: an alert joins on it with any label set.
    yield GaugeMetricFamily("pybal_bgp_enabled", "Whether the BGP speaker runs", bgp.enabled)
    yield GaugeMetricFamily(
        "pybal_bgp_maintenance",
        "What an operator has moved the traffic away from: services, or the whole director",
        len(bgp.maintenance),
    )
    yield GaugeMetricFamily(
        "pybal_bgp_prefixes", "Prefixes that are to be announced", len(bgp.announced)
    )
    yield CounterMetricFamily(
        "pybal_bgp_unknown_peers_total",
        "Connections closed because no such peer is configured",
        bgp.unknown_peers_total,
    )
    if bgp.imports:
        yield from _others_families(bgp)


def _others_families(bgp: BGPSnapshot) -> Iterator[Metric]:
    """Who else announces our addresses. Of thousands of them only the first are shown one by one:
    all are counted, and `/api/v1/bgp` has them."""
    counts = GaugeMetricFamily(
        "pybal_bgp_addresses",
        "Addresses of ours by whom the routers prefer that are listened to",
        labels=["preferred"],
    )
    found = Counter(own.preferred or "unknown" for own in bgp.own)
    for word in ("us", "others", "both", "alike", "nobody", "unknown"):
        counts.add_metric([word], found[word])
    labels = [*_PEER, "address", "prefix"]
    preferred = GaugeMetricFamily(
        "pybal_bgp_address_preferred",
        "Whom the routers prefer for an address of ours; always 1",
        labels=["address", "preferred"],
    )
    others = GaugeMetricFamily(
        "pybal_bgp_address_others", "Peers that tell us of another's route", labels=["address"]
    )
    med = GaugeMetricFamily("pybal_bgp_others_med", "MED of another's route", labels=labels)
    length = GaugeMetricFamily(
        "pybal_bgp_others_path_length", "AS path length of another's route", labels=labels
    )
    for own in bgp.own[:_SHOWN_ADDRESSES]:
        preferred.add_metric([own.address, own.preferred or "unknown"], 1)
        exact = {route.peer for route in own.others if _is_host(own.address, route.prefix)}
        others.add_metric([own.address], len(exact))
        for route in own.others:
            name = [str(bgp.local_asn), route.peer, own.address, route.prefix]
            length.add_metric(name, route.path_length)
            if route.med is not None:
                med.add_metric(name, route.med)
    yield from (counts, preferred, others, med, length)


def _is_host(address: str, prefix: str) -> bool:
    return prefix.partition("/")[0] == address and prefix.rpartition("/")[2] in ("32", "128")
