"""What a recorder notes of tests, and which of them are then run, in which order."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.touched import Touched, function_around

ROOT = Path(__file__).parent.parent.parent
SOURCE = """
def add(a, b=0):
    return a + b

def two(): return 2

class Sum:
    start = 0
    @property
    def value(self): return self.start

shared = lambda: 1
"""
TESTS = """
import pytest, sums

sums.shared()

@pytest.fixture(scope="module")
def both(): return sums.two()

def test_slow(both):
    import time
    assert sums.add(1, 1) == both
    time.sleep(0.05)

def test_quick(): assert sums.add(1, 0) == 1

def test_other(): assert sums.Sum().value == 0
"""
RUN = """
import os, sys
from pathlib import Path
from tests.mutation.touched import Recorder, Selection, Touched
from tests.mutation.trial import trial
folder = Path(sys.argv[1])
written, order = os.memfd_create("touched"), folder / "order"
path, tests = folder / "sums.py", [folder / "test_sums.py"]
source = path.read_bytes()
print(trial("sums", path, source, tests, 60.0, 1, Recorder(path, written)).outcome.value)
touched = Touched.from_file(written)
print(sorted(test.partition("::")[2] for test in touched.of(range(2, 4))))
print(sorted(touched.by_all), sorted(touched.seconds) == sorted(touched.calls))
class Order(Selection):
    def pytest_runtest_logfinish(self, nodeid):
        with order.open("a") as file:
            file.write(nodeid.partition("::")[2] + " ")
selection = Order(touched, touched.of(range(2, 4)))
print(trial("sums", path, source, tests, 60.0, 1, selection).outcome.value)
print(order.read_text())
"""


@pytest.mark.slow
def test_the_tests_that_call_a_function_are_known_and_run_by_their_time(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SOURCE)
    (tmp_path / "test_sums.py").write_text(TESTS)
    printed = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        cwd=tmp_path,
    )
    assert printed.stdout.splitlines() == [
        "passed",
        "['test_quick', 'test_slow']",
        "[1, 5, 7, 12] True",
        "passed",
        "test_quick test_slow ",
    ]


def test_a_fault_outside_of_functions_or_in_what_all_share_concerns_all_tests() -> None:
    touched = Touched({"a": {2}, "b": {5}}, {12})
    assert touched.of(range(2, 4)) == {"a"}
    assert touched.of(range(20, 30)) == frozenset()
    assert touched.of(None) == touched.of(range(12, 13)) == {"a", "b"}


@pytest.mark.parametrize(
    ("line", "lines"),
    [(1, None), (3, range(2, 4)), (5, range(5, 6)), (8, None), (9, range(9, 11)), (12, None)],
)
def test_the_function_around_a_line(line: int, lines: range | None) -> None:
    assert function_around(ast.parse(SOURCE), line) == lines
