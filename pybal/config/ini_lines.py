"""INI text -> lines that ConfigObj reads as they are meant. Pure.

Of the format (see `pybal.config.ini`) ConfigObj knows `[section]`, `[[sub-section]]` and
`key = value`, on one line each. Here the rest is brought to that: a value over several lines is
joined, comments and quotes are cut, a `:` becomes a `=`, keys become lower case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_NAME = 256
MAX_LINE = 65536
LINE_FORMS = "must be 'key = value', '[section]' or '# comment'"
BRACKETS = "the brackets must be [section], or [[sub-section]] within a section"
TOO_LONG = "too long to be a section, a key or a value"

_AWKWARD = re.compile(r"[^\w.-]", re.ASCII)
_DELIMITER = re.compile("[=:]")
_KEY_LIKE = re.compile(r"[A-Za-z][\w.-]{0,63}(?:\s*=|\s*:(?:\s|$))")
_HEADER = re.compile(r"(\[+)([^\[\]]*)(\]+)\s*(?:[#;].*)?")
_PLAIN_HEADER = re.compile(r"""\[+[^\[\]'",()]+\]+\s*(?:[#;].*)?""")
_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1\s*(?:[#;].*)?""")
_COMMENT = re.compile(r"#|(?:^|(?<=\s));")
_TOKEN = re.compile(
    r"""'(?:\\.|[^'\\])*\\?(?:'|$)|"(?:\\.|[^"\\])*\\?(?:"|$)|(?P<comment>(?<=\s);)|[^'"[\](){}#;\s]+|."""
)
TRIPLE_QUOTES = ("'''", '"""')


@dataclass(slots=True)
class Line:
    """A header, an entry, or a line that is neither: then `message` says why, and `word` is its
    first word if it has one.

    `normal` is what ConfigObj reads. It holds the index of this object among all lines in place
    of the value, for ConfigObj would take quotes, newlines and long runs of blanks for its own.
    """

    number: int
    normal: str = ""
    name: str = ""
    text: str = ""
    depth: int = 0
    """So many brackets open a header; 0 for what is no header."""
    message: str = ""
    word: str = ""


def section_mark(name: str) -> str:
    """How ConfigObj gets to know a section. Sections and keys share one namespace there: the
    slash, which no key has, keeps them apart."""
    return f"/{key_mark(name)}"


def key_mark(key: str) -> str:
    """How ConfigObj gets to know a key: without quotes, blanks, brackets and the like."""
    return _AWKWARD.sub(lambda match: f"%{ord(match[0]):x};", key)


def normal_lines(text: str) -> list[Line]:
    """All lines but comments and blank ones, in the order of their numbers."""
    return _Normaliser(plain_lines(text)).normalise()


def plain_lines(text: str) -> list[str]:
    """All lines, whatever ends them."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


class _Normaliser:
    """Goes through the lines once. A line of the file is known by its index, which is one less
    than its number."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._stripped = [line.strip() for line in lines]
        self._normal: list[Line] = []

    def normalise(self) -> list[Line]:
        index = 0
        while index < len(self._lines):
            line = self._stripped[index]
            if is_comment(line):
                index += 1
            elif line[0] == "[":
                self._header(index, line)
                index += 1
            else:
                index = self._entry(index, line)
        return self._normal

    def _header(self, index: int, line: str) -> None:
        match = _HEADER.fullmatch(line) if len(line) <= MAX_NAME else None
        name = _unquoted(match[2].strip()) if match else ""
        header = Line(index + 1, name=name, depth=len(match[1]) if match else 1)
        if match is None or not name:
            header.message = TOO_LONG if len(line) > MAX_NAME else LINE_FORMS
            if match is None and "]" not in line:
                header.message += "; the closing ] is missing"
        elif header.depth > 2:
            header.message = BRACKETS
        else:
            header.normal = f"{match[1]}{section_mark(name)}{match[3]} #{len(self._normal)}"
        self._normal.append(header)

    def _entry(self, index: int, line: str) -> int:
        """Take the entry that begins here; returns the index of the line after it."""
        key, value = _split(line)
        if len(line) > MAX_LINE or len(key) > MAX_NAME:
            self._fault(index, "", TOO_LONG)
            return index + 1
        if not key:
            self._fault(index, line)
            return index + 1
        if value.startswith(TRIPLE_QUOTES):
            text, after = self._in_triple_quotes(index, value)
        else:
            text, after = self._over_lines(index, value)
        if text is not None:
            self._put(index, key, text)
        return after

    def _put(self, index: int, key: str, text: str) -> None:
        normal = f"{key_mark(key)} = {len(self._normal)}"
        self._normal.append(Line(index + 1, normal, key, text))

    def _in_triple_quotes(self, index: int, value: str) -> tuple[str | None, int]:
        quotes, parts = value[:3], [value[3:]]
        after = index + 1
        while quotes not in parts[-1]:
            if after == len(self._lines):
                self._fault(index, "", "the closing triple quotes are missing")
                return None, after
            parts.append(self._lines[after])
            after += 1
        parts[-1], _, rest = parts[-1].partition(quotes)
        if not is_comment(rest.strip()):
            self._fault(after - 1, "")
            return None, after
        return "\n".join(parts).strip(), after

    def _over_lines(self, index: int, first: str) -> tuple[str, int]:
        """A value, and the index of the first line that does not belong to it."""
        value = _Value()
        value.add(first)
        indent = _indent(self._lines[index])
        after = index + 1
        for number in range(index + 1, len(self._lines)):
            line = self._stripped[number]
            if is_comment(line):
                continue
            further = _indent(self._lines[number]) > indent
            if not (further or value.is_open) or _ends_a_value(line, further=further):
                break
            value.add(line)
            after = number + 1
        return value.text, after

    def _fault(self, index: int, line: str, message: str = LINE_FORMS) -> None:
        word = _DELIMITER.split(line.split(maxsplit=1)[0])[0] if line else ""
        self._normal.append(Line(index + 1, message=message, word=word))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_comment(stripped: str) -> bool:
    """Whether a line says nothing, being empty or a comment."""
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
