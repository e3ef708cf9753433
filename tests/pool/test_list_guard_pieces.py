"""To decide on a long list takes many pieces; none looks at all servers again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from pybal.model import ServerSpec
from pybal.pool.arrivals import Evidence
from pybal.pool.list_guard import GuardRules, ListGuard, new_guard, take_list
from pybal.runtime import pieces as in_pieces
from pybal.runtime.pieces import in_one_go
from tests.pool.list_story import DOWN, HALF, UP, WINDOW_S

PIECE = 50
LENGTH = 20 * PIECE


class Host(str):
    """A name that counts how often any is looked up."""

    __slots__ = ()
    looks: ClassVar[list[int]] = [0]

    def __hash__(self) -> int:
        self.looks[0] += 1
        return super().__hash__()


SERVERS = [ServerSpec(Host(f"h{n}")) for n in range(LENGTH)]


def looks_by_piece(
    guard: ListGuard, servers: Sequence[ServerSpec], known: Evidence, at: float
) -> list[int]:
    evidence = dict.fromkeys((spec.host for spec in SERVERS), known)
    pieces = take_list(guard, servers, evidence, at)
    looks: list[int] = []
    while True:
        Host.looks[0] = 0
        try:
            next(pieces)
        except StopIteration:
            return [*looks, Host.looks[0]]
        looks.append(Host.looks[0])


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_pieces, "PIECE", PIECE)


def in_force(known: Evidence) -> ListGuard:
    evidence = dict.fromkeys((spec.host for spec in SERVERS), known)
    return in_one_go(
        take_list(new_guard(GuardRules(HALF, WINDOW_S, None)), SERVERS, evidence, 0.0)
    )[0]


@pytest.mark.parametrize("known", [UP, Evidence.TAKEN_FOR_UP, DOWN])
@pytest.mark.parametrize(
    "servers", [SERVERS[::-1], SERVERS[: LENGTH * 3 // 4]], ids=["another order", "a quarter goes"]
)
def test_no_piece_looks_at_all_servers_again_and_again(
    servers: Sequence[ServerSpec], known: Evidence
) -> None:
    first, *others = looks_by_piece(in_force(known), servers, known, 1.0)
    assert len(others) > 5 * len(servers) / PIECE
    assert first < len(servers) + 5 * PIECE, "a list becomes a mapping"
    assert max(others) < 2.5 * LENGTH, "and what goes is looked at as a whole"
