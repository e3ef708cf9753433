"""Pool lists: the text that a file or a web server holds -> server specs. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pybal.config.bad_value import BadValueError
from pybal.config.literals import parse_literal
from pybal.errors import SourceError
from pybal.model import DEFAULT_WEIGHT, ServerSpec
from pybal.net.addresses import is_host, parse_address

MAX_ENTRIES = 20_000
MAX_SKIPPED = 1000
MAX_PROBLEMS = 100
MAX_LINE = 1024
MAX_PARTS = 10 * MAX_ENTRIES
"""Lines, or values of JSON: more than any list has, and what can be gone through in a blink."""
MAX_WEIGHT = 2**31 - 1
_MAX_SHOWN = 60
_ATTRIBUTES = ("host", "weight", "enabled")


@dataclass(frozen=True, slots=True)
class PoolProblem:
    """What is wrong with one entry of a list. `line` counts from 1; 0 if it is not known."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class PoolList:
    """The usable servers of a list, in its order, each host once, and what was wrong."""

    servers: tuple[ServerSpec, ...]
    problems: tuple[PoolProblem, ...]


def parse_pool_list(text: str, *, json_format: bool) -> PoolList:
    """Read a pool list: one dict literal a line, or (json_format) a JSON object of
    host -> attributes. A bad entry is a problem and the rest counts. Raises SourceError if
    the text is no such list at all, or if it has entries and none of them is usable."""
    separators = ",{[" if json_format else "\n"
    if sum(map(text.count, separators)) > MAX_PARTS:
        what = "values" if json_format else "lines"
        raise SourceError(f"not a pool list: it has more than {MAX_PARTS} {what}")
    builder = _Builder()
    if json_format:
        _read_json(text, builder)
    else:
        _read_lines(text, builder)
    return builder.result()


class _Builder:
    """Gathers entries; refuses the whole list when there are absurdly many, good or bad,
    for whoever serves the list must not be able to keep this process busy."""

    def __init__(self) -> None:
        self._servers: dict[str, ServerSpec] = {}
        self._problems: list[PoolProblem] = []
        self._entries = 0
        self._skipped = 0
        self._unknown: set[object] = set()

    def count(self) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise SourceError(f"not a pool list: it has more than {MAX_ENTRIES} entries")

    def skip(self, line: int, why: str) -> None:
        self._problems.append(PoolProblem(line, f"entry skipped: {why}"))
        self._skipped += 1
        if self._skipped > MAX_SKIPPED:
            raise SourceError(
                f"not a pool list: more than {MAX_SKIPPED} bad entries; {self._problems[0]}"
            )

    def add(self, line: int, host: object, attributes: dict[object, object]) -> None:
        """Check one entry and keep it if it is good."""
        if not isinstance(host, str) or not is_host(host):
            self.skip(line, f"host {_shown(host)} is no host name or address")
            return
        weight = attributes.get("weight", DEFAULT_WEIGHT)
        if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
            text = f"weight of {host} must be a whole number from 0 to {MAX_WEIGHT}"
            self.skip(line, f"{text}, not {_shown(weight)}")
            return
        enabled = attributes.get("enabled", True)
        if type(enabled) is not bool:
            text = f"enabled of {host} must be true or false without quotes"
            self.skip(line, f"{text}, not {_shown(enabled)}")
            return
        for name in attributes:
            if name not in _ATTRIBUTES and name not in self._unknown:
                self._unknown.add(name)
                text = f"unknown attribute {_shown(name)} ignored, here and in what follows"
                self._problems.append(PoolProblem(line, text))
        identity = _identity(host)
        if identity in self._servers:
            self.skip(line, f"{host} is listed twice, the first one counts")
            return
        self._servers[identity] = ServerSpec(host, weight, enabled)

    def result(self) -> PoolList:
        servers = tuple(self._servers.values())
        problems = tuple(self._problems)
        if problems and not servers:
            raise SourceError(f"not a pool list: no usable entry; {problems[0]}")
        if len(problems) > MAX_PROBLEMS:
            more = PoolProblem(0, f"{len(problems) - MAX_PROBLEMS} more problems")
            problems = (*problems[:MAX_PROBLEMS], more)
        return PoolList(servers, problems)


def _identity(host: str) -> str:
    """The same text for all spellings of a host."""
    return str(parse_address(host) or host.lower().removesuffix("."))


def _read_lines(text: str, builder: _Builder) -> None:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        builder.count()
        attributes = _literal_dict(entry)
        if attributes is None:
            form = "{'host': 'NAME', 'weight': 10, 'enabled': True}"
            builder.skip(number, f"must be {form}, not {_shown(entry)}")
        else:
            builder.add(number, attributes.get("host"), attributes)


def _literal_dict(entry: str) -> dict[object, object] | None:
    # The brace is looked for first because a page of garbage is not worth the parser's time.
    if not entry.startswith("{") or len(entry) > MAX_LINE:
        return None
    try:
        value = parse_literal(entry)
    except BadValueError:
        return None
    return value if isinstance(value, dict) else None


class _Pairs(tuple[tuple[str, object], ...]):
    """A JSON object as it was written, repeated keys included."""


def _read_json(text: str, builder: _Builder) -> None:
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}"
        raise SourceError(f"not JSON: {where}; it begins {_shown(text)}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not usable JSON; it begins {_shown(text)}") from error
    if not isinstance(document, _Pairs):
        raise SourceError(f"not a JSON object of hosts; it begins {_shown(text)}")
    lines = _KeyLines(text)
    for host, attributes in document:
        builder.count()
        line = lines.next(host)
        if isinstance(attributes, _Pairs):
            builder.add(line, host, dict(attributes))
        else:
            builder.skip(line, f"the value of {_shown(host)} must be an object")


class _KeyLines:
    """The lines of an object's keys, which come in order; unknown if any is escaped."""

    def __init__(self, text: str) -> None:
        self._text = "" if "\\" in text else text
        self._position = 0
        self._line = 1

    def next(self, key: str) -> int:
        found = self._text.find(f'"{key}"', self._position)
        if found < 0:
            return 0
        self._line += self._text.count("\n", self._position, found)
        self._position = found + len(key) + 2
        return self._line


def _shown(value: object) -> str:
    """A bad value, short; a container is only named, for it may be of any size and depth."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN else value[: _MAX_SHOWN - 1] + "…")
    if isinstance(value, _Pairs):
        return "an object"
    if value is None or isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= 64 else "an enormous number"
    return f"a value of type {type(value).__name__}"
