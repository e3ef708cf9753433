"""How many examples a property tries."""

from __future__ import annotations

from hypothesis import settings


def examples(share: float) -> int:
    """A share of those that the profile in force has, for a property of which few say little, or
    each takes long: `@settings(max_examples=examples(1.5))`."""
    return round(settings().max_examples * share)
