"""Many trials in one session of pytest: its tests are loaded once, and each trial is a fork of it.

A fork gives the faulty function its new code and runs the tests that call it, the quick ones first,
and then all others, of which some may call it in a process of their own. What is not so simple
(constants, what is called while modules load) needs a session of its own.
"""

from __future__ import annotations

import ast
import gc
import inspect
import json
import os
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from tests.mutation.faults import Fault
from tests.mutation.trial import Outcome, in_child

GRACE_S = 10.0
"""A trial may take three times what the tests take without a fault, and this."""


@dataclass(slots=True)
class Touched:
    """`calls`: a test's id -> the first lines of the functions that it calls; those in `by_all` are
    called while tests are loaded or by what they share. `seconds`: a test's id -> its time."""

    calls: dict[str, set[int]] = field(default_factory=dict)
    by_all: set[int] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, lines: range) -> frozenset[str]:
        """The ids of the tests that call the function which stands there."""
        return frozenset(t for t, called in self.calls.items() if not called.isdisjoint(lines))

    def seconds_of(self, item: pytest.Item) -> float:
        """Its time; 0 if it is not known."""
        return self.seconds.get(item.nodeid, 0.0)

    def limit_s(self, tests: Collection[str] | None = None) -> float:
        """What these tests, or all of them, may take."""
        return (
            3 * sum(self.seconds[t] for t in (self.seconds if tests is None else tests)) + GRACE_S
        )

    def to_file(self, descriptor: int) -> None:
        """For another process."""
        calls = {test: sorted(lines) for test, lines in self.calls.items()}
        with open(os.dup(descriptor), "w", encoding="utf-8") as file:
            json.dump([calls, sorted(self.by_all), self.seconds], file)

    @classmethod
    def from_file(cls, descriptor: int) -> Touched:
        """What another process has written. Raises ValueError if it has not."""
        with open(os.dup(descriptor), encoding="utf-8") as file:
            file.seek(0)
            calls, by_all, seconds = json.load(file)
        return cls({test: set(lines) for test, lines in calls.items()}, set(by_all), seconds)


class Trials:
    """A plugin of pytest's: runs all tests to see what they call, and then, in forks, some of them
    for each fault. `touched` is written to one open file, and to the other a letter a fault: it was
    noticed, or missed, or wants a session of its own."""

    NOTICED, MISSED, OPEN = "NM-"

    def __init__(
        self, path: Path, source: bytes, faults: Sequence[Fault], touched: int, results: int
    ) -> None:
        self._path = str(path)
        self._source, self._faults = source, faults
        self._tree = ast.parse(source)
        self._touched_file, self._results_file = touched, results
        self._touched = Touched()
        self._now = self._touched.by_all
        self._functions: list[FunctionType] = []

    # What is called

    def pytest_sessionstart(self) -> None:
        threading.settrace(self._called)
        sys.settrace(self._called)

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename == self._path:
            self._now.add(frame.f_code.co_firstlineno)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._now = self._touched.calls.setdefault(nodeid, set())

    def pytest_runtest_logfinish(self) -> None:
        self._now = self._touched.by_all

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        now = self._now
        if fixturedef.scope != "function":
            self._now = self._touched.by_all
        yield
        self._now = now

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = self._touched.seconds
        seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration

    # What is tried

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            return True
        if in_child(lambda: self._all(session), None).outcome is not Outcome.PASSED:
            return True
        sys.settrace(None)
        threading.settrace(None)
        self._touched = Touched.from_file(self._touched_file)
        gc.collect()
        self._functions = [
            each
            for each in gc.get_objects()
            if isinstance(each, FunctionType) and each.__code__.co_filename == self._path
        ]
        gc.freeze()
        for fault in self._faults:
            os.write(self._results_file, self._try(session, fault).encode())
        return True

    def _all(self, session: pytest.Session) -> bool:
        passed = _run(session.items, session)
        self._touched.to_file(self._touched_file)
        return passed

    def _try(self, session: pytest.Session, fault: Fault) -> str:
        lines = function_around(self._tree, fault.line)
        if lines is None:
            return self.OPEN
        new = _code_at(compile(fault.in_source(self._source), self._path, "exec"), lines.start)
        old = _code_at(compile(self._source, self._path, "exec"), lines.start)
        functions = [each for each in self._functions if each.__code__ == old]
        if new is None or old is None or new == old or not functions:
            return self.OPEN
        if new.co_freevars != old.co_freevars:
            return self.OPEN
        near = self._touched.of(lines)

        def passes(wanted: Collection[str]) -> bool:
            for function in functions:
                function.__code__ = new
            items = [item for item in session.items if item.nodeid in wanted]
            return _run(sorted(items, key=self._touched.seconds_of), session)

        for wanted in (near, self._touched.seconds.keys() - near):
            limit_s = self._touched.limit_s(wanted)
            if in_child(partial(passes, wanted), limit_s).outcome is not Outcome.PASSED:
                return self.NOTICED
        return self.MISSED if self._touched.by_all.isdisjoint(lines) else self.OPEN


class Quick:
    """A plugin of pytest's: the quick tests run first."""

    def __init__(self, touched: Touched) -> None:
        self._touched = touched

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=self._touched.seconds_of)


def _run(items: Sequence[pytest.Item], session: pytest.Session) -> bool:
    """As pytest does, up to the first failure."""
    for item, following in zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return False
    return True


def function_around(tree: ast.Module, line: int) -> range | None:
    """The lines of the outermost function or method around a line, if there is one."""
    blocks: list[ast.Module | ast.ClassDef] = [tree]
    while blocks:
        for child in ast.iter_child_nodes(blocks.pop()):
            if isinstance(child, ast.ClassDef):
                blocks.append(child)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min((each.lineno for each in child.decorator_list), default=child.lineno)
                lines = range(first, (child.end_lineno or first) + 1)
                if line in lines:
                    return lines
    return None


def _code_at(code: CodeType, line: int) -> CodeType | None:
    """The code of the function or method that begins there."""
    for each in code.co_consts:
        if isinstance(each, CodeType) and not each.co_name.startswith("<"):
            if not each.co_flags & inspect.CO_OPTIMIZED:
                found = _code_at(each, line)
                if found is not None:
                    return found
            elif each.co_firstlineno == line:
                return each
    return None
