"""The text of sections that were read before: of a large file only what has changed in it is taken
apart anew. Pure.

A section reads the same wherever it stands: a line that begins with `[` ends each value, but for
one in triple quotes. A file with these, with [DEFAULT] or with any fault is read as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from pybal.config.ini import Document, Section, read_ini
from pybal.config.ini_lines import TRIPLE_QUOTES, is_comment, plain_lines

FEW = 0.25

KnownTexts = Mapping[str, Section]
"""By the text of a section, from its header to the next one, with the lines that it was last at."""


def read_known(text: str, known: KnownTexts, few: float = FEW) -> tuple[Document, KnownTexts]:
    """The same as read_ini(), and what is known from now on. If more than a `few` sections, a share
    of all, are not known, the whole is read: each by itself would take longer."""
    pieces = _pieces(text)
    unknown = sum(piece not in known for piece in pieces)
    if pieces and unknown <= len(pieces) * few:
        sections = _sections(pieces, known)
        if sections is not None:
            return Document(tuple(sections), ()), dict(zip(pieces, sections, strict=True))
    document = read_ini(text)
    lines = [section.line for section in document.sections]
    if document.faults or document.defaults is not None or lines != list(pieces.values()):
        return document, {}
    return document, dict(zip(pieces, document.sections, strict=True))


def _pieces(text: str) -> dict[str, int]:
    """The text and the line of each section; none if the text cannot be cut."""
    if any(quotes in text for quotes in TRIPLE_QUOTES):
        return {}
    lines = plain_lines(text)
    starts = [n for n, line in enumerate(lines) if line[:1] == "[" and line[1:2] != "["]
    if not starts or not all(is_comment(line.strip()) for line in lines[: starts[0]]):
        return {}
    ends = [*starts[1:], len(lines)]
    pieces = {
        "\n".join(lines[start:end]): start + 1 for start, end in zip(starts, ends, strict=True)
    }
    return pieces if len(pieces) == len(starts) else {}


def _sections(pieces: Mapping[str, int], known: KnownTexts) -> list[Section] | None:
    """None if they must be read as a whole."""
    found: list[Section] = []
    names: set[str] = set()
    for text, line in pieces.items():
        section = known.get(text) or _section(text)
        if section is None or section.name in names:
            return None
        names.add(section.name)
        found.append(_moved(section, line - section.line))
    return found


def _section(text: str) -> Section | None:
    document = read_ini(text)
    if document.faults or document.defaults is not None or len(document.sections) != 1:
        return None
    return document.sections[0]


def _moved(section: Section, lines: int) -> Section:
    """It stands so many lines further down."""
    if lines == 0:
        return section
    return Section(
        section.name,
        section.line + lines,
        {key: entry._replace(line=entry.line + lines) for key, entry in section.entries.items()},
        {name: _moved(each, lines) for name, each in section.subsections.items()},
    )
