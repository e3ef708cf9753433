"""Pool lists: what a file or a web server holds -> server specs. Pure.

A document is a list only if it shows that it is one: error pages and other documents are refused
as a whole. What is wrong with one entry is that entry's fault alone, and makes the list a damaged
one: what it does not say is not known, so servers that it no longer names stay as they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

from pybal.config.bad_value import BadValueError, quotes_hint
from pybal.config.literals import parse_literal, repeated_key
from pybal.errors import SourceError
from pybal.model import DEFAULT_WEIGHT, ServerSpec
from pybal.net.addresses import host_problem, same_host
from pybal.runtime.naming import counted, shortened

MAX_LIST_BYTES = 4 * 1024 * 1024
"""Twice what the most servers of a list take; a larger one is refused unread."""
MAX_ENTRIES = 20_000
MAX_SKIPPED = 1000
MAX_PROBLEMS = 100
MAX_LINE = 1024
MAX_PARTS = 10 * MAX_ENTRIES
"""Lines, or values of JSON: more than any list has, and what can be gone through in a blink."""
MAX_WEIGHT = 2**31 - 1
_MAX_SHOWN = 60
_ATTRIBUTES = ("host", "weight", "enabled")
_INSTEAD = {
    "port": "; servers are reached at the service's own port, and checked at MONITOR.port",
    "ip": "; an address is given as the host",
    "address": "; an address is given as the host",
    "pooled": "; an operator's wish is given as enabled",
    "state": "; an operator's wish is given as enabled",
    "status": "; an operator's wish is given as enabled",
    "down": "; an operator's wish is given as enabled",
    "maxconn": "; use upper-threshold of the service",
    "max_conns": "; use upper-threshold of the service",
    "backup": "; there is no spare server: a weight of 0 gets no new connections",
    "check": "; what is checked is said by monitors, of the service",
}
"""What other balancers' lists have, and what to use here."""
_OF_ERRORS = ("error", "errors", "exception", "traceback")
"""Attributes of a document that tells of a failure, whatever else it names."""
_UNDECODED = re.compile("[\udc80-\udcff]")
_WITH_PORT = re.compile(r"(?:^|[^:]|]):[0-9]{1,5}$")
_OTHER_WORDS = re.compile(r"(?<=:)\s*(?:true|false|null|yes|no|on|off)\b")
_OF_JSON = re.compile(r'\{\s*(?:$|"[^"]*"\s*:\s*\{)')
_PYTHON = {"null": "None"} | dict.fromkeys(("true", "yes", "on"), "True")
_PYTHON |= dict.fromkeys(("false", "no", "off"), "False")


@dataclass(frozen=True, slots=True)
class PoolProblem:
    """What is wrong with one entry of a list. `line` counts from 1; 0 if it is not known.
    `is_damage`: it is not known which server, or what of it, the entry was to tell."""

    line: int
    message: str
    is_damage: bool = True

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class PoolList(NamedTuple):
    """The usable servers of a list, in its order, each host once, and what was wrong.

    `absent` are hosts of which the list says that they are not in the pool. Whatever it does not
    name is not in the pool either, unless the list is damaged or only `part` of it was read.
    """

    servers: tuple[ServerSpec, ...]
    problems: tuple[PoolProblem, ...] = ()
    absent: frozenset[str] = frozenset()
    part: bool = False

    @property
    def damage(self) -> tuple[PoolProblem, ...]:
        """The problems for which servers may be missing."""
        return tuple(problem for problem in self.problems if problem.is_damage)

    def over(self, before: Sequence[ServerSpec]) -> tuple[ServerSpec, ...]:
        """All servers of the pool, if these were in it before: a list that is not whole takes
        none out but those that it says are absent."""
        if not before or not (self.part or self.damage):
            return self.servers
        found = {server.host: server for server in self.servers}
        absent = set(map(same_host, self.absent))
        # To compare spellings takes its time, and few of thousands are spelled otherwise now.
        known = {server.host for server in before}
        respelled = {same_host(host): host for host in found if host not in known}
        merged = []
        for server in before:
            host = server.host
            if absent and same_host(host) in absent:
                continue
            if host not in found:
                host = respelled.get(same_host(host), host)
            merged.append(found.pop(host, server))
        return (*merged, *found.values())


@lru_cache(maxsize=8)
def parse_pool_bytes(data: bytes, *, json_format: bool) -> PoolList:
    """A pool list from a file's or a server's bytes; see parse_pool_list. Raises SourceError if
    they are no such list, or one without servers.

    The last few are kept: dozens of services often share one list, and each reads it twice. Bytes
    that are no UTF-8 are the fault of the entry that they are in, not of the list.
    """
    text = data.decode("utf-8-sig", "surrogateescape")
    found = parse_pool_list(text, json_format=json_format)
    if not found.servers:
        raise SourceError("the list holds no servers")
    return found


