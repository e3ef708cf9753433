"""What was probably meant by a word."""

from __future__ import annotations

from pybal.config.bad_value import Suggestions, did_you_mean


def test_a_word_of_64_letters_is_looked_up() -> None:
    known = ["a" * 64]
    assert did_you_mean("a" * 63 + "b", known) == f"did you mean {known[0]}?"
    assert did_you_mean("a" * 64 + "b", known) == ""


def test_300_words_of_a_file_are_looked_up_and_each_as_often_as_it_comes() -> None:
    suggestions, known = Suggestions(), frozenset({"scheduler"})
    for number in range(299):
        assert suggestions.of(f"{number}", known) == ""
    assert suggestions.of("schedular", known) == "did you mean scheduler?"
    assert suggestions.of("shceduler", known) == ""
    assert suggestions.of("schedular", known) == "did you mean scheduler?"
