"""What a check says: a state, one line, and numbers to plot. Pure.

After the Monitoring Plugins Development Guidelines: the exit status is the state, the line begins
with its name, and `|` parts the text from the performance data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pybal.runtime.naming import shortened

_MAX_TEXT = 3000
"""NRPE 2 carries 1 KiB, NRPE 3 some KiB; what matters stands first."""


class State(IntEnum):
    """The exit statuses."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Result:
    """A state and why; `numbers` are performance data."""

    state: State
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """The line to print."""
        text = shortened(" ".join(self.text.replace("|", "/").split()), _MAX_TEXT)
        data = " ".join(f"{name}={value:g}" for name, value in self.numbers.items())
        begun = f"{self.state.name}: {text}"
        return f"{begun} | {data}" if data else begun
