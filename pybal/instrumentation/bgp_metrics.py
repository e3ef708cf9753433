"""The metric families of BGP, from one snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pybal.instrumentation.monitor_metrics import printable
from pybal.model import BGPSnapshot

_PEER = ("local_asn", "peer")
_SHOWN_ADDRESSES = 500


def bgp_families(bgp: BGPSnapshot) -> Iterator[Metric]:
    """All metrics of BGP."""
    # Without labels: an alert joins on it with any label set.
    yield GaugeMetricFamily("pybal_bgp_enabled", "Whether the BGP speaker runs", bgp.enabled)
    yield _session_states(bgp)
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
    yield from _peer_families(bgp)
    if bgp.imports:
        yield from _others_families(bgp)


def _session_states(bgp: BGPSnapshot) -> Metric:
    """A peer has a connection that we open, and one that it opens while that is there."""
    family = GaugeMetricFamily(
        "pybal_bgp_session_state_count",
        "Connections with a peer, wanted or present, in each state of the FSM",
        labels=["local_asn", "state", "local_ip", "remote_ip", "side"],
    )
    counts = Counter(connection for peer in bgp.peers for connection in peer.connections)
    for connection, count in counts.items():
        labels = (connection.state, connection.local_ip, connection.remote_ip, connection.side)
        family.add_metric([str(bgp.local_asn), *labels], count)
    return family


def _peer_families(bgp: BGPSnapshot) -> Iterator[Metric]:
    def gauge(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"pybal_bgp_{name}", help_, labels=[*_PEER, *labels])
        families.append(family)
        return family

    def counter(name: str, help_: str, *labels: str) -> CounterMetricFamily:
        family = CounterMetricFamily(f"pybal_bgp_{name}", help_, labels=[*_PEER, *labels])
        families.append(family)
        return family

    families: list[Metric] = []
    established = gauge("session_established", "Whether the session with the peer is established")
    told = gauge("prefixes_announced", "Prefixes that the peer has been told of")
    messages = counter("messages_total", "Messages, by type and direction", "type", "direction")
    lost = counter("sessions_lost_total", "Established sessions that ended against our will")
    refused = counter("connections_refused_total", "The peer's connections that were refused")
    failed = gauge(
        "last_error_timestamp_seconds", "Date of the last error, Unix time, and its text", "error"
    )
    bfd = gauge("bfd_up", "Whether the peer answers by BFD")
    for peer in bgp.peers:
        name = [str(bgp.local_asn), peer.address]
        established.add_metric(name, peer.established)
        told.add_metric(name, peer.prefixes_told)
        for kind, direction, count in peer.messages:
            messages.add_metric([*name, kind, direction], count)
        lost.add_metric(name, peer.sessions_lost)
        refused.add_metric(name, peer.connections_refused)
        if peer.last_error is not None and peer.last_error_at is not None:
            failed.add_metric([*name, printable(peer.last_error)], peer.last_error_at)
        if peer.bfd is not None:
            bfd.add_metric(name, peer.bfd == "UP")
    yield from families


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
