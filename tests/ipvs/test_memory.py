"""The table in memory keeps the contract."""

from __future__ import annotations

import pytest

from pybal.ipvs.memory import MemoryKernel
from tests.ipvs.contract import KernelContract


@pytest.fixture
def kernel() -> MemoryKernel:
    return MemoryKernel(interfaces=["lo"])


@pytest.fixture
def forbidden() -> MemoryKernel:
    return MemoryKernel(permitted=False)


class TestMemoryKernel(KernelContract):
    """The contract."""
