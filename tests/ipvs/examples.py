"""Values that the IPVS tests share."""

from __future__ import annotations

from ipaddress import ip_address

from pybal.ipvs.ipvsadm import rule
from pybal.ipvs.model import (
    Destination,
    DestinationKey,
    Forwarding,
    Service,
    ServiceEntry,
    ServiceKey,
    Table,
)
from pybal.ipvs.operations import AddDestination, AddService
from pybal.model import L4Protocol

TCP, UDP, SCTP = L4Protocol
WEB = ServiceKey(TCP, ip_address("192.0.2.1"), 80)
WEB6 = ServiceKey(TCP, ip_address("2001:db8::1"), 80)
DNS = ServiceKey(UDP, ip_address("192.0.2.1"), 53)
DNS6 = ServiceKey(UDP, ip_address("2001:db8::1"), 53)
SIGNAL = ServiceKey(SCTP, ip_address("192.0.2.1"), 2905)
SIGNAL6 = ServiceKey(SCTP, ip_address("2001:db8::1"), 2905)
MARK = ServiceKey.marked(5, 4)
MARK6 = ServiceKey.marked(5, 6)
KEYS = (WEB, WEB6, DNS, DNS6, SIGNAL, SIGNAL6, MARK, MARK6)


def server(number: int, key: ServiceKey = WEB) -> DestinationKey:
    """The numbered real server of a service, in the service's address family."""
    network = "2001:db8:1::" if key.address.version == 6 else "198.51.100.0"
    return DestinationKey(ip_address(network) + number, key.port)


def destination(
    number: int,
    weight: int = 10,
    forwarding: Forwarding = Forwarding.DIRECT,
    key: ServiceKey = WEB,
) -> Destination:
    """The numbered real server as a destination."""
    return Destination(server(number, key), weight, forwarding)


def entry(key: ServiceKey, *destinations: Destination, scheduler: str = "wrr") -> ServiceEntry:
    """A service with these destinations."""
    return ServiceEntry(Service(key, scheduler), {each.key: each for each in destinations})


def pool(key: ServiceKey, *numbers: int, scheduler: str = "wrr") -> ServiceEntry:
    """A service with the numbered real servers."""
    return entry(key, *(destination(n, key=key) for n in numbers), scheduler=scheduler)


def rules(table: Table) -> list[str]:
    """The table as the lines that `ipvsadm -R` reads."""
    lines = []
    for key, each in table.items():
        lines.append(rule(AddService(each.service)))
        lines += [rule(AddDestination(key, one)) for one in each.destinations.values()]
    return lines
