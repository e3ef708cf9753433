"""Sessions of BGP that nobody keeps for the next process."""

from __future__ import annotations

from typing import Any

from pybal.bgp.takeover import SessionKeeper


def no_keeper(log: Any) -> SessionKeeper:
    """One that keeps nothing."""
    return SessionKeeper(None, {}, log, wanted=False)
