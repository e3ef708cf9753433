"""What is wrong with a pybal.conf, and where. Pure."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybal.config.bad_value import Suggestions
from pybal.config.source_url import mask_url
from pybal.errors import PyBalError
from pybal.net.url_text import without_likely_secrets
from pybal.runtime.naming import counted, printable, shortened

if TYPE_CHECKING:
    from pybal.config.settings import Settings

MAX_PROBLEMS = 1000
"""So many errors, and so many warnings, are kept."""
_MAX_SHOWN = 120
# Misspelt keys, and those of other programs, hold secrets, too.
_SECRETS = "pas+w|pa?s+wor|_pass|pwd|secret|token|credential"
_SECRET_KEY = re.compile(rf"{_SECRETS}|\.(headers|send|payload)$", re.IGNORECASE)
_SECRET_WORD = re.compile(rf"(?:{_SECRETS}|headers|send|payload)\S*\s", re.IGNORECASE)
_ARGUMENTS_KEY = re.compile(r"\.arguments$", re.IGNORECASE)
_LIKELY_SECRET = re.compile(r"auth|pass|secret|token|cookie|login|key", re.IGNORECASE)
_URL = re.compile(r"(k8s)?://[^\s'\"]*", re.IGNORECASE)


class Severity(enum.Enum):
    """An error refuses the file; a warning does not, unless that is wanted. A note is right, and
    may still surprise: only who checks the file is told."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. `line` counts from 1; None means the file as a whole.

    `value` is the bad value as written, shortened and without secrets. A `slip` is a word that was
    most likely meant to be another one, which the message names.
    """

    severity: Severity
    file: str
    line: int | None
    section: str | None
    key: str | None
    value: str | None
    message: str
    slip: bool = False

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
        return printable(": ".join(parts))


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A read pybal.conf: `settings` is None if and only if `problems`, which are in line
    order, hold an error.

    `content` is what was read, last changed at `modified_at` (Unix seconds); both are empty if it
    could not be read. `state_directory` and `strict` are what a file with errors says of them, as
    far as that can be known: they decide what is done about the errors.
    """

    file: str
    settings: Settings | None
    problems: tuple[Problem, ...]
    content: bytes = b""
    modified_at: float | None = None
    state_directory: Path | None = None
    strict: bool = False
    known: Any = field(default=None, repr=False, compare=False)
    """For the next reading of the file: see known_sections.py."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity is Severity.WARNING)

    @property
    def refusal(self) -> tuple[str, ...]:
        """Why the file cannot be used: the errors, and the slips of the sections that have some, as
        of a key that is not set they are the remedy."""
        sections = {problem.section for problem in self.errors}
        slips = [each for each in self.warnings if each.slip and each.section in sections]
        return tuple(str(problem) for problem in (*self.errors, *slips))

    @property
    def notes(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity is Severity.NOTE)


class TooManyProblemsError(PyBalError):
    """The file is so wrong that looking further helps nobody. Never leaves pybal.config."""


class ProblemLog:
    """Gathers the problems of one file, masking secrets on the way in."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: dict[tuple[Severity, int | None, str | None, str], Problem] = {}
        self._counts = dict.fromkeys(Severity, 0)
        self.suggestions = Suggestions()

    def add(
        self,
        severity: Severity,
        message: str,
        *,
        line: int | None = None,
        section: str | None = None,
        key: str | None = None,
        value: str | None = None,
        slip: bool = False,
    ) -> None:
        """Note a problem, once for all sections that inherit its line. Raises
        TooManyProblemsError after too many errors; of too many warnings the rest is counted."""
        identity = severity, line, key, message
        if identity in self._problems:
            return
        self._counts[severity] += 1
        if self._counts[severity] <= MAX_PROBLEMS:
            shown = None if value is None else shortened(mask_value(key or "", value), _MAX_SHOWN)
            self._problems[identity] = Problem(
                severity,
                self._file,
                line,
                section,
                _safe_key(key),
                shown,
                shortened(message, 4 * _MAX_SHOWN),
                slip,
            )
        if self._counts[Severity.ERROR] >= MAX_PROBLEMS:
            raise TooManyProblemsError

    @property
    def noted(self) -> int:
        """How many problems there are by now."""
        return sum(self._counts.values())

    def close(self) -> None:
        """Say that there may be more errors than have been noted."""
        self._of_file(Severity.ERROR, f"more than {MAX_PROBLEMS} problems: the rest is not shown")

    def result(self, settings: Settings | None) -> LoadResult:
        """What has been noted, and the settings if nothing of it is an error."""
        more = self._counts[Severity.WARNING] - MAX_PROBLEMS
        if more > 0:
            which = f"which {'is' if more == 1 else 'are'} not shown"
            self._of_file(Severity.WARNING, f"{counted(more, 'more warning')}, {which}")
        problems = tuple(sorted(self._problems.values(), key=lambda p: p.line or 0))
        refused = any(problem.is_error for problem in problems)
        return LoadResult(self._file, None if refused else settings, problems)

    def _of_file(self, severity: Severity, message: str) -> None:
        problem = Problem(severity, self._file, None, None, None, None, message)
        self._problems[severity, None, None, message] = problem


def _safe_key(key: str | None) -> str | None:
    """`bgp-password hunter2=…` is a key with a blank, and holds a secret."""
    if key is not None and _SECRET_WORD.search(key):
        return key.split(maxsplit=1)[0] if key.split() else key
    return key


def mask_value(key: str, value: str) -> str:
    """The value of a key without what may be a secret in it."""
    if _SECRET_KEY.search(key):
        return "***"
    if _ARGUMENTS_KEY.search(key) and _LIKELY_SECRET.search(value):
        return "***"
    if key == "config":
        return mask_url(value)
    return _URL.sub(_without_credentials, value)


_COMMENT = re.compile(r"^\s*[#;]+")
_KEY_LINE = re.compile(r"^(\s*)([^\s=:#;\[][^=:]*?)(\s*[=:]\s*)(.*)$")


def masked_text(text: str) -> str:
    """A whole pybal.conf without what may be a secret in it: for people to read. A value over
    several lines is masked as a whole; so are a command's arguments, which may be anything."""
    lines, hiding = [], False
    for line in text.splitlines():
        if hiding and line[:1].isspace():
            continue
        comment = _COMMENT.match(line)
        mark = "" if comment is None else comment[0]
        match = _KEY_LINE.match(line[len(mark) :])
        shown = "" if match is None else _shown_value(match[2], match[4])
        if match is not None and (shown == "***" or match[2] == "config"):
            lines.append(f"{mark}{match[1]}{match[2]}{match[3]}{shown}")
        else:  # The colon of a URL, in a list over several lines, is not one after a key.
            lines.append(_URL.sub(_without_credentials, line))
        # A comment, or an empty line, may stand within a value.
        if line.strip() and not mark:
            hiding = shown == "***"
    return "\n".join(lines) + "\n"


def _shown_value(key: str, value: str) -> str:
    return "***" if _ARGUMENTS_KEY.search(key) else mask_value(key, value)


def _without_credentials(match: re.Match[str]) -> str:
    _, at, rest = without_likely_secrets(match[0]).rpartition("@")
    if match[1]:
        return f"k8s://***{at}{rest}" if at else "k8s://***"
    return f"://***@{rest}" if at else rest
