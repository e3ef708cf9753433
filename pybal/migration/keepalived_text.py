"""The text of a keepalived.conf -> its statements, each with its line. Pure.

As keepalived.conf(5) has it: a statement is a line; one that is followed by `{` is a block; `!` and
`#` begin comments; `@id` conditions a line, `@^id` the contrary; `$NAME=value` defines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_CHARACTERS = 4 * 2**20
MAX_DEPTH = 32

_WORD = re.compile(
    r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([{}])|([!#].*)|((?:[^\s{}"]|(?<=\$)\{\w+\})+)|"'
)
_DEFINITION = re.compile(r"\s*\$(\w+)\s*=\s*(.*?)\s*$")
_USE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_WHOLE = re.compile("[0-9]{1,10}")
_CONDITION = re.compile(r"\s*@(\^?)(\w+)\s+")


@dataclass(slots=True)
class Statement:
    """One statement: its words without quotes, and, of a block, what is in it. `seen` is set by
    whoever has taken it into account."""

    line: int
    words: tuple[str, ...]
    end: int
    block: list[Statement] = field(default_factory=list)
    seen: bool = False

    @property
    def name(self) -> str:
        return self.words[0].lower()

    def text(self) -> str:
        """As it is shown to people."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Remark:
    """What somebody must look at: where, what stands there, and what of it."""

    line: int
    what: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.line}: {self.what}: {self.text}" if self.what else f"{self.line}: {self.text}"
        )


def whole_number(text: str) -> int | None:
    """What a word is as a whole number of at most ten digits; None if it is none."""
    return int(text) if _WHOLE.fullmatch(text) else None


class _Reader:
    def __init__(self, config_id: str) -> None:
        self.remarks: list[Remark] = []
        self.top: list[Statement] = []
        self._open: list[Statement] = []
        self._last: Statement | None = None
        self._config_id = config_id
        self._definitions: dict[str, str] = {}
        self._room = MAX_CHARACTERS
        """For what definitions make of the text: sixty that double each other fill any memory."""

    def read(self, text: str) -> None:
        for number, raw in enumerate(text.splitlines(), start=1):
            line = self._applicable(raw, number)
            definition = _DEFINITION.match(line)
            if definition is not None:
                self._definitions[definition[1]] = self._filled(definition[2], number)
                continue
            self._read_line(self._filled(line, number), number)
        for block in self._open:
            self.remarks.append(Remark(block.line, block.text(), "its block has no end"))

    def _applicable(self, line: str, number: int) -> str:
        match = _CONDITION.match(line)
        if match is None:
            return line
        is_ours = match[2] == self._config_id
        if is_ours is not bool(match[1]):
            return line[match.end() :]
        text = f"holds only with the id {match[2]}" if not match[1] else "holds with other ids only"
        self.remarks.append(Remark(number, line.strip(), f"left out: it {text} (see --id)"))
        return ""

    def _filled(self, line: str, number: int) -> str:
        def value(match: re.Match[str]) -> str:
            return self._definitions.get(match[1] or match[2], match[0])

        added = sum(len(value(match)) for match in _USE.finditer(line))
        if added > self._room:
            text = f"left out: definitions add more than {MAX_CHARACTERS} characters in all"
            self.remarks.append(Remark(number, line.strip(), text))
            return ""
        self._room -= added
        return _USE.sub(value, line)

    def _read_line(self, line: str, number: int) -> None:
        words: list[str] = []
        for match in _WORD.finditer(line):
            double, single, brace, comment, bare = match.groups()
            if comment is not None:
                break
            if brace is None:
                words.append(next((w for w in (double, single, bare) if w is not None), ""))
                continue
            self._end_statement(words, number)
            words = []
            if brace == "{":
                self._begin_block(number)
            else:
                self._end_block(number)
        self._end_statement(words, number)

    def _end_statement(self, words: list[str], number: int) -> None:
        if not words:
            return
        self._last = Statement(number, tuple(words), number)
        (self._open[-1].block if self._open else self.top).append(self._last)

    def _begin_block(self, number: int) -> None:
        if self._last is None or len(self._open) >= MAX_DEPTH:
            self.remarks.append(Remark(number, "{", "what is this the block of?"))
            return
        self._open.append(self._last)
        self._last = None

    def _end_block(self, number: int) -> None:
        self._last = None
        if self._open:
            self._open.pop().end = number
        else:
            self.remarks.append(Remark(number, "}", "it ends nothing"))


def read_keepalived(text: str, config_id: str = "") -> tuple[list[Statement], list[Remark]]:
    """All statements in their order, and what was odd or left out. `config_id` is that of the host
    (keepalived's option -i). Takes any text."""
    reader = _Reader(config_id)
    reader.read(text[:MAX_CHARACTERS])
    if len(text) > MAX_CHARACTERS:
        reader.remarks.append(
            Remark(0, "", f"only the first {MAX_CHARACTERS} characters were read")
        )
    return reader.top, reader.remarks
