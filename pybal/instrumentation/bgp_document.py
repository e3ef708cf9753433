"""`/api/v1/bgp`. Pure."""

from __future__ import annotations

from typing import Any

from pybal.bgp.snapshot import BGPSnapshot, OwnAddress, PeerSnapshot
from pybal.instrumentation.instants import instant
from pybal.instrumentation.json_pieces import Each


def bgp_document(bgp: BGPSnapshot) -> dict[str, Any]:
    """`/api/v1/bgp`."""
    return {
        "enabled": bgp.enabled,
        "local_asn": bgp.local_asn,
        "peers": [_peer_document(bgp, peer) for peer in bgp.peers],
        "prefixes": Each(prefix._asdict() for prefix in bgp.announced),
        "import": bgp.imports,
        "addresses": Each(_own_document(each) for each in bgp.own),
        "unknown_peers_total": bgp.unknown_peers_total,
        "maintenance": [
            {
                "service": one.service,
                "since": instant(one.since),
                "state": "withdrawn" if one.withdrawn else "last choice",
                "withdrawn_at": instant(one.withdrawn_at),
            }
            for one in bgp.maintenance
        ],
        "held": [
            {
                "service": one.service,
                "withdrawals": one.withdrawals,
                "wait_s": round(one.wait_s, 3),
            }
            for one in bgp.held
        ],
    }


def _own_document(own: OwnAddress) -> dict[str, Any]:
    return {
        "address": own.address,
        "announced": own.announced,
        "preferred": own.preferred,
        "others": [route._asdict() for route in own.others],
    }


def _peer_document(bgp: BGPSnapshot, peer: PeerSnapshot) -> dict[str, Any]:
    error = peer.last_error
    return {
        "address": peer.address,
        "asn": peer.asn,
        "description": peer.description,
        "state": peer.state,
        "established": peer.established,
        "since": instant(peer.since),
        "away_since": instant(peer.away_since),
        "last_error": None if error is None else {"text": error, "at": instant(peer.last_error_at)},
        "capabilities": {
            "sent": list(peer.capabilities_sent),
            "received": list(peer.capabilities_received),
        },
        "hold_time_s": peer.hold_time_s,
        "timers_s": {name: round(at - bgp.clock_s, 1) for name, at in peer.timers},
        "bfd": peer.bfd,
        "prefixes": [one.prefix for one in bgp.announced if peer.address in one.peers],
        "not_told": [{"reason": reason, "prefixes": count} for reason, count in peer.not_told],
        "heard": peer.heard,
        "not_kept": peer.not_kept,
        "sessions_lost": peer.sessions_lost,
        "connections_refused": peer.connections_refused,
        "messages": {
            direction: {kind: count for kind, way, count in peer.messages if way == direction}
            for direction in ("sent", "received")
        },
        "connections": [connection._asdict() for connection in peer.connections],
    }
