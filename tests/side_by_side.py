"""Runs tests in a process for each processor: `python -m tests.side_by_side ARGUMENTS...`.

Each is an ordinary pytest with these arguments, which name files or folders. It goes through all
files; those that no other has claimed before it imports, and runs their tests, one file after
another. Exit status: the worst of theirs; that there was nothing to run counts only if it is said
of all."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import pytest

_HANGS_S = 300
"""Where a test stands that takes longer is said, in case its own limit cannot. As pytest's
faulthandler_timeout, which starts a thread for each of thousands of tests; here one a second."""

_CLAIMS = "PYBAL_TEST_CLAIMS"
"""The environment's name of a folder in which the files of tests are claimed."""


class _LateModule(pytest.Module):
    """A file of tests that is imported only once it is claimed."""

    claimed = False

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        return super().collect() if self.claimed else ()


class _OnlyClaimed:
    def __init__(self, folder: Path, errors: int) -> None:
        self._folder = folder
        self._errors = errors
        self._watched_s = float("-inf")
        self._modules: list[_LateModule] = []

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        if parent.config.option.collectonly:
            return None
        module: _LateModule = _LateModule.from_parent(parent, path=module_path)
        return module

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Of those that were made only some are wanted: not all that a folder has."""
        if isinstance(collector, _LateModule) and not collector.claimed:
            self._modules.append(collector)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """pytest's own loop, over what is collected meanwhile."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        for item, following in pairwise(chain(self._items(session), [None])):
            assert item is not None
            self._watch()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        faulthandler.cancel_dump_traceback_later()
        return True

    def _items(self, session: pytest.Session) -> Iterator[pytest.Item]:
        for module in self._modules:
            if self._claim(module.path):
                module.claimed = True
                items = list(session.genitems(module))
                hook = session.config.hook
                hook.pytest_collection_modifyitems(
                    session=session, config=session.config, items=items
                )
                session.testscollected += len(items)
                yield from items

    def _watch(self) -> None:
        now_s = time.monotonic()
        if now_s - self._watched_s >= 1:
            self._watched_s = now_s
            faulthandler.dump_traceback_later(_HANGS_S, file=self._errors)

    def _claim(self, path: Path) -> bool:
        """Whether the tests of this file are this process's."""
        try:
            (self._folder / str(path).replace("/", "%")).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """The first that pytest calls, while the standard error is not captured yet. A process that was
    started below knows where to claim."""
    pluginmanager.register(_OnlyClaimed(Path(os.environ[_CLAIMS]), os.dup(2)))


def worst(statuses: Iterable[int]) -> int:
    """The exit status of all."""
    ran = {abs(status) for status in statuses} - {pytest.ExitCode.NO_TESTS_COLLECTED}
    return max(ran, default=pytest.ExitCode.NO_TESTS_COLLECTED)


def main(arguments: Sequence[str]) -> int:
    """Runs them to their end; what they say is printed one after another."""
    # How many tests there are is not known before the end: no per cent.
    command = [sys.executable, "-m", "pytest", "-p", "tests.side_by_side"]
    command += ["-o", "console_output_style=classic", "-o", "faulthandler_timeout=0", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, _CLAIMS: folder}
        first, *others = [
            subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE if number else None,
                stderr=subprocess.STDOUT if number else None,
            )
            for number in range(len(os.sched_getaffinity(0)))
        ]
        said = [other.communicate()[0] for other in others]
        first.wait()
    for text in said:
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
    return worst(process.returncode for process in (first, *others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
