"""What is printed reaches whoever reads it, and no reader of it makes a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from pybal.runtime.stdout import printing, say


def test_lines_are_there_at_once_and_what_cannot_be_shown_is_escaped() -> None:
    raw = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(raw, encoding="ascii")):
        say(["caf\xe9", "b"])
        assert raw.getvalue() == b"caf\\xe9\nb\n"


def test_without_a_stdout_nothing_is_said() -> None:
    with redirect_stdout(None):
        say(["a"])


def test_a_reader_that_has_read_enough_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out, redirect_stdout(out):
        say(["a"])
        print("what Python still has at its end is lost without a word")
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as out, redirect_stdout(out):
        say(["a"])
    assert capsys.readouterr().err == "pybal: stdout: No space left on device\n"


def helped(program: str, failed: int) -> None:
    """As argparse does it."""
    with printing(program, failed):
        print("usage: …")
        raise SystemExit(0)


def test_what_others_print_ends_the_program_where_it_cannot_be_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open("/dev/full", "w") as out, redirect_stdout(out), pytest.raises(SystemExit) as ended:
        helped("pybal", 3)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "pybal: stdout: No space left on device\n"


def test_what_others_print_may_be_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out, redirect_stdout(out), pytest.raises(SystemExit) as ended:
        helped("pybal", 3)
    assert ended.value.code == 0
    assert capsys.readouterr().err == ""


def test_where_it_is_printed_or_there_is_no_stdout_the_end_is_as_it_was() -> None:
    for out in (io.StringIO(), None):
        with redirect_stdout(out), pytest.raises(SystemExit) as ended:
            helped("pybal", 3)
        assert ended.value.code == 0


PROGRAMS = {
    "pybal": "from pybal.main import main",
    "pybalctl": "from pybal.ctl.main import main",
    "pybal-from-keepalived": "from pybal.migration.main import main",
    "check_pybal": "from pybal.checks.backends import main",
}


# Without a buffer argparse itself meets the error, and says nothing, from Python 3.12 on.
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_ends_its_help_in_a_traceback(program: str, unbuffered: str) -> None:
    code = f"{PROGRAMS[program]}\nraise SystemExit(main(['--help']))"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == (3 if "check" in program else 1)
    assert done.stderr == f"{program}: stdout: No space left on device\n"
