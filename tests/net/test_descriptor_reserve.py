"""Descriptors that are kept back: what is lent, what is taken back, what is held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybal.net.descriptor_reserve import DescriptorReserve


@pytest.fixture
def reserve() -> Iterator[DescriptorReserve]:
    made = DescriptorReserve(3)
    yield made
    made.close()


def in_use() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_holds_as_many_as_it_is_to() -> None:
    before = in_use()
    reserve = DescriptorReserve(3)
    assert (in_use() - before, reserve.is_full) == (3, True)
    reserve.close()
    assert in_use() == before


def test_what_is_lent_is_free_for_others(reserve: DescriptorReserve) -> None:
    full = in_use()
    assert reserve.lend(2)
    assert (full - in_use(), reserve.is_full) == (2, False)


def test_of_too_few_none_is_lent(reserve: DescriptorReserve) -> None:
    assert reserve.lend(1)
    left = in_use()
    assert not reserve.lend(3)
    assert in_use() == left
    assert reserve.lend(2), "all that are left may go"
    assert left - in_use() == 2


def test_what_was_lent_is_taken_back(reserve: DescriptorReserve) -> None:
    full = in_use()
    reserve.lend(3)
    reserve.refill()
    assert (in_use(), reserve.is_full) == (full, True)
    reserve.refill()
    assert in_use() == full, "and no more than that"


def test_without_any_to_be_had_it_takes_those_that_there_are(
    reserve: DescriptorReserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve.lend(3)
    open_, left = os.open, [1]

    def limited(path: str, flags: int) -> int:
        if not left:
            raise OSError(24, "Too many open files")
        left.pop()
        return open_(path, flags)

    monkeypatch.setattr("pybal.net.descriptor_reserve.os.open", limited)
    reserve.refill()
    assert not reserve.is_full
    assert not reserve.lend(2)
    assert reserve.lend(1)


def test_once_closed_it_takes_none_back() -> None:
    before = in_use()
    reserve = DescriptorReserve(3)
    reserve.close()
    reserve.refill()
    assert in_use() == before
    assert not reserve.lend(1)
