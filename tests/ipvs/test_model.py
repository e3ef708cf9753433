"""The kernel's numbers (include/uapi/linux/ip_vs.h), and how what is in a table reads."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from ipaddress import ip_address

import pytest

from pybal.ipvs.model import (
    IPIP,
    MAX_WEIGHT,
    Checksum,
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
from pybal.model import L4Protocol
from tests.ipvs.examples import DNS6, KEYS, MARK, MARK6, WEB, server


@pytest.mark.parametrize(
    ("enum", "numbers"),
    [
        (
            Forwarding,
            {"MASQUERADE": 0, "LOCAL": 1, "TUNNEL": 2, "DIRECT": 3, "BYPASS": 4, "UNKNOWN": 7},
        ),
        (TunnelType, {"IPIP": 0, "GUE": 1, "GRE": 2}),
        (Checksum, {"NONE": 0, "FULL": 1, "REMOTE": 2}),
        (SyncRole, {"MASTER": 1, "BACKUP": 2}),
    ],
)
def test_values_are_the_kernels(enum: type[Enum], numbers: dict[str, int]) -> None:
    assert {each.name: each.value for each in enum} == numbers


def test_what_is_not_said_is_as_ipvsadm_has_it() -> None:
    assert MAX_WEIGHT == 2_147_483_647
    assert Tunnel(TunnelType.IPIP, 0, 0) == IPIP
    service = Service(WEB, "rr")
    assert (service.one_packet, service.scheduler_flags) == (False, 0)
    assert (service.persistence, service.persistence_engine) == (None, "")
    plain = Destination(server(1), 5, Forwarding.DIRECT)
    assert plain == Destination(server(1), 5, Forwarding.DIRECT, 0, 0, IPIP)
    assert plain.rank == 0
    assert Timeouts() == Timeouts(0, 0, 0)
    daemon = SyncDaemon(SyncRole.MASTER, "eth0")
    assert daemon == SyncDaemon(SyncRole.MASTER, "eth0", 0, ip_address("224.0.0.81"), 8848, 1)


def test_the_rank_of_a_server_is_no_part_of_it() -> None:
    plain = Destination(server(1), 5, Forwarding.DIRECT)
    assert replace(plain, rank=7) == plain
    assert repr(replace(plain, rank=7)) == repr(plain)


def test_keys_read_as_people_write_them() -> None:
    assert [str(key) for key in (WEB, DNS6, MARK, MARK6)] == [
        "tcp 192.0.2.1:80",
        "udp [2001:db8::1]:53",
        "fwmark 5 IPv4",
        "fwmark 5 IPv6",
    ]
    assert str(server(1, DNS6)) == "[2001:db8:1::1]:53"
    daemon = SyncDaemon(SyncRole.BACKUP, "eth0", 7)
    assert str(daemon) == "the backup sync daemon on eth0 (id 7, 224.0.0.81:8848, TTL 1)"


def test_keys_are_told_apart_by_all_that_the_kernel_tells_them_apart_by() -> None:
    assert len({*KEYS}) == len(KEYS)
    assert ServiceKey.marked(5, 4) == MARK
    assert hash(ServiceKey.marked(5, 4)) == hash(MARK)
    others = [
        replace(WEB, protocol=L4Protocol.UDP),
        replace(WEB, address=ip_address("192.0.2.2")),
        replace(WEB, port=81),
        ServiceKey.marked(6, 4),
        MARK6,
    ]
    assert WEB not in others
    assert MARK not in others
    assert len({*others, WEB, MARK}) == 7


def test_of_a_mark_the_kernel_has_no_address_and_no_port() -> None:
    assert (str(MARK.address), MARK.port, MARK.fwmark) == ("0.0.0.0", 0, 5)
    assert (str(MARK6.address), MARK6.port, MARK6.fwmark) == ("::", 0, 5)


def test_what_is_computed_is_not_shown() -> None:
    assert "hash" not in repr(WEB)
    assert "hash" not in repr(server(1))


def test_keys_of_marks_do_not_share_a_hash() -> None:
    # A table may have thousands of them, and each is looked up in it.
    assert len({hash(ServiceKey.marked(mark, 4)) for mark in range(1, 1001)}) == 1000
