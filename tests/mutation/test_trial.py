"""A trial: the tests of one module, in a process of their own, with another source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.trial import Outcome

ROOT = Path(__file__).parent.parent.parent
TRIAL = """
import sys
from pathlib import Path
from tests.mutation.trial import trial
folder, source, limit_s = Path(sys.argv[1]), sys.argv[2].encode(), float(sys.argv[3])
path, tests = folder / "addition_of_two.py", [folder / "test_addition.py"]
print(trial("addition_of_two", path, source, tests, limit_s, 1).outcome.value)
print("loaded" if "addition_of_two" in sys.modules else "unloaded")
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "addition_of_two.py").write_text("def add(a, b):\n    return a + b\n")
    test = "from addition_of_two import add\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    (tmp_path / "test_addition.py").write_text(test)
    return tmp_path


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("return a + b", Outcome.PASSED),
        ("raise SystemExit(0)", Outcome.FAILED),
        ("while True: pass", Outcome.ENDLESS),
    ],
)
@pytest.mark.slow
def test_what_becomes_of_the_tests(module: Path, body: str, outcome: Outcome) -> None:
    source = f"def add(a, b):\n    {body}\n"
    limit_s = 1.0 if outcome is Outcome.ENDLESS else 60.0
    # In a process of its own, as scripts/mutants has it: a pytest in a fork of a pytest hangs.
    arguments = [str(module), source, str(limit_s)]
    printed = subprocess.run(
        [sys.executable, "-c", TRIAL, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": f"{module}:{ROOT}"},
        cwd=module,
    )
    assert printed.stdout.split() == [outcome.value, "unloaded"]
