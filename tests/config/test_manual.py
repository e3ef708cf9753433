"""pybal.conf(5), which is made of the example, and the completion of pybal's options."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    command = [sys.executable, str(ROOT / "debian/manual.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_every_option_of_the_example_has_an_entry(page: str) -> None:
    example = (ROOT / "etc/pybal.conf").read_text("utf-8")
    keys = set(re.findall(r"^#?([a-z][\w.-]*) =(?: |$)", example, re.MULTILINE))
    entries = re.findall(r"^\.T[PQ]\n\\fB(.*?)\\fR", page, re.MULTILINE)
    assert {entry.replace("\\-", "-") for entry in entries} == keys


def test_an_entry_says_the_default_and_what_a_reload_touches(page: str) -> None:
    entry = re.search(r"^\.TP\n\\fBdepool\\-method(?:.*\n)+?A reload .*$", page, re.MULTILINE)
    assert entry is not None
    lines = entry[0].splitlines()
    assert lines[1:4] == [
        r"\fBdepool\-method\fR = remove",
        ".TQ",
        r"\fBdrain\-timeout\fR = 300",
    ]
    assert lines[-1] == "A reload changes it: in place."


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("handover", "A reload does not change it: that takes a restart."),
        ("bgp\\-hold\\-time", "A reload changes it: the peer\\(aqs session begins anew."),
        ("protocol", "A reload changes it: the new service stands before the former goes."),
    ],
)
def test_what_a_reload_does_is_a_sentence(page: str, key: str, said: str) -> None:
    _, entry = page.split(rf"\fB{key}\fR", 1)
    assert re.findall(r"^A reload .*$", entry, re.MULTILINE)[0] == said


def test_nothing_of_it_is_taken_for_a_request_of_roff(page: str) -> None:
    requests = set(re.findall(r"^[.'](\S*)", page, re.MULTILINE))
    known = {"TH", "SH", "TP", "TQ", "PP", "I", "BR", "br", "RS", "RE", "nf", "fi"}
    assert requests - known == {'\\"'}


def completed(program: str, *words: str, run: str = "-m pybal") -> set[str]:
    script = f"""
    {program}() {{ "{sys.executable}" {run} "$@"; }}
    . debian/bash-completion/{program}
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    compopt() {{ true; }}
    _{program.replace("-", "_")} {program}
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-euc", script, "bash", program, *words],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.slow
def test_options_and_the_configuration_are_completed() -> None:
    assert {"-c", "-n", "-d", "--check-config", "--dryrun"} <= completed("pybal", "-")
    assert completed("pybal", "--check") == {"--check-config"}
    assert completed("pybal", "-c", "etc/pybal") == {"etc/pybal.conf"}


@pytest.mark.slow
def test_options_and_files_of_the_translation_are_completed() -> None:
    program, run = "pybal-from-keepalived", "-c 'from pybal.migration.main import main; main()'"
    assert {"-o", "--output", "--pools-at", "--id", "-f"} <= completed(program, "-", run=run)
    assert completed(program, "debian/pybal.ser", run=run) == {"debian/pybal.service"}
    assert completed(program, "-o", "debian/sour", run=run) == {"debian/source"}
    assert completed(program, "-i", "", run=run) == set()