def parse_pool_list(text: str, *, json_format: bool) -> PoolList:
    """Read a pool list: one dict literal a line, or (json_format) a JSON object of
    host -> attributes. A bad entry is a problem and the rest counts. Raises SourceError if
    the text is no such list at all. Bytes that were no UTF-8 are there as lone surrogates."""
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
        self._unknown: set[object] = set()
        self.entries = 0
        self.skipped = 0

    def count(self) -> None:
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise SourceError(f"not a pool list: it has more than {MAX_ENTRIES} entries")

    def skip(self, line: int, why: str) -> None:
        self._problems.append(PoolProblem(line, f"entry skipped: {why}"))
        self.skipped += 1
        if self.skipped > MAX_SKIPPED:
            raise SourceError(
                f"not a pool list: more than {MAX_SKIPPED} bad entries; {self._problems[0]}"
            )

    def add(self, line: int, host: object, attributes: dict[object, object]) -> None:
        """Check one entry and keep it if it is good."""
        why = f"host {_shown(host)} {problem}" if (problem := host_problem(host)) else ""
        if why and isinstance(host, str) and _WITH_PORT.search(host):
            why += _INSTEAD["port"]
        if host is None:
            why = "it has no 'host'"
        why = why or _bad_attribute(str(host), attributes)
        if why:
            self.skip(line, why)
            return
        host = str(host)
        name = same_host(host)
        if name in self._servers:
            self.skip(line, f"{host} is listed twice, the first one counts")
            return
        weight, enabled = attributes.get("weight", DEFAULT_WEIGHT), attributes.get("enabled", True)
        if isinstance(weight, int) and isinstance(enabled, bool):
            self._servers[name] = ServerSpec(host, weight, enabled)

    def ignore(self, line: int, unknown: Iterable[object]) -> None:
        """Attributes without a meaning; each is told of once."""
        for name in unknown:
            if name not in self._unknown:
                self._unknown.add(name)
                text = f"unknown attribute {_shown(name)} ignored, here and in what follows"
                text += _INSTEAD.get(str(name).lower(), "")
                self._problems.append(PoolProblem(line, text, is_damage=False))

    @property
    def first_problem(self) -> PoolProblem:
        return self._problems[0]

    def result(self) -> PoolList:
        servers = tuple(self._servers.values())
        problems = tuple(self._problems)
        if problems and not servers:
            raise SourceError(f"not a pool list: no usable entry; {problems[0]}")
        if len(problems) > MAX_PROBLEMS:
            text = counted(len(problems) - MAX_PROBLEMS, "more problem")
            more = PoolProblem(0, text, any(p.is_damage for p in problems))
            problems = (*problems[:MAX_PROBLEMS], more)
        return PoolList(servers, problems)


def _bad_attribute(host: str, attributes: dict[object, object]) -> str:
    """What is wrong with a weight or an `enabled`, or empty."""
    weight = attributes.get("weight", DEFAULT_WEIGHT)
    if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
        text = f"weight of {host} must be a whole number from 0 to {MAX_WEIGHT}"
        return f"{text}, not {_shown(weight)}"
    enabled = attributes.get("enabled", True)
    if type(enabled) is not bool:
        text = f"enabled of {host} must be true or false without quotes"
        return f"{text}, not {_shown(enabled)}"
    return ""


# -- one dict literal a line ------------------------------------------------------------------


def _read_lines(text: str, builder: _Builder) -> None:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        builder.count()
        attributes = _literal_dict(entry)
        if attributes is None:
            builder.skip(number, f"must be {_FORM}, not {_shown(entry)}{_hint(entry)}")
            continue
        if any(entry.count(name) > 1 for name in _ATTRIBUTES) and (twice := repeated_key(entry)):
            builder.skip(number, f"{twice} is given twice")
            continue
        unknown = [name for name in attributes if name not in _ATTRIBUTES]
        if of_error := [name for name in unknown if str(name).lower() in _OF_ERRORS]:
            builder.skip(number, f"{_shown(of_error[0])} is no attribute of a server")
            continue
        if misspelt := [name for name in unknown if _meant(name)]:
            # What the writer wanted of the server did not arrive.
            builder.skip(number, f"{_shown(misspelt[0])} must be spelt {_meant(misspelt[0])!r}")
            continue
        builder.add(number, attributes.get("host"), attributes)
        builder.ignore(number, unknown)


