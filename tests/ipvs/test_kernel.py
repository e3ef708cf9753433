"""What an operator reads when the kernel refuses something, and which answers mean drift."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import pytest

from pybal.errors import KernelError
from pybal.ipvs.kernel import (
    is_drift,
    read_refusal,
    refusal,
    sync_refusal,
    timeouts_refusal,
)
from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import Forwarding, Service, Tunnel, TunnelType
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
    RemoveDestination,
    RemoveService,
)
from pybal.runtime.pieces import in_one_go
from tests.ipvs.examples import DNS, WEB, WEB6, destination, pool, server

RIGHTS = "IPVS needs CAP_NET_ADMIN (usually: root)"
NO_IPVS = "the kernel has no IPVS and could not load it: modprobe ip_vs says why"
UNICAST = "the kernel takes local and unicast addresses only; is the loopback device up?"
OTHER_FAMILY = "only a tunnel can lead to the other address family"
WHILE_SYNC = "while a sync daemon runs no server can be of the other address family"
GUE_PORT = "a GUE tunnel needs a port"
NETMASK = "an IPv6 persistence netmask is a prefix length from 1 to 128"

SERVICE = Service(WEB, "wrr")
TUNNEL = destination(1, forwarding=Forwarding.TUNNEL)
GUE = replace(TUNNEL, tunnel=Tunnel(TunnelType.GUE, 0, 0))


@pytest.mark.parametrize(
    ("operation", "number", "hint"),
    [
        (RemoveService(WEB), errno.EPERM, f"changing {RIGHTS}"),
        (RemoveService(WEB), errno.ESRCH, "there is no such service in the kernel"),
        (AddDestination(WEB, TUNNEL), errno.ESRCH, "there is no such service in the kernel"),
        (AddService(SERVICE), errno.EEXIST, "the service is in the kernel already"),
        (
            AddDestination(WEB, TUNNEL),
            errno.EEXIST,
            "the server is in the kernel's service already",
        ),
        (
            AddService(SERVICE),
            errno.ENOENT,
            "the scheduler is not known to the kernel: modprobe ip_vs_wrr",
        ),
        (
            EditService(replace(SERVICE, persistence_engine="sip")),
            errno.ENOENT,
            "the scheduler is not known to the kernel: modprobe ip_vs_wrr, or the persistence"
            " engine: modprobe ip_vs_pe_sip",
        ),
        (
            EditDestination(WEB, TUNNEL),
            errno.ENOENT,
            "there is no such server in the kernel's service",
        ),
        (
            RemoveDestination(WEB, server(1)),
            errno.ENOENT,
            "there is no such server in the kernel's service",
        ),
        (AddDestination(WEB, destination(1)), errno.EINVAL, UNICAST),
        (EditDestination(WEB, TUNNEL), errno.EINVAL, UNICAST),
        (AddDestination(WEB, GUE), errno.EINVAL, GUE_PORT),
        (
            AddDestination(WEB, replace(GUE, tunnel=Tunnel(TunnelType.GUE, 5555, 0))),
            errno.EINVAL,
            UNICAST,
        ),
        (
            AddDestination(WEB, replace(GUE, tunnel=Tunnel(TunnelType.GRE, 0, 0))),
            errno.EINVAL,
            UNICAST,
        ),
        (AddDestination(WEB, replace(GUE, forwarding=Forwarding.DIRECT)), errno.EINVAL, UNICAST),
        (AddDestination(WEB6, destination(1)), errno.EINVAL, OTHER_FAMILY),
        (AddDestination(WEB6, TUNNEL), errno.EINVAL, WHILE_SYNC),
        (
            AddService(replace(SERVICE, scheduler="s" * 16)),
            errno.EINVAL,
            "is there a scheduler with the name of 'ssssssssssssssss'?",
        ),
        (AddService(replace(SERVICE, scheduler="s" * 15)), errno.EINVAL, NETMASK),
        (
            AddService(replace(SERVICE, persistence_engine="e" * 16)),
            errno.EINVAL,
            "is there a persistence engine with the name of 'eeeeeeeeeeeeeeee'?",
        ),
        (EditService(replace(SERVICE, persistence_engine="e" * 15)), errno.EINVAL, NETMASK),
        (
            EditDestination(WEB, TUNNEL),
            errno.ERANGE,
            "a weight is 0 to 2147483647, a lower threshold at most the upper one",
        ),
        (AddService(SERVICE), errno.ENOMEM, ""),
        (RemoveService(WEB), errno.EINVAL, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_says_what_to_do(operation: Operation, number: int, hint: str) -> None:
    error = refusal(operation, number)
    assert (error.errno, error.hint) == (number, hint)
    assert operation.words in str(error)


@pytest.mark.parametrize(
    ("refused", "hints"),
    [
        (
            read_refusal,
            {errno.ENOENT: NO_IPVS, errno.EPERM: RIGHTS, errno.EACCES: RIGHTS, errno.EINVAL: ""},
        ),
        (
            timeouts_refusal,
            {
                errno.EINVAL: "a timeout is a number of seconds, up to some 24 days",
                errno.EPERM: RIGHTS,
                errno.ENOENT: NO_IPVS,
            },
        ),
        (
            sync_refusal,
            {
                errno.EEXIST: "one of this role runs already",
                errno.ESRCH: "none of this role runs",
                errno.ENODEV: "there is no such interface",
                errno.EINVAL: "no service may have servers of the other address family then, and"
                " the group must be a multicast address",
                errno.ENETUNREACH: "there is no route to the multicast group",
                errno.EPERM: RIGHTS,
                errno.EACCES: RIGHTS,
                errno.ENOENT: "",
            },
        ),
    ],
)
def test_other_refusals_say_what_to_do(
    refused: Callable[[str, int], KernelError], hints: dict[int, str]
) -> None:
    for number, hint in hints.items():
        error = refused("ask the kernel", number)
        assert (error.errno, error.hint) == (number, hint)
        assert "ask the kernel" in str(error)


@pytest.mark.parametrize(
    ("operation", "drift"),
    [
        (AddService(SERVICE), {errno.ESRCH, errno.EEXIST}),
        (EditService(SERVICE), {errno.ESRCH, errno.EEXIST}),
        (AddDestination(WEB, TUNNEL), {errno.ESRCH, errno.EEXIST}),
        (EditDestination(WEB, TUNNEL), {errno.ESRCH, errno.EEXIST, errno.ENOENT}),
        (RemoveDestination(WEB, server(1)), {errno.ESRCH, errno.EEXIST, errno.ENOENT}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_answers_mean_that_the_table_is_not_what_it_was_taken_for(
    operation: Operation, drift: set[int]
) -> None:
    numbers = (errno.ESRCH, errno.EEXIST, errno.ENOENT, errno.EINVAL, errno.EPERM)
    assert {number for number in numbers if is_drift(operation, number)} == drift


def test_the_counters_of_a_service_are_read_in_one_piece() -> None:
    kernel = MemoryKernel({WEB: pool(WEB, 1)})
    kernel.count(WEB, server(1), 3, 4)
    counted = in_one_go(kernel.counting(WEB))
    assert counted is not None
    assert [(each.active, each.inactive) for each in counted.destinations] == [(3, 4)]
    assert in_one_go(kernel.counting(DNS)) is None
