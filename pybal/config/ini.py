"""INI text -> sections whose every entry knows its line. ConfigObj does the reading. Pure."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass

from configobj import ConfigObj, ConfigObjError, DuplicateError, NestingError
from configobj import Section as ConfigObjSection

MAX_NAME = 256
MAX_LINE = 65536
_LINE_FORMS = "must be 'key = value', '[section]' or '# comment'"
_FIRST_KEY = "\0"
_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1\s*(?:\#.*)?""")
_BEFORE_COMMENT = re.compile(r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'"#])*""")


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of a key, without comment and surrounding quotes, and where it begins."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """One `[name]` with its entries and its `[[sub-sections]]`."""

    name: str
    line: int
    entries: Mapping[str, Entry]
    subsections: Mapping[str, Section]


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that does not fit the format. Its value is left out: it may be a secret."""

    line: int
    message: str
    section: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A whole file. Entries after a faulty section header belong nowhere and are left out."""

    sections: tuple[Section, ...]
    faults: tuple[Fault, ...]


def read_ini(text: str) -> Document:
    """Read any text without NUL characters; never raises."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    overlong = [number for number, line in enumerate(lines, start=1) if _is_overlong(line)]
    bad_headers = {number for number in overlong if _looks_like_header(lines[number - 1])}
    for number in overlong:
        lines[number - 1] = ""
    root, errors = _read(lines)
    reader = _Reader(root, errors, bad_headers)
    faults = [Fault(number, "too long to be a section, a key or a value") for number in overlong]
    return Document(reader.sections(), (*faults, *reader.faults()))


def _is_overlong(line: str) -> bool:
    """ConfigObj's patterns take cubic time on long runs of blanks before the value."""
    start = line.lstrip()
    if start.startswith("#"):
        return False
    name = start if _looks_like_header(line) else start.partition("=")[0]
    return len(name) > MAX_NAME or len(line) > MAX_LINE


def _looks_like_header(line: str) -> bool:
    return line.lstrip().startswith("[")


def _read(lines: list[str]) -> tuple[ConfigObj, tuple[ConfigObjError, ...]]:
    """ConfigObj forgets line numbers, but keeps the comment before every key and section:
    so each line is given a comment that holds its number. What comes before the very first
    key is kept elsewhere: the first key is one of ours."""
    numbered = [f"{_FIRST_KEY}="]
    for number, line in enumerate(lines, start=1):
        numbered += (f"#{number}", line)
    try:
        root = ConfigObj(numbered, list_values=False, interpolation=False, _inspec=True)
    except ConfigObjError as error:
        return error.config, tuple(error.errors)
    return root, ()


class _Reader:
    """Takes a ConfigObj apart."""

    def __init__(
        self, root: ConfigObj, errors: tuple[ConfigObjError, ...], bad_headers: set[int]
    ) -> None:
        self._root = root
        self._errors = errors
        self._owners: dict[int, ConfigObjSection | None] = {
            _line(section, name): section[name]
            for section in _walk(root)
            for name in section.sections
        }
        bad_headers = bad_headers.union(_line_of(e) for e in errors if _is_header_error(e))
        self._owners |= dict.fromkeys(bad_headers)
        self._headers = sorted(self._owners)

    def sections(self) -> tuple[Section, ...]:
        return tuple(self._section(self._root, name) for name in self._root.sections)

    def _section(self, parent: ConfigObjSection, name: str) -> Section:
        section = parent[name]
        subsections = {sub: self._section(section, sub) for sub in section.sections}
        return Section(name, _line(parent, name), self._entries(section), subsections)

    def _entries(self, section: ConfigObjSection) -> dict[str, Entry]:
        entries = {key: Entry(_value(section[key]), _line(section, key)) for key in section.scalars}
        return {key: entry for key, entry in entries.items() if self._owner(entry.line) is section}

    def _owner(self, line: int) -> ConfigObjSection | None:
        """The section that a line belongs to; None after a bad header, where ConfigObj
        would give it to the section before that."""
        index = bisect(self._headers, line) - 1
        return self._owners[self._headers[index]] if index >= 0 else self._root

    def faults(self) -> tuple[Fault, ...]:
        homeless = {key: _line(self._root, key) for key in self._root.scalars if key != _FIRST_KEY}
        return (
            *(
                Fault(line, "stands before the first [section]", key=key)
                for key, line in homeless.items()
                if self._owner(line) is self._root
            ),
            *(
                self._fault(error)
                for error in self._errors
                if _is_header_error(error) or self._owner(_line_of(error)) is not None
            ),
        )

    def _fault(self, error: ConfigObjError) -> Fault:
        line = _line_of(error)
        if isinstance(error, NestingError):
            text = "the brackets must be [section], or [[sub-section]] within a section"
            return Fault(line, text)
        if not isinstance(error, DuplicateError):
            unclosed = "multiline" in error.msg
            text = "the closing triple quotes are missing" if unclosed else _LINE_FORMS
            return Fault(line, text)
        if _is_header_error(error):
            name = _unquoted(error.line.partition("#")[0].strip(" \t[]"))
            first = self._root.comments.get(name)
            where = f" in line {_line(self._root, name)}" if first else ""
            return Fault(line, f"this section is already defined{where}", section=name)
        owner = self._owner(line)
        key = _unquoted(error.line.partition("=")[0].strip())
        where = f" in line {_line(owner, key)}" if owner is not None and key in owner else ""
        section = None if owner is None else owner.name
        return Fault(line, f"this key is already set{where}", section=section, key=key)


def _walk(section: ConfigObjSection) -> list[ConfigObjSection]:
    found = [section]
    for current in found:
        found.extend(current[name] for name in current.sections)
    return found


def _line(section: ConfigObjSection, name: str) -> int:
    return int(section.comments[name][-1].removeprefix("#"))


def _line_of(error: ConfigObjError) -> int:
    """Every line follows its number, and one key precedes them all."""
    return int(error.line_number - 1) // 2


def _is_header_error(error: ConfigObjError) -> bool:
    if isinstance(error, DuplicateError):
        return "section" in error.msg
    return isinstance(error, NestingError) or _looks_like_header(error.line)


def _unquoted(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
    return name[1:-1] if quoted else name


def _value(raw: str) -> str:
    # A value in triple quotes runs over several lines, with their numbers between them.
    text = "\n".join(raw.split("\n")[::2]).strip()
    if text.startswith(("[", "(")):
        end = _BEFORE_COMMENT.match(text)
        cut = text[: end.end()] if end and text[end.end() :].startswith("#") else text
        return cut.rstrip()
    quoted = _QUOTED.fullmatch(text)
    return quoted[2].strip() if quoted else text.partition("#")[0].rstrip()
