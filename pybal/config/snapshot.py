"""Which configuration runs, as it is shown. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class ReloadOutcome(Enum):
    """What became of a reading of pybal.conf; the values are what is shown."""

    APPLIED = "applied"
    REFUSED = "refused"
    """Nothing was changed."""
    IN_PART = "applied in part"
    """Going over to it failed: what was done before that stays done."""
    CUT_SHORT = "cut short"
    """PyBal stops. The next start reads the file."""


class ReloadSnapshot(NamedTuple):
    """A reading of pybal.conf at `at` (Unix seconds): what was wrong with it, and what was done or,
    if that failed, was to be done. `warnings` are those of a file that was gone over to."""

    at: float
    outcome: ReloadOutcome
    errors: tuple[str, ...]
    steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def successful(self) -> bool:
        """Whether all of it is in force."""
        return self.outcome is ReloadOutcome.APPLIED


class ConfigSnapshot(NamedTuple):
    """Which configuration runs; all times are Unix seconds, 0 is never. `is_last_good`: the file
    had errors at the start. `needs_restart`: keys whose new values wait for that. `differs_since`:
    since when the file on disk has been another one; None: it is what runs. `in_part`: the errors
    of a reload that failed amid its steps, while none has been carried out since."""

    path: str
    sha256: str
    modified_at: float | None
    loaded_at: float
    is_last_good: bool
    needs_restart: tuple[str, ...]
    differs_since: float | None
    last_reload: ReloadSnapshot | None
    last_success_at: float
    last_error_at: float
    in_part: tuple[str, ...] = ()
