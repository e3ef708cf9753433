"""What is asked of IPVS, in the words of `pybal --check-config`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from pybal.config.settings import ServiceSettings
from pybal.ipvs.model import (
    SCHEDULER_FLAGS,
    Checksum,
    Forwarding,
    Persistence,
    Tunnel,
    TunnelType,
)
from pybal.ipvs.options import KernelOptions, ServiceOptions

_CHECKSUMS = {Checksum.FULL: ", checksum", Checksum.REMOTE: ", remote checksum"}


def ways_of_ipvs(service: ServiceSettings) -> list[str]:
    """The scheduler, the forwarding, and what is not as usual."""
    options = service.ipvs
    names = SCHEDULER_FLAGS.get(service.scheduler, ())
    flags = [name for bit, name in enumerate(names) if options.scheduler_flags >> bit & 1]
    ways = [f"{service.scheduler} ({' '.join(flags)})" if flags else service.scheduler]
    ways.append(_forwarding(options))
    if options.fwmark:
        ways.append(f"packets marked {options.fwmark}")
    if service.one_packet:
        ways.append("one-packet")
    if options.persistence is not None:
        ways.append(_persistence(options.persistence, options.persistence_engine))
    if options.upper_threshold:
        words = f"at most {options.upper_threshold} connections a server"
        if options.lower_threshold:
            words += f", again below {options.lower_threshold}"
        ways.append(words)
    if service.server_version != service.address.version:
        ways.append(f"servers of IPv{service.server_version}")
    return ways


def _forwarding(options: ServiceOptions) -> str:
    if options.forwarding is Forwarding.MASQUERADE:
        return "masquerading"
    if options.forwarding is not Forwarding.TUNNEL:
        return "direct routing"
    return f"tunneling ({tunnel_words(options.tunnel)})"


def tunnel_words(tunnel: Tunnel) -> str:
    """What packets are wrapped in."""
    port = f" port {tunnel.port}" if tunnel.type is TunnelType.GUE else ""
    return f"{tunnel.type.name}{port}{_CHECKSUMS.get(Checksum(tunnel.flags), '')}"


def flag_words(flags: int) -> str:
    """The flags of a scheduler, whichever that is: their bits mean the same with all."""
    names = [" or ".join(same) for same in zip(*SCHEDULER_FLAGS.values(), strict=True)]
    return ", ".join(name for bit, name in enumerate(names) if flags >> bit & 1) or "none"


def _persistence(persistence: Persistence, engine: str) -> str:
    by = f"/{persistence.prefix_length}" + (f" by {engine}" if engine else "")
    return f"persistent for {persistence.timeout_s} s ({by})"


def kernel_items(options: KernelOptions) -> Iterator[tuple[str, str]]:
    """What all services share, as far as it is to be changed: name and text."""
    timeouts = [
        f"{field.name.removesuffix('_s').replace('_', '')} {seconds} s"
        for field in fields(options.timeouts)
        if (seconds := getattr(options.timeouts, field.name))
    ]
    if timeouts:
        yield "IPVS timeouts", ", ".join(timeouts)
    if options.sync is not None:
        yield "IPVS sync", "; ".join(map(str, options.sync)) or "no daemon"
