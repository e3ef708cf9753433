"""How much history is kept on the disk. Pure."""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86400.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """Events older than `retention_s` go, and the oldest ones once all take more than `size_bytes`.
    If either is 0 there is no history on the disk, only that in memory."""

    retention_s: float = 30 * DAY_S
    size_bytes: int = 256 * MIB

    @property
    def on_disk(self) -> bool:
        """Whether there is any."""
        return self.retention_s > 0 and self.size_bytes > 0
