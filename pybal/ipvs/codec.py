"""IPVS requests as netlink attributes, and the kernel's answers as values. Pure.

Any bytes given to a reader end in a value or in MalformedMessageError.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from struct import Struct
from typing import Any

from pybal.ipvs.messages import DESTINATION, MESSAGE, SERVICE, Command
from pybal.ipvs.model import (
    MAX_WEIGHT,
    Destination,
    DestinationKey,
    Forwarding,
    Persistence,
    Service,
    ServiceKey,
    Tunnel,
    TunnelType,
    endpoint,
)
from pybal.ipvs.plan import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.ipvs.wire import Attributes, MalformedMessageError
from pybal.model import IPAddress, L4Protocol

_AF_INET, _AF_INET6 = 2, 10
_PROTOCOL_NUMBER = {L4Protocol.TCP: 6, L4Protocol.UDP: 17}
_PROTOCOLS = {number: protocol for protocol, number in _PROTOCOL_NUMBER.items()}

_PERSISTENT, _ONE_PACKET = 0x1, 0x4
_SCHEDULER_FLAGS_SHIFT, _SCHEDULER_FLAGS_MASK = 3, 0x7
_SETTABLE_FLAGS = 0xFFFFFFFD  # HASHED (0x2) is the kernel's own

_FORWARDING_MASK = 0x7
_IPIP = Tunnel()

_U32 = Struct("=I")
# A weight that is out of range is sent as one below 0, so that the kernel refuses it.
_NEGATIVE = 2**31

_MESSAGE = Attributes(MESSAGE)
_SERVICE = Attributes(SERVICE)
_DESTINATION = Attributes(DESTINATION)


def request(operation: Operation) -> tuple[Command, bytes]:
    """The command and the attributes that ask for `operation`."""
    match operation:
        case AddService(service):
            return Command.NEW_SERVICE, _service(service)
        case EditService(service):
            return Command.SET_SERVICE, _service(service)
        case RemoveService(key):
            return Command.DEL_SERVICE, service_identity(key)
        case AddDestination(key, destination):
            return Command.NEW_DEST, service_identity(key) + _destination(destination)
        case EditDestination(key, destination):
            return Command.SET_DEST, service_identity(key) + _destination(destination)
        case RemoveDestination(key, server):
            server_identity = _MESSAGE.nest("DEST", _destination_identity(server))
            return Command.DEL_DEST, service_identity(key) + server_identity


def service_identity(key: ServiceKey) -> bytes:
    """The attributes that name one service."""
    return _MESSAGE.nest("SERVICE", _service_identity(key))


def _service_identity(key: ServiceKey) -> bytes:
    return _SERVICE.pack(
        AF=_family(key.address),
        PROTOCOL=_PROTOCOL_NUMBER[key.protocol],
        ADDR=key.address.packed,
        PORT=key.port,
    )


def _service(service: Service) -> bytes:
    flags = (service.scheduler_flags & _SCHEDULER_FLAGS_MASK) << _SCHEDULER_FLAGS_SHIFT
    if service.one_packet:
        flags |= _ONE_PACKET
    if service.persistence is not None:
        flags |= _PERSISTENT
    attributes = _SERVICE.pack(
        SCHED_NAME=service.scheduler,
        FLAGS=(flags, _SETTABLE_FLAGS),
        TIMEOUT=service.persistence.timeout_s if service.persistence is not None else 0,
        NETMASK=_netmask(service),
    )
    if service.persistence_engine:
        attributes += _SERVICE.pack(PE_NAME=service.persistence_engine)
    return _MESSAGE.nest("SERVICE", _service_identity(service.key) + attributes)


def _netmask(service: Service) -> bytes:
    """The kernel wants one even without persistence: an IPv4 mask, or an IPv6 prefix length."""
    address = service.key.address
    length = service.persistence.prefix_length if service.persistence is not None else None
    if length is None:
        length = address.max_prefixlen
    if address.version == 6:
        return _U32.pack(length)
    return IPv4Network((0, length)).netmask.packed


def _destination_identity(key: DestinationKey) -> bytes:
    return _DESTINATION.pack(
        ADDR_FAMILY=_family(key.address), ADDR=key.address.packed, PORT=key.port
    )


def _destination(destination: Destination) -> bytes:
    attributes = _destination_identity(destination.key) + _DESTINATION.pack(
        FWD_METHOD=destination.forwarding.value,
        WEIGHT=destination.weight if 0 <= destination.weight <= MAX_WEIGHT else _NEGATIVE,
        U_THRESH=destination.upper_threshold,
        L_THRESH=destination.lower_threshold,
    )
    tunnel = destination.tunnel
    if tunnel.type is not TunnelType.IPIP:  # Kernels before 5.3 know no other, nor the attributes.
        attributes += _DESTINATION.pack(
            TUN_TYPE=tunnel.type.value, TUN_PORT=tunnel.port, TUN_FLAGS=tunnel.flags
        )
    return _MESSAGE.nest("DEST", attributes)


def _family(address: IPAddress) -> int:
    return _AF_INET6 if address.version == 6 else _AF_INET


def read_service(body: bytes) -> Service | str:
    """A service of a dump; a text that names it if ServiceKey cannot express it."""
    values = _SERVICE.unpack(_nested(body, "SERVICE"))
    try:
        scheduler = values["SCHED_NAME"]
        family = values["AF"]
        if "FWMARK" in values and "ADDR" not in values:
            version = 6 if family == _AF_INET6 else 4
            return f"firewall mark {values['FWMARK']} IPv{version} ({scheduler})"
        address = _address(family, values["ADDR"])
        protocol = _PROTOCOLS.get(values["PROTOCOL"])
        if protocol is None:
            where = endpoint(address, values["PORT"])
            return f"IP protocol {values['PROTOCOL']} {where} ({scheduler})"
        flags = values["FLAGS"][0]
        return Service(
            ServiceKey(protocol, address, values["PORT"]),
            scheduler,
            one_packet=bool(flags & _ONE_PACKET),
            scheduler_flags=flags >> _SCHEDULER_FLAGS_SHIFT & _SCHEDULER_FLAGS_MASK,
            persistence=_persistence(values, address) if flags & _PERSISTENT else None,
            persistence_engine=values.get("PE_NAME", ""),
        )
    except KeyError as error:
        raise MalformedMessageError(f"a service without {error.args[0]}") from None


def _persistence(values: Mapping[str, Any], address: IPAddress) -> Persistence:
    mask = values["NETMASK"]
    if len(mask) < _U32.size:
        raise MalformedMessageError(f"a netmask of {len(mask)} bytes")
    if address.version == 6:
        return Persistence(values["TIMEOUT"], int(_U32.unpack_from(mask)[0]))
    bits = f"{int.from_bytes(mask[:4], 'big'):032b}"
    ones = bits.rstrip("0")
    return Persistence(values["TIMEOUT"], None if "0" in ones else len(ones))


def read_destination(body: bytes, service: ServiceKey) -> Destination:
    """A destination of a dump of `service`, whose family it shares unless it says otherwise."""
    values = _DESTINATION.unpack(_nested(body, "DEST"))
    try:
        family = values.get("ADDR_FAMILY") or _family(service.address)
        forwarding, tunnel = _forwarding(values)
        return Destination(
            DestinationKey(_address(family, values["ADDR"]), values["PORT"]),
            values["WEIGHT"],
            forwarding,
            values["U_THRESH"],
            values["L_THRESH"],
            tunnel,
        )
    except KeyError as error:
        raise MalformedMessageError(f"a destination without {error.args[0]}") from None


def _forwarding(values: Mapping[str, Any]) -> tuple[Forwarding, Tunnel]:
    try:
        forwarding = Forwarding(values["FWD_METHOD"] & _FORWARDING_MASK)
        if forwarding is not Forwarding.TUNNEL or not values.get("TUN_TYPE"):
            return forwarding, _IPIP
        kind = TunnelType(values["TUN_TYPE"])
        return forwarding, Tunnel(kind, values.get("TUN_PORT", 0), values.get("TUN_FLAGS", 0))
    except ValueError:  # What another program set up must not stop the reading of the table.
        return Forwarding.UNKNOWN, _IPIP


def _nested(body: bytes, name: str) -> bytes:
    nested = _MESSAGE.unpack(body).get(name)
    if nested is None:
        raise MalformedMessageError(f"a message without {name}")
    return bytes(nested)


def _address(family: int, data: bytes) -> IPAddress:
    if family == _AF_INET and len(data) >= 4:
        return IPv4Address(data[:4])
    if family == _AF_INET6 and len(data) >= 16:
        return IPv6Address(data[:16])
    raise MalformedMessageError(f"an address of {len(data)} bytes in family {family}")
