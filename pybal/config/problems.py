"""What is wrong with a pybal.conf, and where. Pure."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pybal.config.source_url import mask_url

if TYPE_CHECKING:
    from pybal.config.settings import Settings

MAX_PROBLEMS = 1000
_MAX_SHOWN = 120
_SECRET_KEY = re.compile(r"password|secret|token|\.(headers|send|payload)$", re.IGNORECASE)
_URL = re.compile(r"(k8s)?://[^\s'\"]*", re.IGNORECASE)


class Severity(enum.Enum):
    """An error refuses the file; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. `line` counts from 1; None means the file as a whole.

    `value` is the bad value as written, shortened and without secrets.
    """

    severity: Severity
    file: str
    line: int | None
    section: str | None
    key: str | None
    value: str | None
    message: str

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    def __str__(self) -> str:
        """`FILE:LINE: [SECTION] KEY = 'VALUE': MESSAGE`, always one line."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = [] if self.section is None else [f"[{self.section}]"]
        if self.key is not None:
            subject.append(self.key if self.value is None else f"{self.key} = {self.value!r}")
        parts = [where, " ".join(subject), self.message] if subject else [where, self.message]
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in ": ".join(parts)
        )


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A read pybal.conf: `settings` is None if and only if `problems`, which are in line
    order, hold an error."""

    file: str
    settings: Settings | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if not p.is_error)


class TooManyProblemsError(Exception):
    """The file is so wrong that looking further helps nobody. Never leaves pybal.config."""


class ProblemLog:
    """Gathers the problems of one file, masking secrets on the way in."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []

    def add(
        self,
        severity: Severity,
        message: str,
        *,
        line: int | None = None,
        section: str | None = None,
        key: str | None = None,
        value: str | None = None,
    ) -> None:
        """Note a problem; raises TooManyProblemsError at the limit."""
        shown = None if value is None else _shortened(mask_value(key or "", value))
        self._problems.append(
            Problem(severity, self._file, line, section, key, shown, _shortened(message, 4))
        )
        if len(self._problems) >= MAX_PROBLEMS:
            raise TooManyProblemsError

    def close(self) -> None:
        """Say that there may be more than has been noted."""
        message = f"more than {MAX_PROBLEMS} problems: the rest is not shown"
        error = Problem(Severity.ERROR, self._file, None, None, None, None, message)
        self._problems.append(error)

    def result(self, settings: Settings | None) -> LoadResult:
        """What has been noted, and the settings if nothing of it is an error."""
        problems = tuple(sorted(self._problems, key=lambda p: p.line or 0))
        refused = any(problem.is_error for problem in problems)
        return LoadResult(self._file, None if refused else settings, problems)


def mask_value(key: str, value: str) -> str:
    """The value of a key without what may be a secret in it."""
    if _SECRET_KEY.search(key):
        return "***"
    if key == "config":
        return mask_url(value)
    return _URL.sub(_without_credentials, value)


def _without_credentials(match: re.Match[str]) -> str:
    _, at, rest = match[0].rpartition("@")
    if match[1]:
        return f"k8s://***{at}{rest}" if at else "k8s://***"
    return f"://***@{rest}" if at else match[0]


def _shortened(text: str, times: int = 1) -> str:
    limit = _MAX_SHOWN * times
    return text if len(text) <= limit else text[: limit - 1] + "…"
