"""Reads one section key by key, noting what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pybal.config.bad_value import BadValueError, quotes_hint
from pybal.config.foreign_words import instead_of
from pybal.config.ini import Section
from pybal.config.kinds import Kind, is_blank
from pybal.config.problems import ProblemLog, Severity

T = TypeVar("T")


class SectionReader:
    """One section under reading. Keys that nobody asked for are the unknown ones."""

    def __init__(
        self, section: Section, log: ProblemLog, elsewhere: Mapping[str, str] | None = None
    ) -> None:
        """`elsewhere`: where keys belong that are known in other sections."""
        self.name = section.name
        self.line = section.line
        self._section = section
        self._log = log
        self._elsewhere = elsewhere or {}
        self.asked: set[str] = set()
        """The keys that are known: somebody asked for them."""
        self._bad: set[str] = set()

    def get(self, key: str, kind: Kind[T], default: T, *, alias: str | None = None) -> T:
        """The value of a key; the default if it is not set or bad (a noted error)."""
        key = self._spelling(key, alias)
        entry = self._section.entries.get(key)
        if entry is None or is_blank(entry.text):
            return default
        try:
            return kind.parse(entry.text)
        except BadValueError as bad:
            details = dict.fromkeys(each for each in (str(bad), quotes_hint(entry.text)) if each)
            self.error(key, "; ".join((f"must be {bad.wanted or kind.wanted}", *details)))
            return default

    def require(self, key: str, kind: Kind[T]) -> T | None:
        """The value of a key; None if it is not set or bad, either a noted error."""
        if not self.is_set(key):
            self.missing(key, f"must be {kind.wanted}")
        return self.get(key, kind, None)

    def text(self, key: str) -> str:
        """What is written as the value of a key; nothing if it is not set."""
        entry = self._section.entries.get(key)
        return entry.text if entry is not None and not is_blank(entry.text) else ""

    def is_set(self, key: str) -> bool:
        """Whether the key has a value, be it good or bad."""
        return self.text(key) != ""

    def is_empty(self, key: str) -> bool:
        """Whether the key is there with nothing after it."""
        entry = self._section.entries.get(key)
        return entry is not None and entry.text == ""

    def is_bad(self, key: str) -> bool:
        """Whether an error was noted of the key."""
        return key in self._bad

    @property
    def has_errors(self) -> bool:
        """Whether an error was noted of any key, or of the section."""
        return bool(self._bad)

    def error(self, key: str, message: str) -> None:
        """Note what is wrong with a key, which may be absent."""
        self._bad.add(key)
        self._note(Severity.ERROR, key, message)

    def error_of_section(self, message: str) -> None:
        """Note what is wrong with the section as such."""
        self._bad.add("")
        self._log.add(Severity.ERROR, message, line=self.line, section=self.name)

    def missing(self, key: str, message: str) -> None:
        """Note that a key is not set; `message` says why it has to be."""
        self.error(key, f"not set; {message}")

    def warn(self, key: str, message: str) -> None:
        """Note what may be a mistake."""
        self._note(Severity.WARNING, key, message)

    def remark(self, key: str, message: str) -> None:
        """Note what is right, and may still surprise."""
        self._note(Severity.NOTE, key, message)

    def written_keys(self) -> tuple[str, ...]:
        """The keys of the section itself, without what it inherits."""
        return tuple(key for key, e in self._section.entries.items() if not e.inherited)

    def line_of(self, key: str) -> int:
        """Where the key is, or else the section."""
        entry = self._section.entries.get(key)
        return self.line if entry is None else entry.line

    def know(self, key: str) -> None:
        """Take a key as known though its value is not asked for."""
        self.asked.add(key)

    def ignore(self, key: str, why: str, *, slip: bool = False) -> None:
        """Warn of a key that is known but has no effect."""
        self.know(key)
        self._log.add(
            Severity.WARNING, why, line=self.line_of(key), section=self.name, key=key, slip=slip
        )

    def warn_of_no_effect(self, keys: Iterable[str], because: str) -> None:
        """Of those that stand in the section itself: of one for all sections others make use."""
        for key in self.written_keys():
            if key in keys:
                self.warn(key, f"has no effect: {because}")

    def warn_of_unknown(self, also_known: Iterable[str] = ()) -> None:
        """To be called when all keys have been asked for."""
        unknown = [key for key in self.written_keys() if key not in self.asked]
        known = frozenset(self.asked.union(also_known)) if unknown else frozenset[str]()
        for key in unknown:
            if key in self._elsewhere:
                self.ignore(key, f"unknown key here, ignored; belongs in {self._elsewhere[key]}")
                continue
            instead = instead_of(key)
            meant = "" if instead else self._log.suggestions.of(key, known)
            hint = instead or meant
            why = f"unknown key, ignored; {hint}" if hint else "unknown key, ignored"
            self.ignore(key, why, slip=bool(meant))

    def _spelling(self, key: str, alias: str | None) -> str:
        """Which of its two spellings a key is written in."""
        self.asked.add(key)
        if alias is None:
            return key
        self.asked.add(alias)
        entries = self._section.entries
        if key in entries and alias in entries:
            if entries[key].inherited is not entries[alias].inherited:
                return alias if entries[key].inherited else key
            self.error(alias, f"the same as {key} in line {entries[key].line}; set only one")
        return alias if alias in entries and key not in entries else key

    def _note(self, severity: Severity, key: str, message: str) -> None:
        entry = self._section.entries.get(key)
        blank = entry is None or is_blank(entry.text)
        self._log.add(
            severity,
            message,
            line=self.line_of(key),
            section=self.name,
            key=key,
            value=None if entry is None or blank else entry.text,
        )
