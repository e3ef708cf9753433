"""check_pybal_ipvs_diff reads the kernel's own table."""

from __future__ import annotations

from pybal.checks.kernel_table import from_proc
from tests.stage import Stage

COMMANDS = (
    "-A -t 198.51.100.1:443 -s wrr",
    "-a -t 198.51.100.1:443 -r 192.0.2.11:443 -g -w 10",
    "-a -t 198.51.100.1:443 -r 192.0.2.12:443 -g -w 0",
    "-A -u [2001:db8:100::1]:53 -s sh -o",
    "-a -u [2001:db8:100::1]:53 -r [2001:db8:2::11]:53 -i -w 1",
    "-A --sctp-service 198.51.100.1:99 -s mh -b mh-port",
    "-A -f 16 -s rr -p 300",
    "-a -f 16 -r 192.0.2.13:0 -m -w 5",
    "-A -t 198.51.100.2:80 -s lc -p 60",
)


def test_all_kinds_of_services_are_read(stage: Stage) -> None:
    for command in COMMANDS:
        stage.director.run("ipvsadm", *command.split())
    assert from_proc(stage.director.run("cat", "/proc/net/ip_vs")) == {
        "tcp 198.51.100.1:443": {"192.0.2.11:443": 10, "192.0.2.12:443": 0},
        "udp [2001:db8:100::1]:53": {"[2001:db8:2::11]:53": 1},
        "sctp 198.51.100.1:99": {},
        "fwmark 16": {"192.0.2.13:0": 5},
        "tcp 198.51.100.2:80": {},
    }


def test_an_empty_table_is_one(stage: Stage) -> None:
    assert from_proc(stage.director.run("cat", "/proc/net/ip_vs")) == {}
