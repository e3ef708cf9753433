"""Descriptors that are kept back: what is lent, what is taken back, what is held."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from pybal.net.descriptor_reserve import DescriptorReserve


@pytest.fixture
def reserve() -> Iterator[DescriptorReserve]:
    made = DescriptorReserve(3)
    yield made
    made.close()


def test_it_holds_as_many_as_it_is_to(descriptors: Callable[[], int]) -> None:
    before = descriptors()
    reserve = DescriptorReserve(3)
    assert (descriptors() - before, reserve.is_full) == (3, True)
    reserve.close()
    assert descriptors() == before


def test_what_is_lent_is_free_for_others(
    reserve: DescriptorReserve, descriptors: Callable[[], int]
) -> None:
    full = descriptors()
    assert reserve.lend(2)
    assert (full - descriptors(), reserve.is_full) == (2, False)


def test_of_too_few_none_is_lent(
    reserve: DescriptorReserve, descriptors: Callable[[], int]
) -> None:
    assert reserve.lend(1)
    left = descriptors()
    assert not reserve.lend(3)
    assert descriptors() == left
    assert reserve.lend(2), "all that are left may go"
    assert left - descriptors() == 2


def test_what_was_lent_is_taken_back(
    reserve: DescriptorReserve, descriptors: Callable[[], int]
) -> None:
    full = descriptors()
    reserve.lend(3)
    reserve.refill()
    assert (descriptors(), reserve.is_full) == (full, True)
    reserve.refill()
    assert descriptors() == full, "and no more than that"


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


def test_once_closed_it_takes_none_back(descriptors: Callable[[], int]) -> None:
    before = descriptors()
    reserve = DescriptorReserve(3)
    reserve.close()
    reserve.refill()
    assert descriptors() == before
    assert not reserve.lend(1)
