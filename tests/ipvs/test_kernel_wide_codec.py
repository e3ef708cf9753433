"""Timeouts and sync daemons, to the octet as include/uapi/linux/ip_vs.h draws them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from pybal.ipvs import kernel_wide_codec, messages
from pybal.ipvs.model import SyncDaemon, SyncRole, Timeouts
from pybal.ipvs.wire import MalformedMessageError, Writer

GROUP6 = ip_address("ff02::4:51")
MASTER = SyncDaemon(SyncRole.MASTER, "eth0", 7, ip_address("224.0.0.81"), 8848, 3)
BACKUP6 = SyncDaemon(SyncRole.BACKUP, "eth0", 7, GROUP6, 8848, 3)

DAEMON: dict[str, Any] = {
    "STATE": 1,
    "MCAST_IFN": b"eth0\0",
    "SYNC_ID": 7,
    "MCAST_GROUP": MASTER.group.packed,
    "MCAST_PORT": 8848,
    "MCAST_TTL": 3,
}


def told(**changes: Any) -> bytes:
    """What the kernel tells of a daemon with these attributes changed; None leaves one out."""
    given = {name: value for name, value in (DAEMON | changes).items() if value is not None}
    return Writer(messages.MESSAGE, "DAEMON")(Writer(messages.DAEMON, *given)(*given.values()))


def test_timeouts_are_three_numbers() -> None:
    sent = kernel_wide_codec.timeouts(Timeouts(900, 120, 300))
    assert sent.hex(" ", 4) == "08000400 84030000 08000500 78000000 08000600 2c010000"
    assert kernel_wide_codec.read_timeouts(sent) == Timeouts(900, 120, 300)
    assert kernel_wide_codec.read_timeouts(b"") == Timeouts(0, 0, 0)


@pytest.mark.parametrize(
    ("seconds", "on_the_wire"),
    [(-1, 2**31), (0, 0), (1, 1), (2**31 - 1, 2**31 - 1), (2**31 + 5, 2**31), (2**40, 2**31)],
)
def test_a_timeout_out_of_range_is_sent_as_one_that_the_kernel_refuses(
    seconds: int, on_the_wire: int
) -> None:
    sent = kernel_wide_codec.timeouts(Timeouts(seconds, 5, seconds))
    assert kernel_wide_codec.read_timeouts(sent) == Timeouts(on_the_wire, 5, on_the_wire)


def test_a_daemon_is_started_with_all_that_it_needs_and_stopped_by_its_role() -> None:
    common = "08000100 0{}000000 09000200 65746830 00000000 08000300 07000000 06000700 90220000"
    assert kernel_wide_codec.daemon(MASTER).hex(" ", 4) == (
        f"38000380 {common.format(1)} 05000800 03000000 08000500 e0000051"
    )
    assert kernel_wide_codec.daemon(BACKUP6).hex(" ", 4) == (
        f"44000380 {common.format(2)} 05000800 03000000"
        " 14000600 ff020000 00000000 00000000 00040051"
    )
    assert kernel_wide_codec.role(SyncRole.MASTER).hex(" ", 4) == "0c000380 08000100 01000000"
    assert kernel_wide_codec.role(SyncRole.BACKUP).hex(" ", 4) == "0c000380 08000100 02000000"


@pytest.mark.parametrize(
    ("changes", "daemon"),
    [
        ({}, MASTER),
        ({"STATE": 2, "MCAST_GROUP": None, "MCAST_GROUP6": GROUP6.packed}, BACKUP6),
        ({"MCAST_IFN": b"eth0\0\0\0junk"}, MASTER),
        ({"MCAST_GROUP": MASTER.group.packed + b"junk"}, MASTER),
        (
            {"STATE": 2, "MCAST_GROUP": bytes(3), "MCAST_GROUP6": GROUP6.packed + b"junk"},
            BACKUP6,
        ),
    ],
)
def test_a_daemon_is_read(changes: dict[str, Any], daemon: SyncDaemon) -> None:
    assert kernel_wide_codec.read_daemon(told(**changes)) == daemon


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *(
            ({name: None}, "a sync daemon without role, interface, id, port or TTL")
            for name in DAEMON
            if name != "MCAST_GROUP"
        ),
        ({"STATE": 0}, "a sync daemon of role 0"),
        ({"STATE": 3}, "a sync daemon of role 3"),
        ({"MCAST_GROUP": None}, "a sync daemon without a multicast group"),
        ({"MCAST_GROUP": bytes(3)}, "a sync daemon without a multicast group"),
        (
            {"MCAST_GROUP": None, "MCAST_GROUP6": bytes(15)},
            "a sync daemon without a multicast group",
        ),
    ],
)
def test_a_daemon_with_something_missing_is_an_error(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=f"^{reason}$"):
        kernel_wide_codec.read_daemon(told(**changes))


def test_a_message_without_a_daemon_is_an_error() -> None:
    with pytest.raises(MalformedMessageError, match=r"^a message without a sync daemon$"):
        kernel_wide_codec.read_daemon(b"")
