"""One run of some tests in a process of its own, with one module's source replaced in memory."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

MEMORY_BYTES = 2 * 1024**3
"""A fault may make a loop that takes all memory before it takes all time."""

_PYTEST = ("-q", "-x", "--tb=no", "--no-header", "-o", "faulthandler_timeout=0")
_NOT_NEEDED = ("cacheprovider", "logging", "junitxml", "doctest")


class Outcome(Enum):
    """What became of the tests."""

    PASSED = "passed"
    FAILED = "failed"
    ENDLESS = "endless"


@dataclass(frozen=True, slots=True)
class Trial:
    """`seconds` by the monotonic clock."""

    outcome: Outcome
    seconds: float


class _OneModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module a source of ours; all others are found as ever."""

    def __init__(self, name: str, path: Path, source: bytes) -> None:
        self._name = name
        self._path = path
        self._source = source

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)  # noqa: S102


def trial(
    name: str,
    path: Path,
    source: bytes,
    tests: Sequence[Path],
    limit_s: float | None,
    seed: int,
    plugin: object = None,
) -> Trial:
    """Run the tests with the module `name` made of `source`, and with a plugin of pytest's.

    The process that is made may import nothing of pybal before, or it would keep the old module.
    """
    return in_child(lambda: _run(name, path, source, tests, seed, plugin), limit_s)


def in_child(passes: Callable[[], bool], limit_s: float | None) -> Trial:
    """Call it in a process of its own, which says nothing and whose own children end with it."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nothing, descriptor)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            status = 0 if passes() else 1
        finally:
            os._exit(status)
    watch = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([watch], [], [], limit_s)
    finally:
        os.close(watch)
    if not ended:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begun
    if not ended:
        return Trial(Outcome.ENDLESS, seconds)
    return Trial(Outcome.PASSED if status == 0 else Outcome.FAILED, seconds)


def _run(
    name: str, path: Path, source: bytes, tests: Sequence[Path], seed: int, plugin: object
) -> bool:
    sys.meta_path.insert(0, _OneModule(name, path, source))
    chosen = ("-m", "not integration and not kernel", f"--hypothesis-seed={seed}")
    without = [f"-pno:{plugin}" for plugin in _NOT_NEEDED]
    plugins = [] if plugin is None else [plugin]
    return pytest.main([*_PYTEST, *without, *chosen, *map(str, tests)], plugins) == 0