_FORM = "{'host': 'NAME', 'weight': 10, 'enabled': True}"
_JSON_FORM = '{ "NAME": { "weight": 10, "enabled": true } }'


def _literal_dict(entry: str) -> dict[object, object] | None:
    # The brace is looked for first because a page of garbage is not worth the parser's time.
    if not entry.startswith("{") or len(entry) > MAX_LINE:
        return None
    if not entry.isascii():
        if _UNDECODED.search(entry.partition("#")[0]):
            return None
        entry = _UNDECODED.sub("?", entry)
    try:
        value = parse_literal(entry)
    except BadValueError:
        return None
    return value if isinstance(value, dict) else None


def _hint(entry: str) -> str:
    if odd := _UNDECODED.search(entry):
        return f" (byte 0x{ord(odd[0]) - 0xDC00:02x} is not UTF-8)"
    if _OF_JSON.match(entry):
        return " (a list in JSON is in a file whose name ends in .json)"
    if word := _OTHER_WORDS.search(entry):
        written = word[0].strip()
        return f" ({written} must be written {_PYTHON[written]})"
    if quotes := quotes_hint(entry):
        return f" ({quotes})"
    if entry.startswith("{") and "}" not in entry:
        return " (the closing } is missing)"
    if entry.endswith("},"):
        return " (without the comma at its end)"
    if entry.startswith("{") and entry.count("'") % 2:
        return " (a quote is missing)"
    return ""


def _meant(name: object) -> str:
    """The attribute of which this may be a slip of the pen, or empty."""
    near = get_close_matches(str(name).lower(), _ATTRIBUTES, 1, 0.65)
    return near[0] if near else ""


# -- a JSON object ----------------------------------------------------------------------------


class Pairs(tuple[tuple[str, object], ...]):
    """A JSON object as it was written, repeated keys included."""


def _pairs(found: list[tuple[str, object]]) -> Pairs:
    """In Python, for whoever waits for the interpreter: a class of C's would not let go of it
    until all of a document is read."""
    return Pairs(found)


def _read_json(text: str, builder: _Builder) -> None:
    document = _json_object(text)
    lines = _KeyLines(text)
    for host, attributes in document:
        builder.count()
        line = lines.next(host)
        if why := _no_server(host, attributes):
            builder.skip(line, why)
        elif isinstance(attributes, Pairs):
            builder.add(line, host, dict(attributes))
    if builder.skipped * 2 > builder.entries:
        raise SourceError(f"not a pool list: most entries are no servers; {builder.first_problem}")
    if document and not any(_shows_a_server(*entry) for entry in document):
        form = '{"HOST": {"enabled": true, "weight": 10}}'
        raise SourceError(
            f"not a pool list: no entry has an attribute of a server, as in {form};"
            f" it begins {_shown(text)}"
        )


def _json_object(text: str) -> Pairs:
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}"
        raise SourceError(f"not JSON: {where}; it begins {_shown(text)}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not usable JSON; it begins {_shown(text)}") from error
    if not isinstance(document, Pairs):
        raise SourceError(f"not a JSON object such as {_JSON_FORM}; it begins {_shown(text)}")
    return document


def _no_server(host: str, attributes: object) -> str:
    """Why an entry does not tell of a server; empty if it may."""
    if not isinstance(attributes, Pairs):
        return f"the value of {_shown(host)} must be an object"
    names = [name for name, _ in attributes]
    for name in names:
        if name not in _ATTRIBUTES:
            near = f"; {_meant(name)!r} is" if _meant(name) else ""
            instead = _INSTEAD.get(name.lower(), "") or near
            return f"{_shown(name)} of {_shown(host)} is no attribute of a server{instead}"
        if names.count(name) > 1:
            return f"{_shown(name)} of {_shown(host)} is given twice"
    said = dict(attributes)["host"] if "host" in names else host
    if said is not host and (not isinstance(said, str) or same_host(said) != same_host(host)):
        return f"the entry of {_shown(host)} says that its host is {_shown(said)}"
    return ""


def _shows_a_server(host: str, attributes: object) -> bool:
    """An empty object under a word, as in {"error": {}}, may stand for anything."""
    return isinstance(attributes, Pairs) and (bool(attributes) or bool(re.search("[.:]", host)))


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
        return repr(shortened(value, _MAX_SHOWN))
    if isinstance(value, Pairs):
        return "an object"
    if value is None or isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= 64 else "an enormous number"
    return f"a value of type {type(value).__name__}"
