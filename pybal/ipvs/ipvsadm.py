"""Operations as the `ipvsadm` commands they stand for. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from pybal.ipvs.model import (
    SCHEDULER_FLAGS,
    Destination,
    Forwarding,
    Service,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.model import L4Protocol
from pybal.net.addresses import endpoint

_PROTOCOL_OPTION = {
    L4Protocol.TCP: "-t",
    L4Protocol.UDP: "-u",
    L4Protocol.SCTP: "--sctp-service",
}
# ipvsadm has no word for the other methods; the kernel shows them, PyBal never asks for them.
_FORWARDING_OPTION = {Forwarding.MASQUERADE: "-m", Forwarding.TUNNEL: "-i", Forwarding.DIRECT: "-g"}
_CHECKSUM_OPTION = {0: "--tun-nocsum", 1: "--tun-csum", 2: "--tun-remcsum"}


def command(operation: Operation) -> str:
    """The command line that does the same as `operation`."""
    return f"ipvsadm {rule(operation)}"


def timeouts_command(timeouts: Timeouts) -> str:
    """The command line that sets the timeouts."""
    return f"ipvsadm --set {timeouts.tcp_s} {timeouts.tcp_fin_s} {timeouts.udp_s}"


def start_sync_command(daemon: SyncDaemon) -> str:
    """The command line that starts a sync daemon."""
    return (
        f"ipvsadm --start-daemon {daemon.role.name.lower()} --mcast-interface {daemon.interface}"
        f" --syncid {daemon.sync_id} --mcast-group {daemon.group} --mcast-port {daemon.port}"
        f" --mcast-ttl {daemon.ttl}"
    )


def stop_sync_command(role: SyncRole) -> str:
    """The command line that stops a sync daemon."""
    return f"ipvsadm --stop-daemon {role.name.lower()}"


def rule(operation: Operation) -> str:
    """The same without the program's name, in the form that `ipvsadm -Sn` writes."""
    service = _service_option(operation.key)
    match operation:
        case AddService(attributes):
            return f"-A {service} {_service_attributes(attributes)}"
        case EditService(attributes):
            return f"-E {service} {_service_attributes(attributes)}"
        case RemoveService():
            return f"-D {service}"
        case AddDestination(_, destination):
            return f"-a {service} -r {destination.key} {_destination_attributes(destination)}"
        case EditDestination(_, destination):
            return f"-e {service} -r {destination.key} {_destination_attributes(destination)}"
        case RemoveDestination(_, key):
            return f"-d {service} -r {key}"


@lru_cache(maxsize=1000)
def _service_option(key: ServiceKey) -> str:
    if key.fwmark:
        return f"-f {key.fwmark}" + (" -6" if key.address.version == 6 else "")
    return f"{_PROTOCOL_OPTION[key.protocol]} {endpoint(key.address, key.port)}"


def _service_attributes(service: Service) -> str:
    words = ["-s", service.scheduler]
    if service.persistence is not None:
        words += ["-p", str(service.persistence.timeout_s)]
        words += _netmask(service)
    if service.persistence_engine:
        words += ["--pe", service.persistence_engine]
    if service.one_packet:
        words.append("-o")
    if service.scheduler_flags:
        words += ["-b", _scheduler_flags(service.scheduler, service.scheduler_flags)]
    return " ".join(words)


def _netmask(service: Service) -> list[str]:
    address = service.key.address
    length = service.persistence.prefix_length if service.persistence is not None else None
    if length is None or length == address.max_prefixlen:
        return []
    return ["-M", str(length) if address.version == 6 else str(ip_network((0, length)).netmask)]


def _scheduler_flags(scheduler: str, flags: int) -> str:
    named = SCHEDULER_FLAGS.get(scheduler, ())
    names = (*named, *(f"flag-{bit + 1}" for bit in range(len(named), 3)))
    return ",".join(name for bit, name in enumerate(names) if flags >> bit & 1)


def _destination_attributes(destination: Destination) -> str:
    words = [_FORWARDING_OPTION.get(destination.forwarding, "-g"), "-w", str(destination.weight)]
    if destination.forwarding is Forwarding.TUNNEL:
        words += _tunnel(destination.tunnel)
    if destination.upper_threshold:
        words += ["-x", str(destination.upper_threshold)]
    if destination.lower_threshold:
        words += ["-y", str(destination.lower_threshold)]
    return " ".join(words)


def _tunnel(tunnel: Tunnel) -> list[str]:
    if tunnel.type is TunnelType.IPIP:
        return []
    words = ["--tun-type", tunnel.type.name.lower()]
    if tunnel.type is TunnelType.GUE:
        words += ["--tun-port", str(tunnel.port)]
    return [*words, _CHECKSUM_OPTION.get(tunnel.flags & 3, "--tun-remcsum")]
