"""INI text -> sections whose every entry knows its line. ConfigObj does the parsing. Pure.

The format is that of hand-written files, as Python's configparser reads it: `key = value` or
`key: value`, keys in any case, comments after `#` or `;`, values that go on in lines which are
indented further, `[DEFAULT]` for what holds in every section; and no interpolation. Beyond that a
list goes on until its bracket is closed, a section may have `[[sub-sections]]`, a value may be
quoted, and a line that is indented further but looks like `key = value` is a key of its own.

ConfigObj alone reads less than that and forgets where things stand: `pybal.config.ini_lines` brings
the text to what it reads, and keeps the line numbers and the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from configobj import ConfigObj, ConfigObjError, NestingError
from configobj import Section as ConfigObjSection

from pybal.config.ini_lines import (
    BRACKETS,
    MAX_LINE,
    MAX_NAME,
    TOO_LONG,
    Line,
    key_mark,
    normal_lines,
    section_mark,
)
from pybal.runtime.naming import named

__all__ = ["DEFAULT", "MAX_LINE", "MAX_NAME", "Document", "Entry", "Fault", "Section", "read_ini"]

DEFAULT = "DEFAULT"
"""The section whose entries all others inherit."""

_FEW = 2
"""If more keys of a section are set twice, a header is missing more likely than they are wrong."""


class Entry(NamedTuple):
    """The value of a key, without comment and surrounding quotes, and where the key is. One that
    is `inherited` stands in [DEFAULT]."""

    text: str
    line: int
    inherited: bool = False


class Section(NamedTuple):
    """One `[name]` with its entries, keys in lower case, and its `[[sub-sections]]`."""

    name: str
    line: int
    entries: Mapping[str, Entry]
    subsections: Mapping[str, Section]


class Fault(NamedTuple):
    """A line that does not fit the format. Its value is left out: it may be a secret. `word` is
    the line's first, if the line is no entry at all."""

    line: int
    message: str
    section: str | None = None
    key: str | None = None
    word: str = ""


class Document(NamedTuple):
    """A whole file. Entries after a faulty section header belong nowhere and are left out.
    `sections` have what they inherit from `defaults`, which is not one of them."""

    sections: tuple[Section, ...]
    faults: tuple[Fault, ...]
    defaults: Section | None = None


def read_ini(text: str) -> Document:
    """Read any text without NUL characters; never raises."""
    lines = normal_lines(text)
    root, errors = _parse([line.normal for line in lines])
    checker = _Checker(lines, root, errors)
    checker.check()
    sections = _Sections(lines, root, checker.stray).all()
    _let_go(root)
    defaults = sections.pop(DEFAULT, None)
    if defaults is not None:
        inherited = {k: entry._replace(inherited=True) for k, entry in defaults.entries.items()}
        sections = {
            name: section._replace(entries={**inherited, **section.entries})
            for name, section in sections.items()
        }
    return Document(tuple(sections.values()), tuple(checker.faults), defaults)


def _parse(lines: list[str]) -> tuple[ConfigObj, dict[int, bool]]:
    """What ConfigObj reads, and the indices of the lines that it refuses, with whether that is for
    their nesting. No value needs its care, so `_inspec` saves the time of a look at each."""
    try:
        return ConfigObj(lines, list_values=False, interpolation=False, _inspec=True), {}
    except ConfigObjError as error:
        refused = {each.line_number - 1: isinstance(each, NestingError) for each in error.errors}
        # ConfigObj and its errors keep each other, and their traceback all that is going on here.
        error.errors.clear()
        error.__traceback__ = None
        return error.config, refused


def _let_go(root: ConfigObj) -> None:
    """Sections know each other: without this a file of a thousand leaves megabytes of garbage."""
    for mark in root.sections:
        root[mark].clear()
    root.clear()
    root.parent = root.main = None


def _header_index(parent: ConfigObjSection, mark: str) -> int:
    return int(parent.inline_comments[mark].removeprefix("#"))


