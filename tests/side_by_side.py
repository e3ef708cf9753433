"""Runs tests in a process for each processor: `python -m tests.side_by_side ARGUMENTS...`.

Each is an ordinary pytest with these arguments. It goes through all files and runs the tests of
those that no other has claimed before. Exit status: the worst of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path

import pytest

_CLAIMS = "PYBAL_TEST_CLAIMS"
"""The environment's name of a folder in which the files of tests are claimed."""


class _Claims:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked: dict[Path, bool] = {}

    def has(self, path: Path) -> bool:
        """Whether the tests of this file are this process's; it is asked once."""
        if path not in self._asked:
            try:
                (self._folder / str(path).replace("/", "%")).touch(exist_ok=False)
            except FileExistsError:
                self._asked[path] = False
            else:
                self._asked[path] = True
        return self._asked[path]


class _OnlyClaimed:
    def __init__(self, claims: _Claims) -> None:
        self._claims = claims

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """pytest's own loop, which would not tear down what the tests that are left out share."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        mine = (item for item in session.items if self._claims.has(item.path))
        for item, following in pairwise(chain(mine, [None])):
            assert item is not None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        return True


def pytest_configure(config: pytest.Config) -> None:
    """A process that was started below knows where to claim."""
    config.pluginmanager.register(_OnlyClaimed(_Claims(Path(os.environ[_CLAIMS]))))


def main(arguments: Sequence[str]) -> int:
    """Runs them to their end; what they say is printed one after another."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.side_by_side", *arguments]
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
    statuses: list[int] = [abs(process.returncode) for process in (first, *others)]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
