#!/usr/bin/python3
"""Prints pybal.conf(5), made of etc/pybal.conf, which documents every option, and of the table of
what a reload touches. Run by debian/rules: python3 debian/manual.py >debian/pybal.conf.5"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pybal.reload import keys  # noqa: E402 - it is not installed yet

_OPTION = re.compile(r"(?P<off>#?)(?P<key>[a-z][\w.-]*) =(?P<value>.*)")
_HEAD = """\
.\\" Made of etc/pybal.conf by debian/manual.py.
.TH PYBAL.CONF 5 "" "PyBal 2.0" "File Formats Manual"
.SH NAME
pybal.conf \\- configuration of pybal(8)
.SH SYNOPSIS
.I /etc/pybal/pybal.conf
.SH DESCRIPTION
"""
_TAIL = """\
.SH FILES
.TP
.I /etc/pybal/pybal.conf
The configuration.
.TP
.I /usr/share/doc/pybal/examples/pybal.conf
What is said here, as an example to begin with.
.SH SEE ALSO
.BR pybal (8),
.BR ipvsadm (8)
"""
# The example's sections, as the manual's.
_HEADINGS = {"[global]": ".SH OPTIONS OF [global]", "[web_80]": ".SH OPTIONS OF A SERVICE"}


@dataclass
class _Block:
    """Comment lines, and the options that follow them at once: (key, value, is it a default)."""

    comment: list[str] = field(default_factory=list)
    options: list[tuple[str, str, bool]] = field(default_factory=list)


def main() -> None:
    text = (ROOT / "etc/pybal.conf").read_text("utf-8")
    print(_HEAD + "\n".join(_page(text.splitlines())) + "\n" + _TAIL, end="")  # noqa: T201


def _page(lines: Iterable[str]) -> Iterator[str]:
    section = ""
    told: set[tuple[str, str]] = set()
    for part in _blocks(lines):
        if isinstance(part, str):
            # What a second service shows belongs to the same chapter.
            if part in _HEADINGS:
                section = part
                yield _HEADINGS[part]
            continue
        options = [option for option in part.options if (section, option[0]) not in told]
        told |= {(section, key) for key, _, _ in options}
        if options or not part.options:
            yield from _paragraph(part.comment, options, in_global=section == "[global]")


def _blocks(lines: Iterable[str]) -> Iterator[_Block | str]:
    """The example's blocks, and the lines that begin its sections."""
    block = _Block()
    for line in [*lines, ""]:
        option = _OPTION.fullmatch(line)
        if option is not None:
            block.options.append((option["key"], option["value"].strip(), bool(option["off"])))
            continue
        is_comment = line.startswith("#")
        if block.options or not (is_comment or not block.comment):
            yield block
            block = _Block()
        if is_comment:
            block.comment.append(line.removeprefix("#").removeprefix(" "))
        elif line.startswith("["):
            yield line


def _paragraph(
    comment: list[str], options: list[tuple[str, str, bool]], *, in_global: bool
) -> Iterator[str]:
    for number, (key, value, is_default) in enumerate(options):
        yield ".TQ" if number else ".TP"
        shown = f" = {value}" if value else " ="
        note = "" if is_default or not value else "  (an example)"
        yield rf"\fB{_escape(key)}\fR{_escape(shown)}{note}"
    if not options:
        yield ".PP"
    yield from _text(comment)
    effects = {_effect(key, in_global=in_global) for key, _, _ in options} - {None}
    if len(effects) == 1:
        yield from (".br", _A_RELOAD[effects.pop()])


def _text(comment: list[str]) -> Iterator[str]:
    """As paragraphs; what is indented stays as it is."""
    literal = False
    for line in comment:
        if line.startswith("  ") != literal:
            literal = not literal
            yield from ((".RS", ".nf") if literal else (".fi", ".RE"))
        yield _escape(line) if line else ".PP"
    if literal:
        yield from (".fi", ".RE")


_A_RELOAD = {
    keys.Effect.IN_PLACE: "A reload changes it: in place.",
    keys.Effect.PEER_ANEW: "A reload changes it: the peer\\(aqs session begins anew.",
    keys.Effect.SERVICE_ANEW: "A reload changes it: the new service stands before the former goes.",
    keys.Effect.RESTART: "A reload does not change it: that takes a restart.",
}


def _effect(key: str, *, in_global: bool) -> keys.Effect | None:
    tables = (
        (*keys.GLOBAL_KEYS, *keys.BGP_KEYS, *keys.SWITCHES, *keys.PEER_KEYS)
        if in_global
        else keys.SERVICE_KEYS
    )
    found = {entry.effect for entry in tables if key in entry.names}
    if not found and "." in key:
        found = {keys.Effect.IN_PLACE}
    return found.pop() if len(found) == 1 else None


def _escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + text if text.startswith(".") else text


if __name__ == "__main__":
    main()
