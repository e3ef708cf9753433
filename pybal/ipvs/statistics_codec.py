"""What the kernel counts, from the answers to a dump. Pure.

Any bytes given to a reader end in a value or in MalformedMessageError.
"""

from __future__ import annotations

from functools import lru_cache

from pybal.ipvs import messages
from pybal.ipvs.codec import read_address
from pybal.ipvs.model import ServiceKey
from pybal.ipvs.snapshot import DestinationStatistics, Traffic
from pybal.ipvs.wire import MalformedMessageError, Reader
from pybal.model import IPAddress
from pybal.net.addresses import endpoint

_AF_INET, _AF_INET6 = 2, 10
_REMEMBERED = 32768

_NO_TRAFFIC = Traffic()

_read_message = Reader(messages.MESSAGE, "SERVICE", "DEST")
_read_service = Reader(messages.SERVICE, "STATS64", "AF")
_read_destination = Reader(
    messages.DESTINATION,
    *(
        "ADDR_FAMILY",
        "ADDR",
        "PORT",
        "ACTIVE_CONNS",
        "INACT_CONNS",
        "PERSIST_CONNS",
        "STATS64",
        "WEIGHT",
    ),
)
_read_traffic = Reader(
    messages.STATISTICS,
    *("CONNS", "INPKTS", "OUTPKTS", "INBYTES", "OUTBYTES"),
    *("CPS", "INPPS", "OUTPPS", "INBPS", "OUTBPS"),
)


def read_service(body: bytes) -> Traffic:
    """The traffic of the service in a dump."""
    attributes, _ = _read_message(body)
    if attributes is None:
        raise MalformedMessageError("a message without a service")
    return _traffic(_read_service(attributes)[0])


def read_destination(body: bytes, service: ServiceKey) -> DestinationStatistics:
    """A destination of a dump of `service`, whose family it shares unless it says otherwise."""
    _, attributes = _read_message(body)
    if attributes is None:
        raise MalformedMessageError("a message without a destination")
    (
        family,
        address,
        port,
        active,
        inactive,
        persistent,
        counted,
        weight,
    ) = _read_destination(attributes)
    if address is None or port is None:
        raise MalformedMessageError("a destination without an address or a port")
    server, where = _server(family, service.address.version, address, port)
    return DestinationStatistics(
        server, where, active or 0, inactive or 0, persistent or 0, _traffic(counted), weight or 0
    )


@lru_cache(_REMEMBERED)
def _server(family: int | None, version: int, address: bytes, port: bytes) -> tuple[str, IPAddress]:
    where = read_address(family or (_AF_INET6 if version == 6 else _AF_INET), address)
    return endpoint(where, int.from_bytes(port, "big")), where


def _traffic(data: bytes | None) -> Traffic:
    """Kernels before 4.1 have no 64-bit counters: nothing is known there."""
    if data is None:
        return _NO_TRAFFIC
    return Traffic(*[value or 0 for value in _read_traffic(data)])
