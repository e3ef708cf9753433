"""Many trials in one session: which tests run with which fault, and what becomes of them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.session import Touched, function_around

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

def unknown(): return 1
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
from tests.mutation.faults import faults
from tests.mutation.session import Touched, Trials
from tests.mutation.trial import trial
folder = Path(sys.argv[1])
touched, results = os.memfd_create("touched"), os.memfd_create("results")
path, tests = folder / "sums.py", [folder / "test_sums.py"]
source = path.read_bytes()
found = faults(source)
trial("sums", path, source, tests, None, 1, Trials(path, source, found, touched, results))
letters = os.pread(results, 100, 0).decode()
for fault, letter in zip(found, letters, strict=True):
    print(fault.line, fault.what, letter)
touched = Touched.from_file(touched)
print(sorted(test.partition("::")[2] for test in touched.of(range(2, 4))))
print(sorted(touched.by_all), sorted(touched.seconds) == sorted(touched.calls))
"""


@pytest.mark.slow
def test_what_becomes_of_each_fault(tmp_path: Path) -> None:
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
        "2 0 + 1 -",  # a default is no part of the function's code
        "3 returns None N",
        "3 `+` became `-` N",
        "5 2 + 1 N",  # a fixture that tests share calls it
        "5 returns None N",
        "8 0 + 1 -",
        "10 returns None N",
        "12 1 + 1 -",
        "14 1 + 1 M",
        "14 returns None M",
        "['test_quick', 'test_slow']",
        "[1, 5, 7, 12] True",
    ]


def test_a_test_concerns_the_functions_that_it_calls() -> None:
    touched = Touched({"a": {2}, "b": {5}}, {12}, {"a": 1.0, "b": 2.0})
    assert touched.of(range(2, 4)) == {"a"}
    assert touched.of(range(20, 30)) == frozenset()
    assert touched.limit_s({"a"}) == 13 and touched.limit_s() == 19


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (1, None),
        (3, range(2, 4)),
        (5, range(5, 6)),
        (8, None),
        (9, range(9, 11)),
        (12, None),
        (14, range(14, 15)),
    ],
)
def test_the_function_around_a_line(line: int, lines: range | None) -> None:
    assert function_around(ast.parse(SOURCE), line) == lines
