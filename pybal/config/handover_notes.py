"""What of a configuration does not outlive the process, though the rest does. Pure."""

from __future__ import annotations

from pybal.config.settings import Settings

GAP_S = 3.0
"""From the end of a process to the next one's first word, to be on the safe side: twice the
processor time of a start with a thousand services (`python -m bench.handover`)."""


def handover_notes(settings: Settings) -> list[str]:
    """One line for each peer that would notice a crash, or a restart."""
    bgp = settings.bgp
    if bgp is None or not settings.handover:
        return []
    options = [(str(peer.address), peer.options) for peer in bgp.peers]
    options += [(str(group.network), group.options) for group in bgp.groups]
    options += [(peer.interface, peer.options) for peer in bgp.interface_peers]
    notes = []
    for name, peer in options:
        gone_s = peer.bfd_interval_ms * peer.bfd_multiplier / 1000
        if peer.bfd and gone_s < GAP_S:
            notes.append(
                f"BFD finds us gone after {gone_s:g} s, and a start takes up to {GAP_S:g} s:"
                f" a crash ends the session with {name}; `systemctl restart` does not, as the"
                " router is asked to wait"
            )
        if 0 < peer.hold_time_s < 2 * GAP_S:
            notes.append(
                f"with a hold time of {peer.hold_time_s} s the session with {name} may end while"
                f" PyBal starts again, which takes up to {GAP_S:g} s: bgp-hold-time = 9 or more"
            )
    return notes
