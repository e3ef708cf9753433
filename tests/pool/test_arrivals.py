"""What is known of a server that a list brought, and when it stands in for others."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from pybal.model import ServerSpec
from pybal.pool.arrivals import Arrival, Standing, Use, noted, standing, use
from pybal.pool.members import Member


def member(
    *results: bool | None, ready: bool = True, up: bool = True, refused: bool = False
) -> Member:
    said = MappingProxyType({f"m{number}": each for number, each in enumerate(results)})
    return Member(ServerSpec("a"), ready, up, up, said, refused=refused)


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (member(True, ready=False), Standing.NO_ADDRESS),
        (member(False, ready=False), Standing.NO_ADDRESS),
        (member(True, False), Standing.DOWN),
        (member(None, False, up=False), Standing.DOWN),
        (member(True, refused=True), Standing.DOWN),
        (member(refused=True), Standing.DOWN),
        (member(None, up=False), Standing.TAKEN_FOR_DOWN),
        (member(True, None, up=False), Standing.TAKEN_FOR_DOWN),
        (member(None), Standing.TAKEN_FOR_UP),
        (member(True, None), Standing.TAKEN_FOR_UP),
        (member(True, True), Standing.UP),
        (member(), Standing.UP),
    ],
)
def test_what_the_policy_knows_of_a_server(one: Member, what: Standing) -> None:
    assert standing(one) is what


LATER = Arrival(at=100.0, first=False)
FIRST = Arrival(at=100.0, first=True)
ADDRESSED = Arrival(at=100.0, first=False, addressed_at=110.0)


@pytest.mark.parametrize(
    ("what", "arrival", "at", "good_for"),
    [
        (Standing.UP, LATER, 100.0, Use.WORKS),
        (Standing.DOWN, FIRST, 100.0, Use.NONE),
        # It has been seen to work before.
        (Standing.TAKEN_FOR_UP, None, 100.0, Use.WORKS),
        (Standing.TAKEN_FOR_DOWN, None, 100.0, Use.NONE),
        (Standing.NO_ADDRESS, None, 100.0, Use.NONE),
        (Standing.DOUBTED, None, 100.0, Use.NONE),
        # It has 30 s, from when it had an address.
        (Standing.TAKEN_FOR_UP, LATER, 129.9, Use.PENDING),
        (Standing.TAKEN_FOR_UP, LATER, 130.0, Use.WORKS),
        (Standing.TAKEN_FOR_DOWN, LATER, 129.9, Use.PENDING),
        (Standing.TAKEN_FOR_DOWN, LATER, 130.0, Use.NONE),
        (Standing.TAKEN_FOR_UP, ADDRESSED, 139.9, Use.PENDING),
        (Standing.TAKEN_FOR_UP, ADDRESSED, 140.0, Use.WORKS),
        # The first list brings nobody new.
        (Standing.TAKEN_FOR_UP, FIRST, 100.0, Use.WORKS),
        (Standing.TAKEN_FOR_DOWN, FIRST, 129.9, Use.PENDING),
        (Standing.NO_ADDRESS, FIRST, 130.0, Use.NONE),
    ],
)
def test_what_a_server_is_good_for(
    what: Standing, arrival: Arrival | None, at: float, good_for: Use
) -> None:
    assert use(what, arrival, at) is good_for


def test_the_time_counts_from_the_first_address_on() -> None:
    assert noted(Standing.NO_ADDRESS, LATER, 110.0) is LATER
    assert noted(Standing.TAKEN_FOR_UP, LATER, 110.0) == ADDRESSED
    assert noted(Standing.UP, ADDRESSED, 120.0) is ADDRESSED
    assert noted(Standing.NO_ADDRESS, ADDRESSED, 120.0) is ADDRESSED
