"""Each file's tests run in one of the processes, and once; what fails there fails all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.side_by_side import worst

ROOT = Path(__file__).parent.parent
FILES = 6


def run(path: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.side_by_side", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments, str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FILES):
        text = (
            "import pytest\n"
            "@pytest.fixture(scope='module')\n"
            "def made(request):\n"
            f"    open({str(tmp_path)!r} + '/made', 'a').write('{number}')\n"
            "def test_one(made): pass\n"
            "def test_two(made): pass\n"
        )
        (tmp_path / f"test_number{number}.py").write_text(text)
    return tmp_path


@pytest.mark.slow
def test_each_file_is_one_processs_and_its_fixtures_are_made_once(folder: Path) -> None:
    status, said = run(folder)
    # One that comes too late for any finds nothing to run, which is no fault.
    assert status == 0, said
    assert sum(map(int, re.findall(r"(\d+) passed", said))) == 2 * FILES
    assert sorted((folder / "made").read_text()) == [str(n) for n in range(FILES)]


@pytest.mark.slow
def test_one_failure_is_the_whole_runs_and_the_others_are_run(folder: Path) -> None:
    (folder / "test_bad.py").write_text("def test_bad(): assert 1 == 2\n")
    (folder / "test_absent.py").write_text("import there_is_no_such_module\n")
    status, said = run(folder)
    assert status == 1
    assert "test_bad" in said
    assert "there_is_no_such_module" in said
    assert sum(map(int, re.findall(r"(\d+) passed", said))) == 2 * FILES


@pytest.mark.slow
def test_no_file_beside_those_that_are_named_is_run_and_nothing_to_run_is_a_failure(
    folder: Path,
) -> None:
    assert run(folder / "test_number0.py", "-k", "nothing")[0] == pytest.ExitCode.NO_TESTS_COLLECTED
    assert run(folder / "test_number0.py")[0] == 0
    assert (folder / "made").read_text() == "0"


def test_the_worst_status_is_that_of_all_and_a_process_may_come_too_late_for_any_test() -> None:
    assert worst([0, 5]) == 0
    assert worst([0, 1, 5]) == 1
    assert worst([5, 5]) == 5
    assert worst([0, -9, 1]) == 9
