from __future__ import annotations

import gzip
from collections.abc import Iterable

import pytest

from pybal.instrumentation.shared import Pieces, SharedDocuments
from tests.fakes.deferreds import error_of, result_of
from tests.instrumentation.exchange import HeldTurns


class Rig:
    """Documents whose pieces a test sets, while the reactor is busy until it says otherwise."""

    def __init__(self) -> None:
        self.turns = HeldTurns()
        self.shared = SharedDocuments(self.turns)
        self.begun = 0
        self.pieces: Iterable[bytes] = [b"a", b"b"]

    async def begin(self) -> Iterable[bytes]:
        self.begun += 1
        return self.pieces


def test_those_who_ask_at_the_same_time_share_one_rendering() -> None:
    rig = Rig()
    many = [rig.shared.get("x", rig.begin) for _ in range(240)]
    other = rig.shared.get("y", rig.begin)
    assert rig.begun == 2
    assert not other.called
    rig.turns.release()
    assert result_of(many[0]) == (b"ab",)
    assert all(each.called for each in many)


def test_who_asks_afterwards_gets_a_new_one() -> None:
    rig = Rig()
    results: list[Pieces] = []
    for pieces in ([b"old"], [b"new"]):
        rig.pieces = pieces
        result = rig.shared.get("x", rig.begin)
        rig.turns.release()
        results.append(result_of(result))
    assert results == [(b"old",), (b"new",)]


def test_it_pauses_after_each_piece_and_puts_small_ones_together() -> None:
    rig = Rig()
    rig.pieces = [b"x" * 1000] * 100
    result = rig.shared.get("x", rig.begin)
    pauses = 0
    while rig.turns.waiting:
        pauses += 1
        rig.turns.waiting.pop(0).callback(None)
    assert pauses == 100
    assert [len(piece) for piece in result_of(result)] == [33_000, 33_000, 33_000, 1000]


@pytest.mark.parametrize("late", [True, False])
def test_a_failure_reaches_all_who_wait_and_the_next_starts_anew(late: bool) -> None:
    rig = Rig()

    def broken() -> Iterable[bytes]:
        yield b"a"
        raise ZeroDivisionError

    rig.pieces = broken() if late else None  # type: ignore[assignment]
    failing = [rig.shared.get("x", rig.begin) for _ in range(1 + late)]
    rig.turns.release()
    for deferred in failing:
        assert isinstance(error_of(deferred), (ZeroDivisionError, TypeError))
    rig.pieces = [b"well"]
    again = rig.shared.get("x", rig.begin)
    rig.turns.release()
    assert result_of(again) == (b"well",)


def test_an_empty_document_is_one_too() -> None:
    rig = Rig()
    rig.pieces = [b""]
    result = rig.shared.get("x", rig.begin)
    rig.turns.release()
    assert result_of(result) == ()


def test_the_same_document_is_compressed_once_and_another_is_not_taken_for_it() -> None:
    rig = Rig()
    first, second = (b"a" * 100_000, b"b" * 10), (b"a" * 100_000, b"c" * 10)
    results = [rig.shared.compressed(each) for each in (first, first, second)]
    assert len(rig.turns.waiting) == 2
    rig.turns.release()
    assert results[0].called
    for each, pieces in ((results[1], first), (results[2], second)):
        found: Pieces = result_of(each)
        compressed = b"".join(found)
        assert gzip.decompress(compressed) == b"".join(pieces)
        assert len(compressed) < 1000
