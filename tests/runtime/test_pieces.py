"""Long work in pieces: where it pauses, and that all of it is done."""

from __future__ import annotations

import pytest

from pybal.runtime.pieces import PIECE, Pieces, between, in_one_go, piecewise


def pauses(pieces: Pieces[None]) -> int:
    return sum(1 for _ in pieces)


@pytest.mark.parametrize(
    ("items", "parts"), [(0, []), (1, [1]), (PIECE, [PIECE]), (2 * PIECE + 1, [PIECE, PIECE, 1])]
)
def test_all_items_are_worked_on_with_a_pause_between_two_pieces(
    items: int, parts: list[int]
) -> None:
    worked: list[list[int]] = []
    assert pauses(piecewise(worked.append, range(items))) == max(0, len(parts) - 1)
    assert [len(part) for part in worked] == parts
    assert [each for part in worked for each in part] == list(range(items))


def test_what_follows_on_many_has_a_piece_to_itself() -> None:
    assert [pauses(between(range(number))) for number in (0, PIECE, PIECE + 1)] == [0, 0, 1]


def test_in_one_go_it_comes_to_the_same() -> None:
    def work() -> Pieces[int]:
        yield
        yield
        return 3

    assert in_one_go(work()) == 3