class _Checker:
    """Goes through the lines with what ConfigObj made of them. After a faulty header ConfigObj
    stays in the section before; what it then puts there is `stray`."""

    def __init__(self, lines: Sequence[Line], root: ConfigObj, errors: Mapping[int, bool]) -> None:
        self.faults: list[Fault] = []
        self.stray: set[int] = set()
        self._lines = lines
        self._root = root
        self._errors = errors
        self._top: ConfigObjSection | None = None
        self._current: ConfigObjSection | None = None
        """Where entries belong; None before the first header and after a faulty one."""
        self._name = ""
        self._seen_header = False
        self._repeated: list[tuple[Line, int]] = []
        """Of the current section, keys that are already set, and in which line."""

    def check(self) -> None:
        for index, line in enumerate(self._lines):
            if line.depth:
                self._header(index, line)
            elif line.message:
                self._no_entry(line)
            else:
                self._entry(index, line)
        self._end_section()
        self.faults.sort(key=lambda fault: fault.line)

    def _end_section(self) -> None:
        repeated, self._repeated = self._repeated, []
        keys = dict.fromkeys(line.name for line, _ in repeated)
        if len(keys) > _FEW:
            line, first = repeated[0]
            message = (
                f"{named(keys, 3)} are already set ({line.name} in line {first}): is a [section]"
                " missing above this line?"
            )
            self.faults.append(Fault(line.number, message, self._name))
            return
        for line, first in repeated:
            message = f"this key is already set in line {first}"
            self.faults.append(Fault(line.number, message, self._name, line.name))

    def _header(self, index: int, line: Line) -> None:
        self._end_section()
        self._seen_header = True
        parent = self._root if line.depth == 1 else self._top
        mark = section_mark(line.name)
        self._current = None
        if line.depth == 1:
            self._top = None
        if line.message:
            self.faults.append(Fault(line.number, line.message))
        elif parent is None or self._errors.get(index):
            self.stray.add(index)
            self.faults.append(Fault(line.number, BRACKETS))
        elif index in self._errors:
            first = self._lines[_header_index(parent, mark)].number
            message = f"this section is already defined in line {first}"
            self.faults.append(Fault(line.number, message, line.name))
        else:
            self._current, self._name = parent[mark], line.name
            if line.depth == 1:
                self._top = self._current

    def _no_entry(self, line: Line) -> None:
        """After a faulty header such a line is no fault of its own, unless it is too long."""
        if self._current is not None or not self._seen_header or line.message == TOO_LONG:
            self.faults.append(Fault(line.number, line.message, word=line.word))

    def _entry(self, index: int, line: Line) -> None:
        if not self._seen_header:
            message = "stands before the first [section]: is [global] missing above it?"
            self.faults.append(Fault(line.number, message, key=line.name))
        elif self._current is None:
            self.stray.add(index)
        elif index in self._errors:
            first = self._lines[int(self._current[key_mark(line.name)])].number
            self._repeated.append((line, first))


class _Sections:
    """ConfigObj's sections with the names, values and line numbers of the file."""

    def __init__(self, lines: Sequence[Line], root: ConfigObj, stray: set[int]) -> None:
        self._lines = lines
        self._root = root
        self._stray = stray

    def all(self) -> dict[str, Section]:
        return self._within(self._root)

    def _within(self, parent: ConfigObjSection) -> dict[str, Section]:
        indices = {_header_index(parent, mark): parent[mark] for mark in parent.sections}
        sections = [
            self._section(self._lines[index], section)
            for index, section in indices.items()
            if index not in self._stray
        ]
        return {section.name: section for section in sections}

    def _section(self, header: Line, section: ConfigObjSection) -> Section:
        indices = (int(section[mark]) for mark in section.scalars)
        entries = [self._lines[index] for index in indices if index not in self._stray]
        return Section(
            header.name,
            header.number,
            {entry.name: Entry(entry.text, entry.number) for entry in entries},
            self._within(section),
        )
