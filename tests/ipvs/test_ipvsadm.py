"""The ipvsadm commands that operations stand for. What ipvsadm itself makes of them is
tested on the real kernel, in tests/kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pybal.ipvs.ipvsadm import (
    command,
    start_sync_command,
    stop_sync_command,
    timeouts_command,
)
from pybal.ipvs.model import (
    Forwarding,
    Persistence,
    Service,
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
from tests.ipvs.examples import DNS, MARK, MARK6, SIGNAL, WEB, WEB6, destination, server

COMMANDS: list[tuple[Operation, str]] = [
    (AddService(Service(WEB, "mh")), "-A -t 192.0.2.1:80 -s mh"),
    (AddService(Service(DNS, "rr", one_packet=True)), "-A -u 192.0.2.1:53 -s rr -o"),
    (AddService(Service(WEB6, "wrr")), "-A -t [2001:db8::1]:80 -s wrr"),
    (EditService(Service(WEB, "sh", scheduler_flags=2)), "-E -t 192.0.2.1:80 -s sh -b sh-port"),
    (
        EditService(Service(WEB, "rr", persistence=Persistence(300, 24))),
        "-E -t 192.0.2.1:80 -s rr -p 300 -M 255.255.255.0",
    ),
    (
        EditService(Service(WEB6, "rr", persistence=Persistence(300, 64))),
        "-E -t [2001:db8::1]:80 -s rr -p 300 -M 64",
    ),
    (RemoveService(WEB6), "-D -t [2001:db8::1]:80"),
    (AddDestination(WEB, destination(1)), "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 10"),
    (
        AddDestination(WEB6, destination(1, 0, Forwarding.TUNNEL, WEB6)),
        "-a -t [2001:db8::1]:80 -r [2001:db8:1::1]:80 -i -w 0",
    ),
    (
        EditDestination(WEB, destination(1, 3, Forwarding.MASQUERADE)),
        "-e -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 3",
    ),
    (
        EditDestination(WEB, replace(destination(1), upper_threshold=9, lower_threshold=5)),
        "-e -t 192.0.2.1:80 -r 198.51.100.1:80 -g -w 10 -x 9 -y 5",
    ),
    (
        AddDestination(
            WEB,
            replace(
                destination(1, forwarding=Forwarding.TUNNEL),
                tunnel=Tunnel(TunnelType.GUE, 6080, 1),
            ),
        ),
        "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -i -w 10 --tun-type gue --tun-port 6080 --tun-csum",
    ),
    (RemoveDestination(WEB, server(1)), "-d -t 192.0.2.1:80 -r 198.51.100.1:80"),
    (AddService(Service(SIGNAL, "rr")), "-A --sctp-service 192.0.2.1:2905 -s rr"),
    (AddService(Service(MARK, "rr")), "-A -f 5 -s rr"),
    (RemoveService(MARK6), "-D -f 5 -6"),
    (
        AddService(
            Service(WEB, "rr", persistence=Persistence(60, 32), persistence_engine="sip"),
        ),
        "-A -t 192.0.2.1:80 -s rr -p 60 --pe sip",
    ),
    (
        # A netmask with holes has no word of its own.
        AddService(Service(WEB, "rr", persistence=Persistence(60, None))),
        "-A -t 192.0.2.1:80 -s rr -p 60",
    ),
    (
        AddService(Service(WEB6, "rr", persistence=Persistence(60, 128))),
        "-A -t [2001:db8::1]:80 -s rr -p 60",
    ),
    (
        AddService(Service(WEB, "mh", scheduler_flags=7)),
        "-A -t 192.0.2.1:80 -s mh -b mh-fallback,mh-port,flag-3",
    ),
    (
        AddService(Service(WEB, "rr", scheduler_flags=5)),
        "-A -t 192.0.2.1:80 -s rr -b flag-1,flag-3",
    ),
    *(
        (
            AddDestination(
                WEB,
                replace(
                    destination(1, forwarding=Forwarding.TUNNEL),
                    tunnel=Tunnel(TunnelType.GRE, 0, flags),
                ),
            ),
            f"-a -t 192.0.2.1:80 -r 198.51.100.1:80 -i -w 10 --tun-type gre {option}",
        )
        for flags, option in ((0, "--tun-nocsum"), (1, "--tun-csum"), (2, "--tun-remcsum"))
    ),
]


@pytest.mark.parametrize(("operation", "arguments"), COMMANDS, ids=[text for _, text in COMMANDS])
def test_an_operation_is_shown_as_its_command(operation: Operation, arguments: str) -> None:
    assert command(operation) == f"ipvsadm {arguments}"


def test_what_all_services_share_is_shown_as_its_commands() -> None:
    assert timeouts_command(Timeouts(900, 120, 300)) == "ipvsadm --set 900 120 300"
    assert start_sync_command(SyncDaemon(SyncRole.MASTER, "eth0", 7)) == (
        "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7"
        " --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1"
    )
    assert stop_sync_command(SyncRole.BACKUP) == "ipvsadm --stop-daemon backup"
