"""What a pool list takes away and what stays all the same, as it is shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldChange:
    """Servers that a pool list has taken away `since` then and that stay: `waiting` for others to
    work, or held, as without them `left` would work and `required` must. Others were `taken` (host,
    when) within `window_s`."""

    servers: tuple[str, ...]
    since: float
    waiting: bool
    left: int
    required: int
    taken: tuple[tuple[str, float], ...]
    window_s: float
