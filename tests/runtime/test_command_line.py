"""The options that puppet's unit files and operators have."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.runtime.command_line import command_line

USUAL = {
    "config": Path("/etc/pybal/pybal.conf"),
    "dryrun": False,
    "debug": False,
    "check_config": False,
    "json": False,
    "diff": False,
    "strict": False,
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", {}),
        ("-c /x", {"config": Path("/x")}),
        ("--config=/x", {"config": Path("/x")}),
        ("-n", {"dryrun": True}),
        ("--dryrun", {"dryrun": True}),
        ("--dry-run", {"dryrun": True}),
        ("-d", {"debug": True}),
        ("--debug", {"debug": True}),
        ("--check-config --json", {"check_config": True, "json": True}),
        ("--diff", {"diff": True}),
        ("--strict", {"strict": True}),
    ],
)
def test_what_each_option_says(words: str, said: dict[str, object]) -> None:
    assert vars(command_line("1.2.3").parse_args(words.split())) == USUAL | said


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line("1.2.3").parse_args(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "pybal 1.2.3\n"


def test_a_wrong_word_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line("1.2.3").parse_args(["--nosuch"])
    assert ended.value.code == 2
    assert "--nosuch" in capsys.readouterr().err


def test_to_check_and_to_compare_are_two_things(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line("1.2.3").parse_args(["--check-config", "--diff"])
    assert ended.value.code == 2
    assert "--diff: not allowed with argument --check-config" in capsys.readouterr().err
