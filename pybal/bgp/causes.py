"""Why there is no session with a peer. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

_REMEMBERED = 20


class Weight(IntEnum):
    """How much a failure tells."""

    LOST = 0  # a connection ended, without a word why
    UNREACHED = 1  # none came about
    SAID = 2  # one side said, or a timer, what was wrong


@dataclass(frozen=True, slots=True)
class Failure:
    """`at` in Unix seconds."""

    text: str
    weight: Weight
    at: float


@dataclass(slots=True)
class Causes:
    """What went wrong since the last session. The cause is the last failure that tells at least
    as much as all before it: a refused connection must not hide why the session before it ended."""

    cause: Failure | None = None
    since: Failure | None = None
    _said: set[str] = field(default_factory=set)
    _over: bool = False

    def note(self, failure: Failure) -> bool:
        """Whether it is news: the first of its kind since the last session."""
        if self._over:
            self.cause = self.since = None
            self._said.clear()
            self._over = False
        if self.cause is None or failure.weight >= self.cause.weight:
            self.cause, self.since = failure, None
        elif failure.weight > Weight.LOST:
            self.since = failure
        else:
            return False
        if failure.text in self._said:
            return False
        if len(self._said) < _REMEMBERED:
            self._said.add(failure.text)
        return True

    def established(self) -> None:
        """A session came up: what was is history, shown until something else goes wrong."""
        self._over = True

    @property
    def text(self) -> str | None:
        """What went wrong, in words; None: nothing has."""
        if self.cause is None:
            return None
        if self.since is None:
            return self.cause.text
        return f"{self.cause.text}; since then {self.since.text}"

    @property
    def at(self) -> float | None:
        """When that was, in Unix seconds."""
        return self.cause.at if self.cause is not None else None
