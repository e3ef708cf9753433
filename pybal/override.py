"""What an operator wants of one server for a time, whatever its pool list says. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_DURATION_S = 7 * 86400.0
"""Nothing that an operator says for a time lasts longer."""


class Action(enum.Enum):
    """What becomes of the server; the value is the word for it on the command line."""

    DRAIN = "drain"
    """It gets no new connections (weight 0); those that it has stay."""
    DISABLE = "disable"
    """It is not pooled."""
    ENABLE = "enable"
    """It is pooled as if its list enabled it."""

    @property
    def takes_away(self) -> bool:
        """Whether the server gets no new connections by it."""
        return self is not Action.ENABLE


_DONE = {Action.DRAIN: "drained", Action.DISABLE: "disabled", Action.ENABLE: "enabled"}


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's word about `host` in `service`: `by` whom, why, from when until when (Unix
    seconds). With `force` the depool threshold does not stand against it."""

    service: str
    host: str
    action: Action
    by: str
    reason: str
    since: float
    until: float
    force: bool = False

    @property
    def takes_away(self) -> bool:
        """Whether the server gets no new connections by it."""
        return self.action.takes_away

    @property
    def text(self) -> str:
        """`drained by alice until 15:00 UTC: new kernel`."""
        done, until = _DONE[self.action], until_text(self.since, self.until)
        return f"{done} by {self.by} until {until}: {self.reason}"


Overrides = Mapping[str, Override]
"""Those of one service, by host."""


@dataclass(frozen=True, slots=True)
class LaidOver:
    """An override together with what the list says of the server. `suspended`: why it is not in
    effect now; empty if it is."""

    override: Override
    listed_weight: int
    listed_enabled: bool
    suspended: str = ""

    @property
    def takes_out(self) -> bool:
        """Whether the server gets no new connections by it now."""
        return self.override.takes_away and not self.suspended

    @property
    def drains(self) -> bool:
        """Whether the server is kept without new connections."""
        return self.takes_out and self.override.action is Action.DRAIN

    @property
    def text(self) -> str:
        """What there is, in words."""
        if not self.suspended:
            return self.override.text
        return f"not {self.override.text} (suspended: {self.suspended})"


def until_text(since: float, until: float) -> str:
    """The end, in UTC; with its date if that is another day's."""
    begin, end = datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)
    return f"{end:%H:%M} UTC" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M} UTC"
