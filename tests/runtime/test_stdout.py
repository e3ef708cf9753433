"""What is printed reaches whoever reads it, and no reader of it makes a traceback."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout

import pytest

from pybal.runtime.stdout import say


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
