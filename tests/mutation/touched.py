"""Which tests call which functions of a module, and how long they take: pytest plugins.

A fault in a function is tried with the tests that call it, the quick ones first. What one test
leaves to another in a cache is not seen: at worst a fault is called a survivor that is none.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import threading
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


@dataclass(slots=True)
class Touched:
    """`calls`: a test's id -> the first lines of the functions that it calls; those in `by_all` are
    called while tests are collected or by what they share. `seconds`: a test's id -> its time."""

    calls: dict[str, set[int]] = field(default_factory=dict)
    by_all: set[int] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_file(cls, descriptor: int) -> Touched:
        """What a Recorder has written."""
        with open(descriptor, encoding="utf-8") as file:
            file.seek(0)
            calls, by_all, seconds = json.load(file)
        return cls({test: set(lines) for test, lines in calls.items()}, set(by_all), seconds)

    def of(self, lines: range | None) -> frozenset[str]:
        """The ids of the tests that call the function which stands there; None: all tests."""
        if lines is None or not self.by_all.isdisjoint(lines):
            return frozenset(self.calls)
        return frozenset(t for t, called in self.calls.items() if not called.isdisjoint(lines))


class Recorder:
    """Writes a Touched of the module at `path` to an open file."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = str(path)
        self._descriptor = descriptor
        self._touched = Touched()
        self._now = self._touched.by_all

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

    def pytest_sessionfinish(self) -> None:
        sys.settrace(None)
        calls = {test: sorted(lines) for test, lines in self._touched.calls.items()}
        written = json.dumps([calls, sorted(self._touched.by_all), self._touched.seconds])
        os.write(self._descriptor, written.encode())


class Selection:
    """Runs the `wanted` tests alone, and such as are not known; the quick ones first."""

    def __init__(self, touched: Touched, wanted: Container[str]) -> None:
        self._touched = touched
        self._wanted = wanted

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = self._touched.seconds
        items[:] = [i for i in items if i.nodeid in self._wanted or i.nodeid not in known]
        items.sort(key=lambda item: known.get(item.nodeid, 0.0))


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
