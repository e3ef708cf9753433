"""Words of `pybalctl` that no daemon has a part in."""

from __future__ import annotations

import pytest

from pybal.ctl.local_time import local_time, with_local_times
from pybal.ctl.main import parse


def test_a_command_that_is_misspelt_is_answered_with_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "there is no 'stauts', did you mean status. `pybalctl --help` says what is right\n"
    with pytest.raises(SystemExit, match="2"):
        parse(["stauts"])
    assert capsys.readouterr().err == f"pybalctl: argument COMMAND: {said}"
    with pytest.raises(SystemExit, match="2"):
        parse(["zzzzzz"])
    assert "choose from" in capsys.readouterr().err, "nothing is near: all of them"


def test_moments_in_sentences_are_shown_in_the_time_zone_of_this_host() -> None:
    when = local_time({"epoch": 1_700_000_000})
    text = with_local_times("(decided at 2023-11-14T22:13:20.000Z, cause: by 2023-11-14T22:13:20Z)")
    assert text == f"(decided at {when}, cause: by 2023-11-14T22:13:20Z)"
    assert with_local_times("up at 2023-99-14T22:13:20Z") == "up at 2023-99-14T22:13:20Z"


@pytest.mark.parametrize(
    ("command", "words"),
    [("names", "{services|hosts|peers|alerts}"), ("maintenance", "{begin|end}")],
)
def test_a_word_that_is_missing_is_answered_with_those_that_there_are(
    command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([command])
    assert f"required: {words}. " in capsys.readouterr().err
