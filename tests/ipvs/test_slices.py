"""Long work, a piece at a time."""

from __future__ import annotations

import pytest

from pybal.ipvs.slices import SlicedWork, Slices
from pybal.runtime.pieces import in_one_go


def work() -> Slices[str]:
    yield 3
    yield 2
    yield 4
    return "done"


def test_a_turn_does_pieces_until_they_make_what_it_may() -> None:
    sliced = SlicedWork(work())
    assert (sliced.go_on(5), sliced.done) == (5, False)
    assert (sliced.go_on(1), sliced.done) == (4, False)
    assert (sliced.go_on(1), sliced.done, sliced.result) == (0, True, "done")


def test_all_of_it_at_once() -> None:
    assert in_one_go(work()) == "done"


def test_what_the_work_raises_is_raised_and_ends_it() -> None:
    def broken() -> Slices[None]:
        yield 1
        raise ZeroDivisionError

    sliced = SlicedWork(broken())
    sliced.go_on(1)
    with pytest.raises(ZeroDivisionError):
        sliced.go_on(1)
    assert sliced.go_on(1) == 0
