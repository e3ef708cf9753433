"""A section that is an LVS service. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pybal.config.bgp_service_section import read_service_bgp
from pybal.config.foreign_words import scheduler_instead_of
from pybal.config.ipvs_options import read_ipvs_options
from pybal.config.kinds import (
    BOOLEAN,
    HOST_ADDRESS,
    PORT,
    SECONDS,
    SOURCE,
    THRESHOLD,
    choice,
)
from pybal.config.list_guard_options import read_list_guard
from pybal.config.monitor_kinds import MonitorKinds, read_monitors
from pybal.config.section import SectionReader
from pybal.config.settings import ListGuardSettings, ServiceBGP, ServiceSettings
from pybal.ipvs.model import SCHEDULERS
from pybal.ipvs.options import ServiceOptions
from pybal.model import IPAddress, L4Protocol

DEFAULT_THRESHOLD = THRESHOLD.parse(".5")
_PROTOCOL = choice(protocol.value for protocol in L4Protocol)
_SCHEDULER = choice(SCHEDULERS, scheduler_instead_of)
_DRAIN = "drain"
_DEPOOL_METHOD = choice(("remove", _DRAIN))
DEFAULT_DRAIN_TIMEOUT_S = 300.0
_FALLBACK = 1  # the lowest of the flags of sh and of mh
_HASHING = {
    "dh": "which has no fallback",
    "mh": "without mh-fallback",
    "sh": "without sh-fallback",
}


class ServiceDraft(NamedTuple):
    """As much of a service as is good, for comparing it with the others.

    None stands for what is missing or bad; `settings` is None after any error.
    """

    reader: SectionReader
    protocol: L4Protocol | None
    address: IPAddress | None
    port: int | None
    bgp: ServiceBGP
    fwmark: int
    settings: ServiceSettings | None


def read_service(
    reader: SectionReader,
    kinds: MonitorKinds,
    list_guard: ListGuardSettings,
    *,
    flap_damping: bool,
) -> ServiceDraft:
    """Read a section; `kinds` are the monitors that it may name, the others are [global]'s."""
    protocol_name = reader.require("protocol", _PROTOCOL)
    protocol = None if protocol_name is None else L4Protocol(protocol_name)
    address = reader.require("ip", HOST_ADDRESS)
    if (mapped := getattr(address, "ipv4_mapped", None)) is not None:
        reader.error("ip", f"must be written as {mapped}: no packet goes to it as IPv6")
    port = reader.require("port", PORT)
    scheduler = reader.require("scheduler", _SCHEDULER)
    one_packet = reader.get("ops", BOOLEAN, False)
    if one_packet and protocol not in (None, L4Protocol.UDP):
        reader.error("ops", f"must be no with {protocol_name}: one-packet scheduling is for udp")
    ipvs = read_ipvs_options(reader, protocol, address, scheduler)
    source = reader.require("config", SOURCE)
    threshold = reader.get("depool-threshold", THRESHOLD, DEFAULT_THRESHOLD)
    drain_timeout_s = _read_draining(reader)
    _warn_of_limits(reader, scheduler, ipvs, drains=drain_timeout_s is not None, ops=one_packet)
    version = None if address is None else ipvs.server_version or address.version
    monitors = read_monitors(reader, kinds, version)
    bgp = read_service_bgp(reader, address, has_monitors=bool(monitors))
    list_guard = read_list_guard(reader, list_guard)
    flap_damping = reader.get("flap-damping", BOOLEAN, flap_damping)
    reader.warn_of_unknown(kinds.option_keys)
    settings = None
    if not (
        reader.has_errors
        or protocol is None
        or address is None
        or port is None
        or scheduler is None
        or source is None
    ):
        settings = ServiceSettings(
            name=reader.name,
            protocol=protocol,
            address=address,
            port=port,
            scheduler=scheduler,
            one_packet=one_packet,
            ipvs=ipvs,
            source=source,
            depool_threshold=threshold,
            monitors=monitors,
            bgp=bgp,
            drain_timeout_s=drain_timeout_s,
            list_guard=list_guard,
            flap_damping=flap_damping,
        )
    return ServiceDraft(reader, protocol, address, port, bgp, ipvs.fwmark, settings)


def _read_draining(reader: SectionReader) -> float | None:
    """How long a depooled server may keep its connections; None: not at all."""
    method = reader.get("depool-method", _DEPOOL_METHOD, "remove")
    timeout_s = reader.get("drain-timeout", SECONDS, DEFAULT_DRAIN_TIMEOUT_S)
    if method == _DRAIN:
        return timeout_s
    if timeout_s != DEFAULT_DRAIN_TIMEOUT_S:
        because = "servers leave at once, unless depool-method = drain"
        reader.warn_of_no_effect(("drain-timeout",), because)
    return None


def _warn_of_limits(
    reader: SectionReader, scheduler: str | None, ipvs: ServiceOptions, *, drains: bool, ops: bool
) -> None:
    """A server that drains or is full takes no new connections. Some schedulers hash to a server
    first, and ask then."""
    if ipvs.upper_threshold and ops:
        reader.warn("upper-threshold", "has no effect with ops: no connections stay to be counted")
    if scheduler not in _HASHING or ipvs.scheduler_flags & _FALLBACK:
        return
    for key, applies, server in (
        ("depool-method", drains, "that drains"),
        ("upper-threshold", ipvs.upper_threshold and not ops, "that has so many connections"),
    ):
        if applies and not reader.is_bad("scheduler-flags"):
            reader.warn(
                key,
                f"scheduler {scheduler}, {_HASHING[scheduler]}, refuses new clients whose hash"
                f" is of a server {server}",
            )
