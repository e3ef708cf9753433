"""list-floor, list-window and list-hold, of [global] or of a service. Pure."""

from __future__ import annotations

from pybal.config.kinds import SECONDS, SECONDS_OR_NEVER, THRESHOLD
from pybal.config.section import SectionReader
from pybal.config.settings import ListGuardSettings


def read_list_guard(reader: SectionReader, default: ListGuardSettings) -> ListGuardSettings:
    """What a section says; `default` is what counts where it says nothing."""
    return ListGuardSettings(
        floor=reader.get("list-floor", THRESHOLD, default.floor),
        window_s=reader.get("list-window", SECONDS, default.window_s),
        hold_s=reader.get("list-hold", SECONDS_OR_NEVER, default.hold_s),
    )
