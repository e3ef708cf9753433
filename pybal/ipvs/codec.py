"""IPVS requests as netlink attributes, and the kernel's answers as values. Pure.

Any bytes given to a reader end in a value or in MalformedMessageError.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from struct import Struct

from pybal.ipvs import messages
from pybal.ipvs.messages import Command
from pybal.ipvs.model import (
    IPIP,
    MAX_WEIGHT,
    Destination,
    DestinationKey,
    Forwarding,
    Persistence,
    Service,
    ServiceKey,
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
from pybal.ipvs.wire import MalformedMessageError, Nesting, Reader, Writer
from pybal.model import IPAddress, L4Protocol
from pybal.net.addresses import endpoint

_AF_INET, _AF_INET6 = 2, 10
_PROTOCOL_NUMBER = {L4Protocol.TCP: 6, L4Protocol.UDP: 17, L4Protocol.SCTP: 132}
_PROTOCOLS = {number: protocol for protocol, number in _PROTOCOL_NUMBER.items()}

_PERSISTENT, _ONE_PACKET = 0x1, 0x4
_SCHEDULER_FLAGS_SHIFT, _SCHEDULER_FLAGS_MASK = 3, 0x7
_SETTABLE_FLAGS = 0xFFFFFFFD  # HASHED (0x2) is the kernel's own

_FORWARDING_MASK = 0x7
_METHODS = {each: each.value for each in Forwarding}  # twice as fast as to ask for the value

_U32 = Struct("=I")
_FLAGS = Struct("=" + "".join(code for _, code in messages.FLAGS_FIELDS))

# A weight that is out of range is sent as one below 0, so that the kernel refuses it.
_NEGATIVE = 2**31

_REMEMBERED = 32768
"""So many destinations and services are built once and then found again: a dump brings few
that are new, and comparing a thing with itself costs nothing."""

_SERVICE_IDENTITY = ("AF", "PROTOCOL", "ADDR", "PORT")
_SERVICE_SETTINGS = ("SCHED_NAME", "FLAGS", "TIMEOUT", "NETMASK")
_DESTINATION_IDENTITY = ("ADDR_FAMILY", "ADDR", "PORT")
_DESTINATION_SETTINGS = ("FWD_METHOD", "WEIGHT", "U_THRESH", "L_THRESH")
_TUNNEL_SETTINGS = ("TUN_TYPE", "TUN_PORT", "TUN_FLAGS")

_write_service_identity = Writer(messages.SERVICE, *_SERVICE_IDENTITY)
_write_mark_identity = Writer(messages.SERVICE, "AF", "FWMARK")
_write_service_settings = Writer(messages.SERVICE, *_SERVICE_SETTINGS)
_write_engine = Writer(messages.SERVICE, "PE_NAME")
_write_destination_identity = Writer(messages.DESTINATION, *_DESTINATION_IDENTITY)
_write_destination_settings = Writer(messages.DESTINATION, *_DESTINATION_SETTINGS)
_write_tunnel = Writer(messages.DESTINATION, *_TUNNEL_SETTINGS)
_in_service = Nesting(messages.MESSAGE, "SERVICE")
_in_destination = Nesting(messages.MESSAGE, "DEST")

_read_message = Reader(messages.MESSAGE, "SERVICE", "DEST")
_read_service = Reader(
    messages.SERVICE, *_SERVICE_IDENTITY, *_SERVICE_SETTINGS, "PE_NAME", "FWMARK"
)
_read_destination = Reader(
    messages.DESTINATION, *_DESTINATION_IDENTITY, *_DESTINATION_SETTINGS, *_TUNNEL_SETTINGS
)


def request(operation: Operation) -> tuple[Command, bytes]:
    """The command and the attributes that ask for `operation`."""
    match operation:  # without patterns of their fields: those take a quarter of all this
        case AddDestination():
            return Command.NEW_DEST, _destination(operation.key, operation.destination)
        case EditDestination():
            return Command.SET_DEST, _destination(operation.key, operation.destination)
        case RemoveDestination():
            return Command.DEL_DEST, _destination_identity(operation.key, operation.destination)
        case AddService():
            return Command.NEW_SERVICE, _service(operation.service)
        case EditService():
            return Command.SET_SERVICE, _service(operation.service)
        case RemoveService():
            return Command.DEL_SERVICE, service_identity(operation.key)


@lru_cache(_REMEMBERED)
def service_identity(key: ServiceKey) -> bytes:
    """The attributes that name one service."""
    return _in_service(_service_identity(key))


def _service_identity(key: ServiceKey) -> bytes:
    if key.fwmark:
        return _write_mark_identity(_family(key.address), key.fwmark)
    return _write_service_identity(
        _family(key.address),
        _PROTOCOL_NUMBER[key.protocol],
        key.address.packed,
        key.port.to_bytes(2, "big"),
    )


def _service(service: Service) -> bytes:
    flags = (service.scheduler_flags & _SCHEDULER_FLAGS_MASK) << _SCHEDULER_FLAGS_SHIFT
    if service.one_packet:
        flags |= _ONE_PACKET
    if service.persistence is not None:
        flags |= _PERSISTENT
    timeout_s = service.persistence.timeout_s if service.persistence is not None else 0
    settings = _service_settings(service.scheduler, flags, timeout_s, _netmask(service))
    engine = service.persistence_engine
    return _in_service(
        _service_identity(service.key)
        + settings
        + (_write_engine(_text(engine)) if engine else b"")
    )


@lru_cache
def _service_settings(scheduler: str, flags: int, timeout_s: int, netmask: bytes) -> bytes:
    return _write_service_settings(
        _text(scheduler), _FLAGS.pack(flags, _SETTABLE_FLAGS), timeout_s, netmask
    )


def _netmask(service: Service) -> bytes:
    """The kernel wants one even without persistence: an IPv4 mask, or an IPv6 prefix length."""
    address = service.key.address
    length = service.persistence.prefix_length if service.persistence is not None else None
    if length is None:
        length = address.max_prefixlen
    return _U32.pack(length) if address.version == 6 else _mask(length)


@lru_cache
def _mask(length: int) -> bytes:
    return IPv4Network((0, length)).netmask.packed


def _destination_identity(service: ServiceKey, key: DestinationKey) -> bytes:
    return service_identity(service) + _in_destination(_where(key))


def _destination(key: ServiceKey, destination: Destination) -> bytes:
    forwarding, tunnel = destination.forwarding, destination.tunnel
    attributes = _where(destination.key) + _settings(
        _METHODS[forwarding],
        destination.weight,
        destination.upper_threshold,
        destination.lower_threshold,
    )
    is_plain = tunnel is IPIP or tunnel.type is TunnelType.IPIP
    if forwarding is Forwarding.TUNNEL and not is_plain:
        # Kernels before 5.3 know IPIP alone, and none of these.
        attributes += _write_tunnel(tunnel.type.value, tunnel.port.to_bytes(2, "big"), tunnel.flags)
    return service_identity(key) + _in_destination(attributes)


@lru_cache(_REMEMBERED)
def _where(key: DestinationKey) -> bytes:
    address = key.address
    return _write_destination_identity(
        _family(address), address.packed, key.port.to_bytes(2, "big")
    )


@lru_cache(_REMEMBERED)
def _settings(method: int, weight: int, upper: int, lower: int) -> bytes:
    if not 0 <= weight <= MAX_WEIGHT:
        weight = _NEGATIVE
    return _write_destination_settings(method, weight, upper, lower)


def _family(address: IPAddress) -> int:
    return _AF_INET6 if address.version == 6 else _AF_INET


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def read_service(body: bytes) -> Service | str:
    """A service of a dump; a text that names it if ServiceKey cannot express it."""
    attributes, _ = _read_message(body)
    if attributes is None:
        raise MalformedMessageError("a message without a service")
    return _make_service(*_read_service(attributes))


@lru_cache(_REMEMBERED)
def _make_service(
    family: int | None,
    protocol: int | None,
    address_bytes: bytes | None,
    port: bytes | None,
    scheduler_text: bytes | None,
    flags_bytes: bytes | None,
    timeout_s: int | None,
    netmask: bytes | None,
    engine: bytes | None,
    mark: int | None,
) -> Service | str:
    if family is None or scheduler_text is None:
        raise MalformedMessageError("a service without a family or a scheduler")
    scheduler = _read_text(scheduler_text)
    if flags_bytes is None or len(flags_bytes) < _FLAGS.size:
        raise MalformedMessageError("a service without flags")
    if mark:
        key = ServiceKey.marked(mark, 6 if family == _AF_INET6 else 4)
    elif protocol is None or address_bytes is None or port is None:
        raise MalformedMessageError("a service without a protocol, an address or a port")
    else:
        address = read_address(family, address_bytes)
        port_number = int.from_bytes(port, "big")
        if protocol not in _PROTOCOLS:
            return f"IP protocol {protocol} {endpoint(address, port_number)} ({scheduler})"
        key = ServiceKey(_PROTOCOLS[protocol], address, port_number)
    flags, _ = _FLAGS.unpack_from(flags_bytes)
    return Service(
        key,
        scheduler,
        one_packet=bool(flags & _ONE_PACKET),
        scheduler_flags=flags >> _SCHEDULER_FLAGS_SHIFT & _SCHEDULER_FLAGS_MASK,
        persistence=_persistence(key.address, timeout_s, netmask) if flags & _PERSISTENT else None,
        persistence_engine=_read_text(engine or b""),
    )


def _persistence(address: IPAddress, timeout_s: int | None, netmask: bytes | None) -> Persistence:
    if timeout_s is None or netmask is None or len(netmask) < _U32.size:
        raise MalformedMessageError("persistence without a timeout or a netmask")
    if address.version == 6:
        return Persistence(timeout_s, int(_U32.unpack_from(netmask)[0]))
    bits = f"{int.from_bytes(netmask[:4], 'big'):032b}"
    ones = bits.rstrip("0")
    return Persistence(timeout_s, None if "0" in ones else len(ones))


def read_destination(body: bytes, service: ServiceKey) -> Destination:
    """A destination of a dump of `service`, whose family it shares unless it says otherwise."""
    _, attributes = _read_message(body)
    if attributes is None:
        raise MalformedMessageError("a message without a destination")
    return _make_destination(service.address.version, *_read_destination(attributes))


@lru_cache(_REMEMBERED)
def _make_destination(
    service_version: int,
    family: int | None,
    address: bytes | None,
    port: bytes | None,
    method: int | None,
    weight: int | None,
    upper_threshold: int | None,
    lower_threshold: int | None,
    tunnel_type: int | None,
    tunnel_port: bytes | None,
    tunnel_flags: int | None,
) -> Destination:
    if address is None or port is None or method is None or weight is None:
        raise MalformedMessageError("a destination without address, port, method or weight")
    if not family:
        family = _AF_INET6 if service_version == 6 else _AF_INET
    tunnel_port_number = int.from_bytes(tunnel_port or b"", "big")
    forwarding, tunnel = _forwarding(method, tunnel_type, tunnel_port_number, tunnel_flags)
    return Destination(
        DestinationKey(read_address(family, address), int.from_bytes(port, "big")),
        weight,
        forwarding,
        upper_threshold or 0,
        lower_threshold or 0,
        tunnel,
    )


def _forwarding(
    method: int, tunnel_type: int | None, tunnel_port: int, tunnel_flags: int | None
) -> tuple[Forwarding, Tunnel]:
    try:
        forwarding = Forwarding(method & _FORWARDING_MASK)
        if forwarding is not Forwarding.TUNNEL or not tunnel_type:
            return forwarding, IPIP
        return forwarding, Tunnel(TunnelType(tunnel_type), tunnel_port, tunnel_flags or 0)
    except ValueError:  # What another program set up must not stop the reading of the table.
        return Forwarding.UNKNOWN, IPIP


def _read_text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def read_address(family: int, data: bytes) -> IPAddress:
    """An address of this family as the kernel writes it."""
    if family == _AF_INET and len(data) >= 4:
        return IPv4Address(data[:4])
    if family == _AF_INET6 and len(data) >= 16:
        return IPv6Address(data[:16])
    raise MalformedMessageError(f"an address of {len(data)} bytes in family {family}")
