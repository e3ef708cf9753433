"""A service's servers as a bar: what fills it, and where the threshold stands."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from pybal.model import ServerSnapshot
from pybal.page.bar import bar
from pybal.page.tally import tally
from tests.fakes.view import server, service

Rect = tuple[str, float, float]


def rects(servers: Sequence[ServerSnapshot], threshold: str = "0") -> list[Rect]:
    """Class, left and width of what is drawn; the bar is 200 wide."""
    counts, _ = tally(service("s", servers, threshold=threshold))
    drawn = bar(counts)
    assert 'viewBox="0 0 200 10"' in drawn
    found = re.findall(
        r'<rect x="([\d.]+)" y="0" width="([\d.]+)" height="10" class="(\w+)">', drawn
    )
    assert len(found) == drawn.count("<rect")
    return [(class_, float(x), float(width)) for x, width, class_ in found]


def servers(up: int = 0, down: int = 0, disabled: int = 0) -> list[ServerSnapshot]:
    return [
        *(server(f"u{n}") for n in range(up)),
        *(server(f"d{n}", up=False) for n in range(down)),
        *(server(f"x{n}", enabled=False) for n in range(disabled)),
    ]


@pytest.mark.parametrize(
    ("found", "drawn"),
    [
        ([], [("nobody", 0, 200)]),
        (servers(up=3), [("serves", 0, 200)]),
        (servers(down=1), [("down", 0, 200)]),
        (servers(up=3, down=1), [("serves", 0, 150), ("down", 150, 50)]),
        (
            servers(up=5, disabled=3, down=2),
            [("serves", 0, 100), ("off", 100, 60), ("down", 160, 40)],
        ),
        # One of hundreds is to be seen, and the bar is no wider for it.
        (servers(up=399, down=1), [("serves", 0, 197), ("down", 197, 3)]),
        (servers(down=399, up=1), [("serves", 0, 3), ("down", 3, 197)]),
    ],
    ids=lambda value: "",
)
def test_the_bar_is_filled_in_proportion(found: list[ServerSnapshot], drawn: list[Rect]) -> None:
    assert rects(found) == drawn


@pytest.mark.parametrize(("threshold", "at"), [("0", None), ("1/4", 50), ("1/2", 100), ("1", 198)])
def test_a_tick_says_how_many_must_stay(threshold: str, at: float | None) -> None:
    ticks = [rect for rect in rects(servers(up=4), threshold) if rect[0] == "threshold"]
    assert ticks == ([] if at is None else [("threshold", at, 2)])


def test_the_bar_has_words_for_those_who_do_not_see_it() -> None:
    def words(found: list[ServerSnapshot], threshold: str) -> str:
        counts, _ = tally(service("s", found, threshold=threshold))
        return bar(counts).partition('aria-label="')[2].partition('"')[0]

    assert words([], "1/2") == "no servers"
    assert words(servers(up=1), "1/2") == "1 server: 1 serves; at least 0.5 stay pooled"
    assert words(servers(up=6, down=1), "1/2") == (
        "7 servers: 6 serve, 1 down; at least 3.5 stay pooled"
    )
