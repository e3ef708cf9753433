"""The numbers of include/uapi/linux/ip_vs.h, which the kernel never changes."""

from __future__ import annotations

from pybal.ipvs import messages
from pybal.ipvs.messages import Command


def test_commands_have_the_kernels_numbers() -> None:
    assert {each.name: each.value for each in Command} == {
        "NEW_SERVICE": 1,
        "SET_SERVICE": 2,
        "DEL_SERVICE": 3,
        "GET_SERVICE": 4,
        "NEW_DEST": 5,
        "SET_DEST": 6,
        "DEL_DEST": 7,
        "GET_DEST": 8,
        "NEW_DAEMON": 9,
        "DEL_DAEMON": 10,
        "GET_DAEMON": 11,
        "SET_CONFIG": 12,
        "GET_CONFIG": 13,
    }


def test_the_family_has_the_kernels_name_and_version() -> None:
    assert (messages.FAMILY_NAME, messages.VERSION) == ("IPVS", 1)
