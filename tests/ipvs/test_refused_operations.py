"""What follows from what the kernel has refused of one service."""

from __future__ import annotations

import errno

from pybal.ipvs.kernel import OperationResult, refusal
from pybal.ipvs.model import Service
from pybal.ipvs.operations import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Operation,
)
from pybal.ipvs.refused_operations import RefusedOperations
from tests.ipvs.examples import WEB, destination, server

SERVICE = Service(WEB, "wrr")
FIRST, SECOND = (AddDestination(WEB, destination(number)) for number in (1, 2))


def refused(*operations: tuple[Operation, int]) -> RefusedOperations:
    return RefusedOperations(
        [OperationResult(each, refusal(each, number)) for each, number in operations]
    )


def test_without_its_service_no_server_can_be_added_so_that_is_the_one_refusal() -> None:
    found = refused((AddService(SERVICE), errno.EPERM), (FIRST, errno.ESRCH))
    assert [error.errno for error in found.errors] == [errno.EPERM]
    assert not found.are_drift


def test_a_server_that_the_kernel_never_takes_is_named_and_leaves_the_service_standing() -> None:
    found = refused((FIRST, errno.EINVAL), (EditService(SERVICE), errno.ENOENT))
    assert found.servers == {server(1)}
    assert found.leave_it_standing
    assert len(found.errors) == 2


def test_a_refusal_of_anything_else_does_not_leave_it_standing() -> None:
    for other in (
        (SECOND, errno.ENOMEM),
        (EditDestination(WEB, destination(2)), errno.EINVAL),
        (EditService(SERVICE), errno.EINVAL),
    ):
        found = refused((FIRST, errno.EINVAL), other)
        assert not found.leave_it_standing, other
        assert found.servers == {server(1)}


def test_one_that_means_drift_is_enough() -> None:
    assert refused((FIRST, errno.EINVAL), (SECOND, errno.EEXIST)).are_drift
    assert not refused((FIRST, errno.EINVAL), (SECOND, errno.EINVAL)).are_drift


def test_what_was_accepted_is_no_refusal() -> None:
    results = [OperationResult(FIRST), OperationResult(SECOND, refusal(SECOND, errno.EINVAL))]
    assert RefusedOperations(results).servers == {server(2)}
