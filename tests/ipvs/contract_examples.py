"""Services and destinations that every kernel takes, or refuses."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from pybal.ipvs.model import (
    MAX_WEIGHT,
    Destination,
    DestinationKey,
    Forwarding,
    Persistence,
    Service,
    ServiceKey,
    SyncDaemon,
    SyncRole,
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
from tests.ipvs.examples import (
    DNS,
    DNS6,
    MARK,
    MARK6,
    SIGNAL,
    SIGNAL6,
    TCP,
    WEB,
    WEB6,
    destination,
    server,
)

LONG_NAME = "sixteen-letters!"

LOCAL = SyncDaemon(SyncRole.MASTER, "lo", 7)

SERVICES = (
    Service(WEB, "wrr"),
    Service(WEB6, "wrr"),
    Service(DNS, "rr"),
    Service(DNS6, "rr"),
    Service(DNS, "rr", one_packet=True),
    Service(DNS6, "rr", one_packet=True),
    Service(WEB, "sh", scheduler_flags=1),
    Service(WEB, "mh", scheduler_flags=2),
    Service(WEB6, "mh", scheduler_flags=3),
    Service(WEB, "rr", scheduler_flags=4),
    Service(WEB, "rr", persistence=Persistence(300, 32)),
    Service(WEB, "rr", persistence=Persistence(360, 24)),
    Service(WEB6, "rr", persistence=Persistence(360, 128)),
    Service(WEB6, "rr", persistence=Persistence(360, 64)),
    Service(DNS, "wlc", one_packet=True, scheduler_flags=7, persistence=Persistence(60, 8)),
    Service(SIGNAL, "sh", scheduler_flags=2),
    Service(SIGNAL6, "wrr", persistence=Persistence(360, 128)),
    Service(MARK, "mh", scheduler_flags=3),
    Service(MARK6, "wlc", persistence=Persistence(300, 64)),
    Service(ServiceKey.marked(2**32 - 1, 4), "rr", True, 0, Persistence(300, 24), "sip"),
    Service(ServiceKey(TCP, WEB.address, 0), "rr", persistence=Persistence(300, 32)),
    Service(DNS, "rr", one_packet=True, persistence=Persistence(1, 1), persistence_engine="sip"),
    Service(WEB, "none"),
)

DESTINATIONS = (
    destination(1, weight=0),
    destination(1, weight=1),
    destination(1, weight=MAX_WEIGHT),
    destination(1, forwarding=Forwarding.MASQUERADE),
    destination(1, forwarding=Forwarding.LOCAL),
    destination(1, forwarding=Forwarding.TUNNEL),
    destination(1, forwarding=Forwarding.DIRECT),
    destination(1, forwarding=Forwarding.BYPASS),
    replace(destination(1), upper_threshold=100),
    replace(destination(1), upper_threshold=100, lower_threshold=50),
    replace(destination(1, forwarding=Forwarding.TUNNEL), tunnel=Tunnel(TunnelType.GUE, 6080, 0)),
    replace(destination(1, forwarding=Forwarding.TUNNEL), tunnel=Tunnel(TunnelType.GUE, 6080, 1)),
    replace(destination(1, forwarding=Forwarding.TUNNEL), tunnel=Tunnel(TunnelType.GUE, 1, 2)),
    replace(destination(1, forwarding=Forwarding.TUNNEL), tunnel=Tunnel(TunnelType.GRE, 0, 0)),
    replace(destination(1, forwarding=Forwarding.TUNNEL), tunnel=Tunnel(TunnelType.GRE, 0, 1)),
    # Linux 6.12 takes no larger one.
    replace(destination(1), upper_threshold=2**31 - 1, lower_threshold=2**31 - 1),
)


def _at(address: str) -> Destination:
    return Destination(DestinationKey(ip_address(address), 80), 1, Forwarding.DIRECT)


def _refused() -> Iterator[tuple[Operation, int]]:
    """Operations that fail on a table with WEB (servers 1 and 2) and WEB6 (server 1)."""
    absent = destination(9)
    yield AddService(Service(WEB, "wrr")), errno.EEXIST
    yield AddService(Service(WEB, "no-such")), errno.EEXIST
    yield AddService(Service(DNS, "no-such")), errno.ENOENT
    yield AddService(Service(DNS, LONG_NAME[1:])), errno.ENOENT
    yield AddService(Service(DNS, LONG_NAME)), errno.EINVAL
    yield AddService(Service(DNS, "rr", persistence_engine="no-such")), errno.ENOENT
    yield EditService(Service(DNS, "wrr")), errno.ESRCH
    yield EditService(Service(WEB, "no-such")), errno.ENOENT
    yield EditService(Service(WEB, LONG_NAME)), errno.EINVAL
    yield EditService(Service(DNS, LONG_NAME)), errno.EINVAL
    for engine, number in ((LONG_NAME, errno.ENOENT), (LONG_NAME + "!", errno.EINVAL)):
        engaged = Service(DNS, "rr", persistence_engine=engine)
        yield AddService(engaged), number
        yield EditService(replace(engaged, key=WEB)), number
    yield EditService(Service(WEB, "rr", persistence_engine="no-such")), errno.ENOENT
    for length in (0, 129):
        masked = Service(DNS6, "rr", persistence=Persistence(60, length))
        yield AddService(masked), errno.EINVAL
        yield EditService(replace(masked, key=WEB6)), errno.EINVAL
        yield AddService(replace(masked, scheduler="no-such")), errno.ENOENT
    yield RemoveService(MARK), errno.ESRCH
    yield EditService(Service(MARK6, "rr")), errno.ESRCH
    yield AddDestination(MARK, destination(1, key=MARK)), errno.ESRCH
    yield RemoveService(DNS), errno.ESRCH
    yield AddDestination(DNS, absent), errno.ESRCH
    yield EditDestination(DNS, absent), errno.ESRCH
    yield RemoveDestination(DNS, absent.key), errno.ESRCH
    yield AddDestination(WEB, destination(1)), errno.EEXIST
    yield EditDestination(WEB, absent), errno.ENOENT
    yield RemoveDestination(WEB, absent.key), errno.ENOENT
    yield RemoveDestination(WEB, DestinationKey(server(1).address, 81)), errno.ENOENT
    yield RemoveDestination(WEB6, server(1)), errno.ENOENT
    for weight in (-1, MAX_WEIGHT + 1, 2**32, 2**40):
        yield AddDestination(WEB, replace(absent, weight=weight)), errno.ERANGE
        yield EditDestination(WEB, destination(1, weight=weight)), errno.ERANGE
    unordered = replace(absent, upper_threshold=1, lower_threshold=2)
    yield AddDestination(WEB, unordered), errno.ERANGE
    yield EditDestination(WEB, replace(unordered, key=server(1))), errno.ERANGE
    for forwarding in (Forwarding.DIRECT, Forwarding.MASQUERADE):
        yield AddDestination(WEB, destination(9, 1, forwarding, WEB6)), errno.EINVAL
        yield AddDestination(WEB6, destination(9, 1, forwarding, WEB)), errno.EINVAL
    for address in ("224.0.0.1", "0.0.0.0", "255.255.255.255"):
        yield AddDestination(WEB, _at(address)), errno.EINVAL
    for address in ("ff02::1", "fe80::1", "::", "::ffff:192.0.2.9"):
        yield AddDestination(WEB6, _at(address)), errno.EINVAL
    portless = replace(
        destination(9, forwarding=Forwarding.TUNNEL), tunnel=Tunnel(TunnelType.GUE, 0, 1)
    )
    yield AddDestination(WEB, portless), errno.EINVAL
    yield EditDestination(WEB, portless), errno.EINVAL
    yield EditDestination(WEB, replace(portless, key=server(1))), errno.EINVAL
    yield AddDestination(WEB, replace(portless, weight=-1)), errno.ERANGE


REFUSED = tuple(_refused())
