"""From which of this host's addresses the kernel would reach another one."""

from __future__ import annotations

import ipaddress
import socket

from pybal.model import IPAddress


def kernel_source_address(peer: IPAddress) -> IPAddress | None:
    """The address from which this host would reach `peer`; nothing is sent."""
    family = socket.AF_INET if peer.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(peer), 9))
        except OSError:
            return None
        return ipaddress.ip_address(probe.getsockname()[0])
