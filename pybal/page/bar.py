"""A service's servers as a bar. Pure."""

from __future__ import annotations

from pybal.page.html import Markup, element
from pybal.page.tally import Care, Tally
from pybal.page.words import count_of, plain

_CLASSES = {
    Care.SERVES: "serves",
    Care.UNPROVEN: "unproven",
    Care.HELD: "held",
    Care.DRAINED: "idle",
    Care.IDLE: "idle",
    Care.DISABLED: "off",
    Care.WAITING: "waiting",
    Care.DOWN: "down",
}
"""From left to right."""
_WIDTH, _HEIGHT = 200, 10
_TICK = 2
_LEAST = 3
"""One server of hundreds is to be seen, too."""


def bar(counts: Tally) -> Markup:
    """Its words are for screen readers; beside it stands what they say, in short."""
    parts = [(care, number) for care in _CLASSES if (number := counts.count(care))]
    rects, x = [], 0.0
    widths = _widths([number for _, number in parts])
    for (care, _), width in zip(parts, widths, strict=True):
        rects.append(_rect(x, width, _CLASSES[care]))
        x += width
    if not parts:
        rects.append(_rect(0, _WIDTH, "nobody"))
    elif 0 < counts.required <= counts.servers:
        at = float(counts.required) / counts.servers * _WIDTH
        rects.append(_rect(min(at, _WIDTH - _TICK), _TICK, "threshold"))
    return element(
        "svg",
        *rects,
        class_="bar",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=in_words(counts),
    )


def in_words(counts: Tally) -> str:
    """`7 servers: 6 serve, 1 down; at least 3.5 stay pooled`."""
    if not counts.servers:
        return "no servers"
    cares = ", ".join(care.said_of(number) for care, number in reversed(counts.cares))
    kept = plain(float(counts.required))
    return f"{count_of(counts.servers, 'server')}: {cares}; at least {kept} stay pooled"


def _widths(numbers: list[int]) -> list[float]:
    total = sum(numbers)
    wanted = [max(_LEAST, number / total * _WIDTH) for number in numbers]
    over = sum(wanted) - _WIDTH
    largest = max(range(len(wanted)), key=wanted.__getitem__, default=0)
    return [width - over if n == largest else width for n, width in enumerate(wanted)]


def _rect(x: float, width: float, class_: str) -> Markup:
    return element("rect", x=f"{x:.1f}", y=0, width=f"{width:.1f}", height=_HEIGHT, class_=class_)
