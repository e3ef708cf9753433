"""The metrics of each BGP peer as text of `/metrics`. Pure.

Hundreds of peers, as out of a prefix, have thousands of lines: prometheus_client would take tens of
milliseconds for them. A line is the same in both formats; only the heads of counters differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.utils import floatToGoString

from pybal.bgp.snapshot import BGPSnapshot, PeerSnapshot
from pybal.instrumentation.metric_head import metric_head
from pybal.instrumentation.monitor_metrics import escaped

_PEERS_A_PIECE = 50
_STATES = "session_state_count"
_HELP = {
    _STATES: "Connections with a peer, wanted or present, in each state of the FSM",
    "session_established": "Whether the session with the peer is established",
    "prefixes_announced": "Prefixes that the peer has been told of",
    "messages_total": "Messages, by type and direction",
    "sessions_lost_total": "Established sessions that ended against our will",
    "connections_refused_total": "The peer's connections that were refused",
    "last_error_timestamp_seconds": "Date of the last error, Unix time, and its text",
    "bfd_up": "Whether the peer answers by BFD",
}

_Lines = dict[str, list[str]]
"""By the name of a family."""


def peer_text(bgp: BGPSnapshot, *, as_openmetrics: bool) -> Iterator[bytes]:
    """The families of all peers, in a stable order, each line ended; in pieces, an empty one after
    each few milliseconds of work."""
    lines: _Lines = {name: [] for name in _HELP}
    _add_states(lines[_STATES], bgp)
    for number, peer in enumerate(bgp.peers):
        _add_peer(lines, bgp.local_asn, peer)
        if number % _PEERS_A_PIECE == _PEERS_A_PIECE - 1:
            yield b""
    for name, found in lines.items():
        head = metric_head(f"pybal_bgp_{name}", _HELP[name], as_openmetrics=as_openmetrics)
        yield head + "".join(found).encode()


def _add_states(lines: list[str], bgp: BGPSnapshot) -> None:
    """A peer has a connection that we open, and one that it opens while that is there."""
    counts = Counter(connection for peer in bgp.peers for connection in peer.connections)
    for one, count in counts.items():
        lines.append(
            f'pybal_bgp_{_STATES}{{local_asn="{bgp.local_asn}",local_ip="{escaped(one.local_ip)}"'
            f',remote_ip="{escaped(one.remote_ip)}",side="{one.side}",state="{one.state}"}}'
            f" {count}.0\n"
        )


def _add_peer(lines: _Lines, asn: int | None, peer: PeerSnapshot) -> None:
    name = f'peer="{escaped(peer.address)}"'
    own = f'local_asn="{asn}",{name}'

    def add(family: str, labels: str, value: float) -> None:
        number = floatToGoString(value)  # type: ignore[no-untyped-call]  # in one release
        lines[family].append(f"pybal_bgp_{family}{{{labels}}} {number}\n")

    add("session_established", own, peer.established)
    add("prefixes_announced", own, peer.prefixes_told)
    for kind, direction, count in peer.messages:
        add("messages_total", f'direction="{direction}",{own},type="{kind}"', count)
    add("sessions_lost_total", own, peer.sessions_lost)
    add("connections_refused_total", own, peer.connections_refused)
    if peer.last_error is not None and peer.last_error_at is not None:
        error = escaped(peer.last_error)
        labels = f'error="{error}",{own}'
        add("last_error_timestamp_seconds", labels, peer.last_error_at)
    if peer.bfd is not None:
        add("bfd_up", own, peer.bfd == "UP")
