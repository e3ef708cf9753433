"""The table in memory keeps the contract."""

from __future__ import annotations

import errno

import pytest

from pybal.ipvs.memory import MemoryKernel
from pybal.ipvs.model import Persistence, Service
from pybal.ipvs.operations import AddService
from pybal.runtime.pieces import in_one_go
from tests.ipvs.contract import KernelContract
from tests.ipvs.examples import WEB, WEB6, pool


@pytest.fixture
def kernel() -> MemoryKernel:
    return MemoryKernel(interfaces=["lo"])


@pytest.fixture
def forbidden() -> MemoryKernel:
    return MemoryKernel(permitted=False)


class TestMemoryKernel(KernelContract):
    """The contract."""


def test_a_server_that_nobody_has_counted_has_no_connections() -> None:
    found = in_one_go(MemoryKernel({WEB: pool(WEB, 1)}).counting(WEB))
    assert found is not None
    (server,) = found.destinations
    assert (server.active, server.inactive, server.persistent) == (0, 0, 0)


@pytest.mark.parametrize(
    ("length", "number"), [(0, errno.EINVAL), (1, None), (128, None), (129, errno.EINVAL)]
)
def test_a_prefix_of_ipv6_groups_by_1_to_128_bits(
    kernel: MemoryKernel, length: int, number: int | None
) -> None:
    (result,) = kernel.apply(
        [AddService(Service(WEB6, "wrr", persistence=Persistence(60, length)))]
    )
    assert (None if result.error is None else result.error.errno) == number
