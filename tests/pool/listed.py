"""Pool lists as tests have them: whole."""

from __future__ import annotations

from collections.abc import Iterable

from pybal.pool.member import Member
from pybal.pool.members import Members


def listed(before: Members, members: Iterable[Member]) -> Members:
    """What becomes of those before by a list of these and no others, in this order."""
    others = {each.spec.host: each for each in members}
    return before.arranged(list(others), others)
