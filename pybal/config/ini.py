"""INI text -> sections whose every entry knows its line. Pure.

The format is that of hand-written files, as Python's configparser reads it: `key = value` or
`key: value`, keys in any case, comments after `#` or `;`, values that go on in lines which are
indented further, `[DEFAULT]` for what holds in every section; and no interpolation. Beyond that a
list goes on until its bracket is closed, a section may have `[[sub-sections]]`, a value may be
quoted, and a line that is indented further but looks like `key = value` is a key of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

MAX_NAME = 256
MAX_LINE = 65536
DEFAULT = "DEFAULT"
"""The section whose entries all others inherit."""

_LINE_FORMS = "must be 'key = value', '[section]' or '# comment'"
_BRACKETS = "the brackets must be [section], or [[sub-section]] within a section"
_TOO_LONG = "too long to be a section, a key or a value"
_DELIMITER = re.compile("[=:]")
_KEY_LIKE = re.compile(r"[A-Za-z][\w.-]{0,63}(?:\s*=|\s*:(?:\s|$))")
_HEADER = re.compile(r"(\[+)([^\[\]]*)(\]+)\s*(?:[#;].*)?")
_PLAIN_HEADER = re.compile(r"""\[+[^\[\]'",()]+\]+\s*(?:[#;].*)?""")
_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1\s*(?:[#;].*)?""")
_COMMENT = re.compile(r"#|(?:^|(?<=\s));")
_TOKEN = re.compile(
    r"""'(?:\\.|[^'\\])*\\?(?:'|$)|"(?:\\.|[^"\\])*\\?(?:"|$)|(?P<comment>(?<=\s);)|[^'"[\](){}#;\s]+|."""
)
_TRIPLE_QUOTES = ("'''", '"""')


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of a key, without comment and surrounding quotes, and where the key is. One that
    is `inherited` stands in [DEFAULT]."""

    text: str
    line: int
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One `[name]` with its entries, keys in lower case, and its `[[sub-sections]]`."""

    name: str
    line: int
    entries: Mapping[str, Entry]
    subsections: Mapping[str, Section]


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that does not fit the format. Its value is left out: it may be a secret. `word` is
    the line's first, if the line is no entry at all."""

    line: int
    message: str
    section: str | None = None
    key: str | None = None
    word: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole file. Entries after a faulty section header belong nowhere and are left out.
    `sections` have what they inherit from `defaults`, which is not one of them."""

    sections: tuple[Section, ...]
    faults: tuple[Fault, ...]
    defaults: Section | None = None


def read_ini(text: str) -> Document:
    """Read any text without NUL characters; never raises."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _Reader(lines).document()


@dataclass(slots=True)
class _Draft:
    """A section under reading."""

    name: str
    line: int
    entries: dict[str, Entry] = field(default_factory=dict)
    subsections: dict[str, _Draft] = field(default_factory=dict)

    def section(self, defaults: Mapping[str, Entry]) -> Section:
        subsections = {name: draft.section({}) for name, draft in self.subsections.items()}
        return Section(self.name, self.line, {**defaults, **self.entries}, subsections)


class _Reader:
    """Goes through the lines once. A line is known by its index, which is one less than its
    number."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._faults: list[Fault] = []
        self._sections: dict[str, _Draft] = {}
        self._top: _Draft | None = None
        self._current: _Draft | None = None
        """Where entries belong; None before the first header and after a faulty one."""
        self._seen_header = False

    def document(self) -> Document:
        index = 0
        while index < len(self._lines):
            line = self._lines[index].strip()
            if not _is_comment(line) and line.startswith("["):
                self._header(index, line)
            elif not _is_comment(line):
                index = self._entry(index, line)
                continue
            index += 1
        draft = self._sections.pop(DEFAULT, None)
        defaults = None if draft is None else draft.section({})
        inherited = {} if draft is None else draft.entries
        inherited = {key: replace(entry, inherited=True) for key, entry in inherited.items()}
        sections = tuple(each.section(inherited) for each in self._sections.values())
        return Document(sections, tuple(self._faults), defaults)

    # -- headers --------------------------------------------------------------------------

    def _header(self, index: int, line: str) -> None:
        self._seen_header = True
        self._current = None
        match = _HEADER.fullmatch(line) if len(line) <= MAX_NAME else None
        name = _unquoted(match[2].strip()) if match else ""
        depth = len(match[1]) if match else 1
        within = self._top if depth > 1 else None
        if depth == 1:
            self._top = None
        if match is None or not name:
            self._fault(index, _TOO_LONG if len(line) > MAX_NAME else _LINE_FORMS)
        elif len(match[3]) != depth or depth > 2 or (depth == 2 and within is None):
            self._fault(index, _BRACKETS)
        else:
            siblings = self._sections if within is None else within.subsections
            self._begin(index, name, siblings, is_top=within is None)

    def _begin(self, index: int, name: str, siblings: dict[str, _Draft], *, is_top: bool) -> None:
        if name in siblings:
            message = f"this section is already defined in line {siblings[name].line}"
            self._fault(index, message, section=name)
            return
        self._current = siblings[name] = _Draft(name, index + 1)
        if is_top:
            self._top = self._current

    # -- entries --------------------------------------------------------------------------

    def _entry(self, index: int, line: str) -> int:
        """Take the entry that begins here; returns the index of the line after it."""
        key, value = _split(line)
        if len(line) > MAX_LINE or len(key) > MAX_NAME:
            self._fault(index, _TOO_LONG)
            return index + 1
        if not key:
            self._line_fault(index, line)
            return index + 1
        if value.startswith(_TRIPLE_QUOTES):
            text, after = self._in_triple_quotes(index, value)
        else:
            text, after = self._over_lines(index, value)
        if text is not None:
            self._put(index, key, text)
        return after

    def _put(self, index: int, key: str, text: str) -> None:
        section = self._current
        if section is None:
            if not self._seen_header:
                self._fault(index, "stands before the first [section]", key=key)
        elif key in section.entries:
            message = f"this key is already set in line {section.entries[key].line}"
            self._fault(index, message, section=section.name, key=key)
        else:
            section.entries[key] = Entry(text, index + 1)

    def _in_triple_quotes(self, index: int, value: str) -> tuple[str | None, int]:
        quotes, parts = value[:3], [value[3:]]
        after = index + 1
        while quotes not in parts[-1]:
            if after == len(self._lines):
                self._line_fault(index, "", "the closing triple quotes are missing")
                return None, after
            parts.append(self._lines[after])
            after += 1
        parts[-1], _, rest = parts[-1].partition(quotes)
        if not _is_comment(rest.strip()):
            self._line_fault(after - 1, "")
            return None, after
        return "\n".join(parts).strip(), after

    def _over_lines(self, index: int, first: str) -> tuple[str, int]:
        """A value, and the index of the first line that does not belong to it."""
        value = _Value()
        value.add(first)
        indent = _indent(self._lines[index])
        after = index + 1
        for number in range(index + 1, len(self._lines)):
            line = self._lines[number].strip()
            if _is_comment(line):
                continue
            further = _indent(self._lines[number]) > indent
            if not (further or value.is_open) or _ends_a_value(line, further=further):
                break
            value.add(line)
            after = number + 1
        return value.text, after

    # -- faults ---------------------------------------------------------------------------

    def _line_fault(self, index: int, line: str, message: str = _LINE_FORMS) -> None:
        """What is wrong with a line that is no entry; after a faulty header nothing is."""
        if self._current is not None or not self._seen_header:
            word = _DELIMITER.split(line.split(maxsplit=1)[0])[0] if line else ""
            self._fault(index, message, word=word)

    def _fault(
        self,
        index: int,
        message: str,
        *,
        section: str | None = None,
        key: str | None = None,
        word: str = "",
    ) -> None:
        self._faults.append(Fault(index + 1, message, section, key, word))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_comment(stripped: str) -> bool:
    return not stripped or stripped[0] in "#;"


def _ends_a_value(stripped: str, *, further: bool) -> bool:
    """Whether a line cannot be the next of a value."""
    if stripped.startswith("["):
        return not further or _PLAIN_HEADER.fullmatch(stripped[: MAX_NAME + 1]) is not None
    return len(stripped) > MAX_LINE or _KEY_LIKE.match(stripped) is not None


def _split(line: str) -> tuple[str, str]:
    """The key, in lower case, and the text after the delimiter; no key if there is none. Before a
    colon stands one word: `some text: http://host` is no entry."""
    name, rest = line, ""
    if line[0] in "'\"":
        name, _, rest = line[1:].partition(line[0])
        rest = rest.lstrip()
        if not rest.startswith(("=", ":")):
            return "", ""
        return name.strip().lower(), rest[1:].strip()
    delimiter = _DELIMITER.search(line)
    if delimiter is None:
        return "", ""
    name = line[: delimiter.start()].rstrip()
    if delimiter[0] == ":" and len(name.split()) != 1:
        return "", ""
    return name.lower(), line[delimiter.end() :].strip()


def _unquoted(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
    return name[1:-1] if quoted else name


class _Value:
    """A value under reading, line by line: without comments and quotes, and whether its bracket
    is still open."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._is_literal = False
        self._depth = 0

    def add(self, line: str) -> None:
        if not any(self._lines):
            self._lines.clear()
            self._is_literal = line.startswith(("[", "(", "{"))
        self._lines.append(self._literal(line) if self._is_literal else _scalar(line))

    @property
    def is_open(self) -> bool:
        return self._depth > 0

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def _literal(self, line: str) -> str:
        at = 0
        while at < len(line) and line[at] != "#":
            token = _TOKEN.match(line, at)
            if token is None or token["comment"]:
                break
            if len(token[0]) == 1:
                self._depth += (token[0] in "[({") - (token[0] in "])}")
            at = token.end()
        return line[:at].rstrip()


def _scalar(line: str) -> str:
    quoted = _QUOTED.fullmatch(line)
    if quoted:
        return quoted[2].strip()
    comment = _COMMENT.search(line)
    return line if comment is None else line[: comment.start()].rstrip()
