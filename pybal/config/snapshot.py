"""Which configuration runs, as it is shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReloadSnapshot:
    """A reading of pybal.conf at `at` (Unix seconds): what was wrong with it, or what was done."""

    at: float
    successful: bool
    errors: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigSnapshot:
    """Which configuration runs; all times are Unix seconds, 0 is never. `is_last_good`: the file
    had errors at the start. `needs_restart`: keys whose new values wait for that. `differs_since`:
    since when the file on disk has been another one; None: it is what runs."""

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
